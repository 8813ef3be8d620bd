"""Datasets as the command line has them: named queries, and what they find now."""

from __future__ import annotations

from typing import Any

from bot.app import App
from bot.config import Settings
from bot.config.problems import did_you_mean
from bot.errors import UsageError
from bot.flow.policy import utc_now
from bot.status import opened
from storage import datasets, queries, snapshots
from storage.queries import Query
from storage.tables import Dataset

MAX_NAME = 100


def create(
    settings: Settings, name: str, values: dict[str, Any], *, replace: bool
) -> dict[str, Any]:
    """Keep a query under a name. Returns what it finds now. Raises UsageError."""
    check_name(name)
    query = queries.parse(values)
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
        return [_shown(app, settings, name) for name in _names(app, settings)]


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


def _shown(app: App, settings: Settings, name: str) -> dict[str, Any]:
    query = query_of(app, settings, name)
    with app.database.read() as session:
        created = session.get(Dataset, name) is not None
        found = datasets.count(session, query)
        frozen = [row.name for row in snapshots.listing(session, name)]
    stored = query.stored()
    return {"dataset": name, "created": created, "query": stored, **found, "snapshots": frozen}


def query_of(app: App, settings: Settings, name: str) -> Query:
    """Of a dataset that was created, that a track feeds, or that a snapshot is left of."""
    with app.database.read() as session:
        query = datasets.find(session, name)
        last = snapshots.by_name(session, name)
    if query is not None:
        return query
    if name in {track.dataset for track in settings.tracks}:
        return Query(datasets=(name,))  # nothing was found yet
    if last is not None:
        return queries.parse(last.query)
    raise UsageError(unknown(name, _names(app, settings)))


def _names(app: App, settings: Settings) -> list[str]:
    with app.database.read() as session:
        return sorted({*datasets.names(session), *(track.dataset for track in settings.tracks)})


def check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME or not name.isprintable() or set(name) & set("/\\ "):
        raise UsageError(f"{name[:60]!r} is no name: one word, without / and \\")
    if name.startswith((".", "-")):
        raise UsageError(f"{name!r}: a name does not begin with {name[0]}")


def unknown(name: str, known: list[str], what: str = "dataset") -> str:
    shown = f"; there are {', '.join(known[:20])}" if known else ""
    return f"no {what} {name!r}{shown}{did_you_mean(name, known)}"
