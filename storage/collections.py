"""How far bulk collections have come, and the comments they brought."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from bot.core.events import Comment
from storage.tables import Collection, CommentRow, PostRow, PostTrack
from storage.text import storable


def state_of(session: Session, key: str, now: datetime) -> Collection:
    """The row of this target; a new one when it was never collected."""
    state = session.get(Collection, key)
    if state is None:
        state = Collection(key=key, updated=now)
        session.add(state)
        session.flush()
    return state


def found_count(session: Session, track: str) -> int:
    """How many stored posts this track found, whoever polled it."""
    statement = select(func.count()).select_from(PostTrack).where(PostTrack.track == track)
    return session.exec(statement).one()


def found(session: Session, platform: str, track: str, post_ids: Iterable[str]) -> set[str]:
    """Those of the posts that this track found before."""
    statement = (
        select(PostRow.post_id)
        .join(PostTrack, col(PostTrack.post) == col(PostRow.id))
        .where(
            PostRow.platform == platform,
            PostTrack.track == track,
            col(PostRow.post_id).in_(list(post_ids)),
        )
    )
    return set(session.exec(statement).all())


def comment_counts(session: Session, posts: Iterable[int]) -> dict[int, int]:
    """How many comments are stored of each of these posts; none: not in it."""
    statement = (
        select(CommentRow.post, func.count())
        .where(col(CommentRow.post).in_(list(posts)))
        .group_by(col(CommentRow.post))
    )
    return dict(session.exec(statement).all())


def keep_comments(
    session: Session, platform: str, post: int, said: Iterable[Comment], now: datetime
) -> int:
    """Store comments that are not stored yet. Returns how many were new."""
    fresh = {comment.comment_id: comment for comment in said}
    known = select(CommentRow.comment_id).where(
        CommentRow.platform == platform, col(CommentRow.comment_id).in_(fresh)
    )
    for comment_id in session.exec(known).all():
        del fresh[comment_id]
    for comment in fresh.values():
        session.add(
            CommentRow(
                platform=platform,
                comment_id=comment.comment_id,
                post=post,
                author_id=comment.author.user_id,
                username=storable(comment.author.username),
                text=storable(comment.text),
                created_at=comment.created_at,
                first_seen=now,
            )
        )
    session.flush()
    return len(fresh)
