"""`tagecho forget`: a person or a post, what had something of it, what is still to be deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, UsageError
from bot.flow import forget as flow
from bot.platforms import registry
from bot.service.app import App, networks_of, opened
from bot.verbs import image_index
from bot.verbs.targets import PersonTarget, parse
from models.words import kept
from storage import dataset, retractions

_LISTS = ("snapshots", "exports", "models")
_WORDS = {
    "derived": "images made from them",
    "replies": "replies that were never sent",
    "deletions": "things on the network that the running service deletes",
    "published_replies_left": "published replies that cannot be deleted from here",
    "mentions": "mentions by others",
    "queries": "dataset queries that named them",
}


def forget(settings: Settings, target: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Counts of what was removed, and lists of what had it; `dry_run`: of what would be.

    Raises UsageError, NothingToDo.
    """
    with opened(settings) as app:
        wanted = parse(_as_stored(app, target.strip()))
        if isinstance(wanted, PersonTarget):
            _check_platform(app, wanted.platform, wanted.name)
            found = _forget_person(app, wanted, dry_run=dry_run)
        else:
            _check_platform(app, wanted.platform)
            found = flow.forget_post(app, wanted.platform, wanted.post_id, dry_run=dry_run)
        if not dry_run:
            image_index.prune(app.database, image_index.folder_of(settings))
            kept.forget(networks_of(settings))  # learned anew of those who are left
    return found


def _as_stored(app: App, target: str) -> str:
    """The address of a post as the network shows it: there it may have its author's name, or be on
    another server than the one that showed it to us."""
    if "/" not in target or "." not in target:
        return target
    address = target
    with app.database.read() as session:
        for platform in registry.every():
            name = platform.spelling.author_in(target)
            if name and (person := dataset.one_author(session, platform.name, name)):
                address = re.sub(re.escape(name), person, target, count=1, flags=re.IGNORECASE)
        row = dataset.post_at(session, address)
    return f"{row.platform}:post:{row.post_id}" if row else address


def _forget_person(app: App, person: PersonTarget, *, dry_run: bool) -> dict[str, Any]:
    """As the name is written, and else as its platform compares names: imported ones may differ.

    Raises NothingToDo.
    """
    is_id = partial(_is_id, person.platform)
    found = registry.find(person.platform)
    try:
        return flow.forget(app, person.platform, person.name, is_id, dry_run=dry_run)
    except NothingToDo:
        handle = found.spelling.handle(person.name) if found else person.name
        if handle == person.name:
            raise
        return flow.forget(app, person.platform, handle, is_id, dry_run=dry_run)


def _is_id(platform: str, name: str) -> bool:
    """Whether this can only be the id of a person; of a platform that we do not know, a number."""
    found = registry.find(platform)
    return found.spelling.is_user_id(name) if found else name.isdigit()


def deletions(settings: Settings, *, retry: bool) -> list[dict[str, Any]]:
    """What is to be deleted on the networks, was, or could not be. `retry`: the latter again."""
    with opened(settings) as app:
        if retry:
            with app.database.write() as session:
                retractions.again(session, utc_now())
        with app.database.read() as session:
            return [row.model_dump() for row in retractions.listing(session)]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each."""
    shown = [
        " ".join(
            (f"{row['state']:<8}", row["account"], row["kind"], row["remote_id"], row["error"])
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in shown or ["nothing was ever to be deleted"])


def lines(found: dict[str, Any]) -> Iterator[str]:
    """For a person to read."""
    for what, count in found.items():
        if what not in _LISTS:
            yield f"{count} {_WORDS.get(what, what)}"
    for one in found["snapshots"]:
        yield f"snapshot {one['dataset']}/{one['snapshot']}: its rows are blank now"
    for one in found["exports"]:
        yield f"export {one['path']} ({one['format']}) of {one['dataset']}/{one['snapshot']}"
    for one in found["models"]:
        model = one["model"] or "(none came out)"
        yield f"model {model}: learning run {one['run']}, {one['state']}"


def _check_platform(app: App, platform: str, name: str = "") -> None:
    """Those we work on, and those somebody was imported from; an id is kept out of any other, too.

    Raises UsageError.
    """
    if name and _is_id(platform, name):
        return
    with app.database.read() as session:
        if registry.find(platform) is None and not dataset.has_platform(session, platform):
            raise UsageError(
                f"there is nobody of a platform {platform!r}: say PLATFORM/USER, for example "
                f"{registry.names()[0]}/somebody"
            )
