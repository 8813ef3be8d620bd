"""Take a person or a post out: dataset, images, replies — and keep them out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, Protocol

import structlog
from sqlmodel import Session, col, select

from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, UsageError
from bot.core.normal_form import username
from bot.flow.policy import Deleted
from storage import dataset, outbox
from storage import forget as removal
from storage.blobs import BlobStore
from storage.database import Database
from storage.forget import Removed
from storage.optouts import OptOuts
from storage.tables import CommentRow, PostRow

log = structlog.get_logger()


class Files(Protocol):
    """Something that holds files by SHA-256."""

    def remove(self, hashes: Collection[str], /) -> None: ...


class Stores(Protocol):
    """Where a person may have left something."""

    @property
    def database(self) -> Database: ...

    @property
    def originals(self) -> BlobStore: ...

    @property
    def artifacts(self) -> BlobStore: ...

    @property
    def runs(self) -> Files: ...

    @property
    def optouts(self) -> OptOuts: ...


def forget(
    stores: Stores,
    platform: str,
    name: str,
    is_id: Callable[[str], bool] = str.isdigit,
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Remove everything of this user (name, former name or user id), and leave a tombstone.

    Returns counts of what was removed, and the snapshots, exports and models that had something of
    it; `dry_run`: of what would be, and nothing changes. Raises NothingToDo for somebody we never
    saw under that name, UsageError for a name that several people had.
    """
    now = utc_now()
    with stores.database.write() as session:
        user_id = _whom(session, platform, name)
        if user_id is None and is_id(name):
            user_id = name  # never collected, but the id is enough to keep them out
        if user_id is None:
            raise NothingToDo(
                f"nobody on {platform} was collected as {name!r}; "
                "with the user id they are kept out all the same"
            )
        stores.optouts.add(session, platform, user_id, now)
        # An export may name their posts and hide who they are, under a key that is no more.
        theirs = select(PostRow.post_id).where(
            PostRow.platform == platform, PostRow.author_id == user_id
        )
        stores.optouts.add_posts(session, platform, session.exec(theirs).all(), now)
        removed = removal.forget(session, platform, user_id, now)
        if dry_run:
            session.rollback()
            return _found(removed)
        stores.runs.remove(removed.originals)  # now: no row will say later whose they were
    return _done(stores, removed, "person", platform)


def forget_post(
    stores: Stores, platform: str, post_id: str, *, dry_run: bool = False
) -> dict[str, Any]:
    """Remove one post, and keep it out. A post that was never collected is kept out, too."""
    now = utc_now()
    with stores.database.write() as session:
        stores.optouts.add_posts(session, platform, [post_id], now)
        removed = removal.forget_post(session, platform, post_id, now)
        if dry_run:
            session.rollback()
            return _found(removed)
        stores.runs.remove(removed.originals)
    return _done(stores, removed, "post", platform)


def source_deleted(
    session: Session, row_id: int, treat: Deleted, now: datetime, why: str
) -> list[str]:
    """A post is gone at its source: treat it as the operator chose, and answer it no more.

    Returns blobs whose files are to be removed after commit.
    """
    row = session.get(PostRow, row_id)
    if row is None:
        return []
    if treat is Deleted.REMOVE:
        reason = "the source was deleted"
        return removal.forget_post(session, row.platform, row.post_id, now, reason).dead
    dataset.mark_deleted(session, row_id, now, why)
    outbox.cancel_waiting(
        session, row.platform, source_post=row.post_id, why="the source was deleted", now=now
    )
    if treat is Deleted.METADATA:
        return removal.forget_images(session, row_id, "the source was deleted").dead
    return []


def gone_at_source(
    database: Database,
    files: Iterable[Files],
    row_id: int,
    treat: Deleted,
    now: datetime,
    why: str,
) -> None:
    """`source_deleted` in its own transaction; it also deletes the files."""
    with database.write() as session:
        dead = source_deleted(session, row_id, treat, now, why)
    drop(files, dead)
    log.info("source deleted", post=row_id, reason=why)


def drop(stores: Iterable[Files], dead: Collection[str]) -> None:
    """Delete files, after the transaction that ended their rows."""
    for store in stores:
        store.remove(dead)


def _done(stores: Stores, removed: Removed, what: str, platform: str) -> dict[str, Any]:
    drop((stores.originals, stores.artifacts), removed.dead)
    log.info("rows removed", of=what, platform=platform, **removed.counts)
    return _found(removed)


def _found(removed: Removed) -> dict[str, Any]:
    return {**removed.counts, **removed.contained.as_dict()}


def _whom(session: Session, platform: str, name: str) -> str | None:
    """The user id of a name, also of a person of whom only a comment was collected.

    Raises UsageError when several people had the name.
    """
    user_id = dataset.one_author(session, platform, name)
    if user_id == name:
        return user_id
    spellings = (name, username(name))
    statement = select(CommentRow.author_id).where(
        CommentRow.platform == platform,
        col(CommentRow.username).in_(spellings) | (CommentRow.author_id == name),
    )
    people = sorted({*session.exec(statement), *([user_id] if user_id else [])})
    if name in people:
        return name
    if len(people) > 1:
        raise UsageError(
            f"{platform}/{name} is the name of {len(people)} people: {', '.join(people)}; "
            f"say which by id, as in {platform}/{people[0]}"
        )
    return people[0] if people else None
