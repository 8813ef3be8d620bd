"""Datasets: what a query finds, what it refuses, and which exist without having been created."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bot.config import Settings
from bot.config.settings import TrackSettings
from bot.core.errors import TagechoError, UsageError
from bot.core.events import Author, MediaKind
from bot.platforms.instagram.settings import InstagramAccount as Account
from bot.service.app import App, opened
from bot.verbs import datasets as verbs
from storage import dataset, datasets
from storage.queries import Query, parse
from storage.tables import MediaRow, MediaState
from tests.databases import NOW
from tests.datasets import fit, judge, put, settings_at


def found(app: App, **values: Any) -> list[str]:
    """The posts a query finds, in order."""
    query = parse(values)
    with app.database.read() as session:
        media = [one.media for one in datasets.images(session, query)]
        posts = [session.get_one(MediaRow, one).post for one in media]
        assert datasets.count(session, query)["images"] == len(media)
        rows = {v: k for k, v in dataset.known(session, "instagram", list("abcdefgh")).items()}
        return [rows[post] for post in posts]


def test_every_condition_of_a_query(settings: Settings) -> None:
    """One data set-up, since each costs a migration."""
    with opened(settings) as app:
        a = put(app, "a", "ann", ("hoodie", "red"), track="main:hashtag:hoodie", into="clothes")
        b = put(app, "b", "bob", ("hoodie", "blue"), into="clothes", size=(300, 200))
        put(app, "c", "ann", ("hat", "red"), taken=NOW - timedelta(days=30))
        d = put(app, "d", "cy", ("hat", "СВИТЕР".lower()), kind=MediaKind.COVER)
        e = put(app, "e", "cy", ("hoodie",))
        f = put(app, "f", "cy", ("hoodie",))
        judge(app, e[0], "blur")
        judge(app, f[0], "near_duplicate", original=a[0])
        judge(app, b[0])
        with app.database.write() as session:
            posts = dataset.known(session, "instagram", list("abcdef"))
            dataset.mark_deleted(session, posts["d"], NOW, "gone")
            session.get_one(MediaRow, put_pending(app, session)).state = MediaState.PENDING
        fit(app, posts["a"], "hoodie", 0.9)
        fit(app, posts["a"], "red", 0.1)
        fit(app, posts["b"], "hoodie", 0.4)

        assert found(app) == ["a", "b", "c"]  # no verdicts, not deleted, stored
        assert found(app, any_hashtags=["#Hoodie", "nothing"]) == ["a", "b"]
        assert found(app, all_hashtags=["hoodie", "red"]) == ["a"]
        assert found(app, any_hashtags=["hoodie", "hat"], no_hashtags=["red"]) == ["b"]
        assert found(app, datasets=["clothes"]) == ["a", "b"]
        assert found(app, tracks=["main:hashtag:hoodie"]) == ["a"]
        assert found(app, authors=["instagram/name-ann", "instagram/@Name-Nobody"]) == ["a", "c"]
        assert found(app, authors=["instagram/bob"]) == ["b"]  # the user id
        assert found(app, authors=["instagram/nobody"]) == []
        with app.database.write() as session:  # the name of ann is another's now
            dataset.see_author(session, Author("instagram", "u9", "name-ann"), NOW)
        with pytest.raises(UsageError, match=r"name of 2 people: .*ann.*u9|.*u9.*ann"):
            found(app, authors=["instagram/name-ann"])
        assert found(app, authors=["instagram/ann"]) == ["a", "c"]
        assert found(app, platforms=["mastodon"]) == []
        assert found(app, since=(NOW - timedelta(days=2)).isoformat()) == ["a", "b"]
        assert found(app, until=(NOW - timedelta(days=2)).isoformat()) == ["c"]
        assert found(app, min_side=200) == ["b"]
        assert found(app, min_side=201) == []
        assert found(app, min_label_fit=0.5, any_hashtags=["hoodie", "red"]) == ["a"]
        assert found(app, min_label_fit=0.5, all_hashtags=["hoodie", "red"]) == []
        assert found(app, min_label_fit=0.3) == ["a", "b"]
        assert found(app, leave_out=["blur"], any_hashtags=["hoodie"]) == ["a", "b", "f"]
        assert found(app, leave_out=[], any_hashtags=["hoodie"]) == ["a", "b", "e", "f"]
        assert found(app, deleted=True) == ["a", "b", "c", "d"]
        assert found(app, deleted=True, covers=False) == ["a", "b", "c"]
        assert found(app, deleted=True, any_hashtags=["Свитер"]) == ["d"]
        assert d


def put_pending(app: App, session: Any) -> int:
    """An image without bytes: never part of a dataset."""
    row = MediaRow(post=1, index=7, kind="photo", url="https://m/7")
    session.add(row)
    session.flush()
    return row.id or 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"any_hashtags": ["a b"]}, "any_hashtags: 'a b' is not a hashtag"),
        ({"any_hashtags": "hoodie"}, "any_hashtags: "),
        ({"leave_out": ["blurr"]}, "no check 'blurr'; there are animated"),
        ({"authors": ["somebody"]}, "write PLATFORM/USER"),
        ({"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since must be"),
        ({"since": "2026-02-01T00:00:00"}, "timezone"),
        ({"min_label_fit": 2}, "min_label_fit: "),
        ({"min_side": -1}, "min_side: "),
        ({"any_hashtags": ["a"], "no_hashtags": ["A"]}, "at once: #a"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"version": 2}, "newer version"),
        ([], "query: "),
        ({"any_hashtags": ["x"] * 501}, "any_hashtags: "),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_its_key(values: Any, says: str) -> None:
    with pytest.raises(UsageError, match="(?s)" + says.replace("(", r"\(")):
        parse(values)


_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_JSON = (
    _LEAF | st.lists(_LEAF, max_size=3) | st.dictionaries(st.text(max_size=3), _LEAF, max_size=2)
)


@hypothesis_settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*Query.model_fields, "x"]), _JSON) | _JSON)
def test_whatever_stands_in_the_database_is_a_query_or_a_clear_error(value: Any) -> None:
    try:
        query = parse(value)
    except UsageError as error:
        assert str(error).strip()
    else:
        assert parse(query.stored()) == query


def test_datasets_by_name(settings: Settings) -> None:
    account = Account(platform="instagram", username="bot")
    tracks = [
        TrackSettings(account="main", hashtag="dawn"),
        TrackSettings(account="main", hashtag="hoodie"),
    ]
    settings = settings.model_copy(update={"accounts": {"main": account}, "tracks": tuple(tracks)})
    with opened(settings) as app:
        put(app, "a", into="hoodie")
    shown = verbs.show(settings, "hoodie")  # nobody created it
    assert (shown["images"], shown["created"]) == (1, False)
    assert shown["query"] == {"version": 1, "datasets": ["hoodie"]}
    assert verbs.show(settings, "dawn")["images"] == 0  # configured, nothing collected
    made = verbs.create(settings, "mine", Query(any_hashtags=("hoodie",)), replace=False)
    assert (made["posts"], made["authors"]) == (1, 1)
    with pytest.raises(UsageError, match="--replace"):
        verbs.create(settings, "mine", Query(), replace=False)
    verbs.create(settings, "mine", Query(any_hashtags=("hat",)), replace=True)
    assert verbs.show(settings, "mine")["images"] == 0
    assert [row["dataset"] for row in verbs.listing(settings)] == ["dawn", "hoodie", "mine"]
    with pytest.raises(UsageError, match=r'no dataset .mein.*did you mean "mine"'):
        verbs.show(settings, "mein")
    assert verbs.remove(settings, "mine", frozen=False) == 0
    with pytest.raises(UsageError, match="no dataset"):
        verbs.remove(settings, "mine", frozen=False)


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "-x", "two words", "a\nb", "x" * 101])
def test_names_that_could_not_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(TagechoError, match="name"):
        verbs.create(settings_at(tmp_path), name, Query(), replace=False)
