"""Datasets as the command line has them: named queries, and what they find now."""

from __future__ import annotations

from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import UsageError
from bot.core.hashtags import one_hashtag
from bot.dataset.lookup import check_name, names_of, query_of, unknown
from bot.service.app import App, opened
from storage import datasets, snapshots
from storage.queries import Query
from storage.tables import Dataset


def create(settings: Settings, name: str, query: Query, *, replace: bool) -> dict[str, Any]:
    """Keep a query under a name. Returns what it finds now. Raises UsageError."""
    check_name(name)
    _check_hashtags(query)
    with opened(settings) as app:
        with app.database.write() as session:
            if not replace and session.get(Dataset, name) is not None:
                raise UsageError(f"there is a dataset {name!r}; --replace gives it another query")
            datasets.put(session, name, query, utc_now())
        return _shown(app, settings, name)


def show(settings: Settings, name: str) -> dict[str, Any]:
    with opened(settings) as app:
        return _shown(app, settings, name)


def listing(settings: Settings) -> list[dict[str, Any]]:
    """Every dataset: what it finds now, and its snapshots."""
    with opened(settings) as app:
        return [_shown(app, settings, name) for name in names_of(app, settings)]


def remove(settings: Settings, name: str, *, frozen: bool) -> int:
    """Take a dataset away, with its snapshots only if `frozen`. Returns how many went."""
    with opened(settings) as app, app.database.write() as session:
        kept = snapshots.listing(session, name)
        if session.get(Dataset, name) is None and not kept:
            raise UsageError(unknown(name, datasets.names(session)))
        if kept and not frozen:
            raise UsageError(
                f"{name} has {len(kept)} snapshots: --snapshots removes them too, and the record "
                "of what was exported from them"
            )
        snapshots.remove_dataset(session, name)
        return len(kept)


def _check_hashtags(query: Query) -> None:
    """Raises UsageError for one that no post can have."""
    for key in ("any_hashtags", "all_hashtags", "no_hashtags"):
        for tag in getattr(query, key):
            try:
                one_hashtag(tag)
            except ValueError as error:
                raise UsageError(f"{key}: {tag!r} {error}") from None


def _shown(app: App, settings: Settings, name: str) -> dict[str, Any]:
    query = query_of(app, settings, name)
    with app.database.read() as session:
        created = session.get(Dataset, name) is not None
        found = datasets.count(session, query)
        frozen = [row.name for row in snapshots.listing(session, name)]
    stored = query.stored()
    return {"dataset": name, "created": created, "query": stored, **found, "snapshots": frozen}
