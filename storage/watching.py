"""Pictures that are watched, how far what was collected is compared with them, and what was found.

A picture has a number that grows, and no number is given twice. So an image that was compared up to
a number is to be compared only with what came later, on either side.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, delete, func, or_, select

from storage.chunks import chunks
from storage.optouts import OptOuts
from storage.tables import (
    AuthorRow,
    BlobRow,
    MediaRow,
    MediaState,
    PostRow,
    WatchCheck,
    WatchedPicture,
    WatchMatch,
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A match with a post that has the image; it is there once for each of several posts."""

    picture: WatchedPicture
    match: WatchMatch
    platform: str
    url: str
    author: str
    taken_at: datetime


def pictures(session: Session) -> list[WatchedPicture]:
    return list(session.exec(select(WatchedPicture).order_by(col(WatchedPicture.id))))


def next_number(session: Session) -> int:
    """Above all that were ever compared with."""
    largest = [
        session.exec(select(func.max(column))).one() or 0
        for column in (WatchedPicture.id, WatchCheck.newest)
    ]
    return max(largest) + 1


def unwatch(session: Session, numbers: Collection[int]) -> None:
    """Forget these pictures and what was found of them."""
    for some in chunks(sorted(numbers)):
        session.exec(delete(WatchMatch).where(col(WatchMatch.picture).in_(some)))
        session.exec(delete(WatchedPicture).where(col(WatchedPicture.id).in_(some)))


def unchecked(session: Session, version: str, newest: int) -> list[tuple[str, int]]:
    """(SHA-256, number up to which it was compared) of stored images that are to be looked at."""
    statement = (
        select(MediaRow.sha256, WatchCheck.newest, WatchCheck.version)
        .outerjoin(WatchCheck, col(WatchCheck.sha256) == col(MediaRow.sha256))
        .where(
            MediaRow.state == MediaState.STORED,
            col(MediaRow.sha256).is_not(None),
            or_(
                col(WatchCheck.sha256).is_(None),
                WatchCheck.newest < newest,
                WatchCheck.version != version,
            ),
        )
        .order_by(col(MediaRow.id))
    )
    todo: dict[str, int] = {}
    for sha256, done, by in session.exec(statement):
        todo[sha256 or ""] = done if done and by == version else 0
    return list(todo.items())


def keep(session: Session, checks: Sequence[WatchCheck], matches: Sequence[WatchMatch]) -> None:
    """What was compared, with what was found. An image that went meanwhile is passed over."""
    wanted = [check.sha256 for check in checks]
    here = set(session.exec(select(BlobRow.sha256).where(col(BlobRow.sha256).in_(wanted))))
    watched = set(session.exec(select(WatchedPicture.id)))
    for check in checks:
        if check.sha256 in here:
            session.merge(check)
    for match in matches:
        if match.sha256 in here and match.picture in watched:
            session.merge(match)
    session.flush()


def found(session: Session, optouts: OptOuts, since: datetime | None = None) -> list[Sighting]:
    """Where watched pictures are, the newest finding first; who opted out is left out."""
    statement = (
        select(WatchMatch, WatchedPicture, PostRow, AuthorRow)
        .join(WatchedPicture, col(WatchedPicture.id) == col(WatchMatch.picture))
        .join(MediaRow, col(MediaRow.sha256) == col(WatchMatch.sha256))
        .join(PostRow, col(PostRow.id) == col(MediaRow.post))
        .join(
            AuthorRow,
            (col(AuthorRow.platform) == col(PostRow.platform))
            & (col(AuthorRow.user_id) == col(PostRow.author_id)),
            isouter=True,
        )
        .where(MediaRow.state == MediaState.STORED)
        .order_by(
            col(WatchMatch.found).desc(), col(WatchedPicture.path), col(PostRow.taken_at).desc()
        )
    )
    if since is not None:
        statement = statement.where(WatchMatch.found >= since)
    rows: list[Any] = list(session.exec(statement))
    gone = {
        platform: optouts.among(session, platform, {post.author_id for _, _, post, _ in rows})
        for platform in {post.platform for _, _, post, _ in rows}
    }
    return [
        Sighting(
            picture,
            match,
            post.platform,
            post.url,
            author.username if author else post.author_id,
            post.taken_at,
        )
        for match, picture, post, author in rows
        if post.author_id not in gone[post.platform]
    ]


def checked(session: Session) -> int:
    return int(session.exec(select(func.count()).select_from(WatchCheck)).one())
