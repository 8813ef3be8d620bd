"""Keys of the search API: shown once, counted per day, never beyond what is free."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.core.errors import UsageError
from storage import api_keys
from storage.database import Database
from storage.tables import ApiKey
from tests.databases import NOW, rows, together


def taken(database: Database, key: str, per_day: int = 3, hours: int = 0) -> bool:
    with database.write() as session:
        row = api_keys.find(session, key)
        assert row is not None
        return api_keys.take(session, row, per_day, NOW + timedelta(hours=hours)) is not None


def test_a_key_is_kept_as_its_hash(database: Database) -> None:
    with database.write() as session:
        key = api_keys.create(session, "museum", None, NOW)
        with pytest.raises(UsageError, match="museum"):
            api_keys.create(session, "museum", None, NOW)
        found = api_keys.find(session, key)
        assert found is not None and found.name == "museum"
        assert api_keys.find(session, key + "x") is None
        api_keys.revoke(session, "museum", NOW)
        assert api_keys.find(session, key) is None
        with pytest.raises(UsageError, match="there are museum"):
            api_keys.revoke(session, "other", NOW)
    (row,) = rows(database, ApiKey)
    assert key not in str(row.model_dump()) and len(key) > 40


def test_so_many_a_day_and_the_next_day_again(database: Database) -> None:
    with database.write() as session:
        key, own = (api_keys.create(session, n, d, NOW) for n, d in (("a", None), ("b", 1)))
    assert [taken(database, key) for _ in range(4)] == [True, True, True, False]
    assert taken(database, key, hours=12)  # NOW is noon: the next day has begun
    assert [taken(database, own) for _ in range(2)] == [True, False]  # its own number
    with database.write() as session:
        row = api_keys.find(session, key)
        assert row is not None
        quota = api_keys.quota_of(session, row, 3, NOW)
        assert (quota.limit, quota.left, quota.reset) == (3, 0, 12 * 3600)
        api_keys.give_back(session, row, NOW)  # it was not answered
        assert [used for _, used in api_keys.listing(session, NOW)] == [2, 1]
    assert taken(database, key)


def test_at_once_no_more_than_are_left(open_database: Callable[[], Database]) -> None:
    databases = [open_database() for _ in range(4)]
    with databases[0].write() as session:
        key = api_keys.create(session, "a", None, NOW)
    found = together(*(lambda d=d: [taken(d, key) for _ in range(2)] for d in databases))
    assert sum(map(sum, found)) == 3
