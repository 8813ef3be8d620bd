"""A dataset by its name: its query, and the known names."""

from __future__ import annotations

from bot.config import Settings
from bot.core.errors import UsageError
from bot.schema.problems import did_you_mean
from bot.service.app import App
from storage import datasets, queries, snapshots
from storage.datasets import FoundImage
from storage.queries import Query

MAX_NAME = 100
CHUNK = 200  # people who are looked up at once


def query_of(app: App, settings: Settings, name: str) -> Query:
    """The query of a dataset: one that was created, one of a track, or one of a snapshot."""
    with app.database.read() as session:
        query = datasets.find(session, name)
        last = snapshots.by_name(session, name)
    if query is not None:
        return query
    if name in {track.dataset for track in settings.tracks}:
        return Query(datasets=(name,))  # nothing was found yet
    if last is not None:
        return queries.parse(last.query)
    raise UsageError(unknown(name, names_of(app, settings)))


def names_of(app: App, settings: Settings) -> list[str]:
    with app.database.read() as session:
        return sorted({*datasets.names(session), *(track.dataset for track in settings.tracks)})


def images_of(app: App, settings: Settings, name: str) -> list[FoundImage]:
    """What a dataset holds now, in the order it was stored. Raises UsageError for another name."""
    query = query_of(app, settings, name)
    with app.database.read() as session:
        found = list(datasets.images(session, query))
    return welcome(app, found)


def welcome(app: App, found: list[FoundImage]) -> list[FoundImage]:
    """Leave out people who opted out. Forgetting removes them already; this is a second guard."""
    people: dict[str, list[str]] = {}
    for platform, author in {(one.platform, one.author) for one in found}:
        people.setdefault(platform, []).append(author)
    out: set[tuple[str, str]] = set()
    with app.database.read() as session:
        for platform, users in people.items():
            for start in range(0, len(users), CHUNK):
                gone = app.optouts.among(session, platform, set(users[start : start + CHUNK]))
                out |= {(platform, user) for user in gone}
    return [one for one in found if (one.platform, one.author) not in out]


def check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME or not name.isprintable() or set(name) & set("/\\ "):
        raise UsageError(f"{name[:60]!r} is not a name: use one word without / and \\")
    if name.startswith((".", "-")):
        raise UsageError(f"{name!r}: a name must not begin with {name[0]}")


def unknown(name: str, known: list[str], what: str = "dataset") -> str:
    shown = f"; there are {', '.join(known[:20])}" if known else ""
    return f"no {what} {name!r}{shown}{did_you_mean(name, known)}"
