"""The dataset: posts as first seen, their authors, images and later changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, delete, or_, select, update

from bot.events import Author, Media, Post
from storage import blobs
from storage.tables import (
    Artifact,
    AuthorName,
    AuthorRow,
    MediaRow,
    MediaState,
    PostHashtag,
    PostMention,
    PostRevision,
    PostRow,
    PostTrack,
    Reply,
    ReplyState,
    ReplyStep,
)
from storage.text import storable

DELETED = "deleted"  # the `field` of a revision that records a deletion


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one image: stored bytes, or why there are none."""

    media: Media
    state: MediaState
    sha256: str | None = None
    size: int = 0
    mime: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""
    notes: str = ""


def known(session: Session, platform: str, post_ids: Sequence[str]) -> dict[str, int]:
    """Our ids of those posts that are already stored."""
    statement = select(PostRow.post_id, PostRow.id).where(
        PostRow.platform == platform, col(PostRow.post_id).in_(post_ids)
    )
    return {post_id: _id(row_id) for post_id, row_id in session.exec(statement)}


def add(session: Session, post: Post, images: Iterable[Fetched], now: datetime) -> int:
    """Store a post that is not stored yet, with its images. Returns our id."""
    see_author(session, post.author, now)
    row = PostRow(
        platform=post.platform,
        post_id=post.post_id,
        author_id=post.author.user_id,
        url=storable(post.url),
        caption=storable(post.caption),
        place=storable(asdict(post.place)) if post.place else None,
        like_count=post.like_count,
        comment_count=post.comment_count,
        like_count_latest=post.like_count,
        comment_count_latest=post.comment_count,
        pinned=post.pinned,
        taken_at=post.taken_at,
        first_seen=now,
        last_seen=now,
        content_hash=_content_hash(post),
        raw=storable(post.raw),
    )
    session.add(row)
    session.flush()
    post_row = _id(row.id)
    session.add_all(_hashtags(post_row, post) + _mentions(post_row, post))
    for image in images:
        session.add(_media_row(post_row, image))
        if image.sha256:
            blobs.link(session, image.sha256, image.size, image.mime, now)
    session.flush()
    return post_row


def see(session: Session, row_id: int, post: Post, now: datetime) -> list[str]:
    """A stored post was seen again: record what changed. Returns the names of changed fields."""
    row = session.get_one(PostRow, row_id)
    see_author(session, post.author, now)
    row.last_seen = now
    row.like_count_latest = post.like_count
    row.comment_count_latest = post.comment_count
    changed = []
    if row.deleted_at is not None:
        changed.append(DELETED)  # it came back: archived posts do
        _revise(session, row_id, DELETED, row.deleted_at.isoformat(), None, now)
        row.deleted_at = None
    content_hash = _content_hash(post)
    if content_hash != row.content_hash:
        before, after = latest_content(session, row), _content(post)
        for name, new in after.items():
            if before[name] != new:
                changed.append(name)
                _revise(session, row_id, name, before[name], new, now)
        row.content_hash = content_hash
    session.flush()
    return changed


def latest_content(session: Session, row: PostRow) -> dict[str, Any]:
    """Caption, place and user tags as last seen: the first ones, then every revision."""
    row_id = _id(row.id)
    tags = session.exec(
        select(PostMention)
        .where(PostMention.post == row_id, PostMention.media_index >= 0)
        .order_by(col(PostMention.media_index), col(PostMention.username))
    )
    content: dict[str, Any] = {
        "caption": row.caption,
        "place": row.place,
        "usertags": [[t.media_index, t.username, t.x, t.y] for t in tags],
    }
    revisions = session.exec(
        select(PostRevision).where(PostRevision.post == row_id).order_by(col(PostRevision.id))
    )
    content.update({r.field: r.new for r in revisions if r.field in content})
    return content


def mark_deleted(session: Session, row_id: int, now: datetime, why: str) -> None:
    """The source is gone; the row stays and says since when. Marking twice changes nothing."""
    row = session.get_one(PostRow, row_id)
    if row.deleted_at is None:
        row.deleted_at = now
        _revise(session, row_id, DELETED, None, why, now)


def found_by(
    session: Session, row_id: int, track: str, dataset: str, decision: str, now: datetime
) -> None:
    """Note which track found a post; the first finding stays."""
    if session.get(PostTrack, (row_id, track)) is None:
        session.add(
            PostTrack(post=row_id, track=track, dataset=dataset, found_at=now, decision=decision)
        )
        session.flush()


def see_author(session: Session, author: Author, now: datetime) -> None:
    row = session.get(AuthorRow, (author.platform, author.user_id))
    username, full_name = storable(author.username), storable(author.full_name)
    if row is None:
        row = AuthorRow(
            platform=author.platform,
            user_id=author.user_id,
            username="",
            first_seen=now,
            last_seen=now,
        )
        session.add(row)
    if row.username != username:
        row.username = username
        if session.get(AuthorName, (author.platform, author.user_id, username)) is None:
            session.add(
                AuthorName(
                    platform=author.platform,
                    user_id=author.user_id,
                    username=username,
                    first_seen=now,
                )
            )
    row.full_name = full_name or row.full_name
    row.is_private, row.last_seen = author.is_private, now
    session.flush()


def pending_media(
    session: Session, platform: str, limit: int, max_attempts: int
) -> list[tuple[MediaRow, PostRow]]:
    """Images that could not be fetched yet and may be tried again, fewest attempts first."""
    statement = (
        select(MediaRow, PostRow)
        .join(PostRow, col(MediaRow.post) == col(PostRow.id))
        .where(
            PostRow.platform == platform,
            MediaRow.state == MediaState.PENDING,
            MediaRow.attempts < max_attempts,
            col(PostRow.deleted_at).is_(None),
        )
        .order_by(col(MediaRow.attempts), col(MediaRow.id))
        .limit(limit)
    )
    return list(session.exec(statement).all())


def settle_media(session: Session, media_id: int, image: Fetched, now: datetime) -> None:
    """A pending image was fetched, quarantined, or failed once more."""
    row = session.get_one(MediaRow, media_id)
    if row.state != MediaState.PENDING:
        return
    row.attempts += 1
    row.state, row.reason, row.notes = image.state, image.reason, image.notes
    row.url = storable(image.media.url)
    row.sha256, row.width, row.height = image.sha256, image.width, image.height
    if image.sha256:
        blobs.link(session, image.sha256, image.size, image.mime, now)


def forget(session: Session, platform: str, user_id: str) -> tuple[dict[str, int], list[str]]:
    """Remove everything of a person. Returns counts, and the blobs to delete after commit.

    Replies already on the network keep their row, stripped to what is needed to find them again.
    """
    post_ids = [
        _id(i)
        for i in session.exec(
            select(PostRow.id).where(PostRow.platform == platform, PostRow.author_id == user_id)
        )
    ]
    originals = [
        sha
        for sha in session.exec(select(MediaRow.sha256).where(col(MediaRow.post).in_(post_ids)))
        if sha
    ]
    dead = blobs.unlink(session, originals)
    derived = list(session.exec(select(Artifact).where(col(Artifact.source_sha256).in_(dead))))
    dead += blobs.unlink(session, [artifact.sha256 for artifact in derived])
    for artifact in derived:
        session.delete(artifact)
    replies, sent = _forget_replies(session, platform, user_id)
    for table in (PostTrack, PostMention, PostHashtag, PostRevision, MediaRow):
        session.exec(delete(table).where(col(table.post).in_(post_ids)))
    session.exec(delete(PostRow).where(col(PostRow.id).in_(post_ids)))
    for person in (AuthorName, AuthorRow):
        session.exec(
            delete(person).where(col(person.platform) == platform, col(person.user_id) == user_id)
        )
    named = session.exec(delete(PostMention).where(col(PostMention.user_id) == user_id))
    counts = {
        "posts": len(post_ids),
        "images": len(originals),
        "derived": len(derived),
        "replies": replies,
        "published_replies_left": sent,
        "mentions": named.rowcount,
    }
    return counts, dead


def find_author(session: Session, platform: str, name: str) -> str | None:
    """The user id behind a user id or a present or former user name (the latest bearer wins)."""
    if session.get(AuthorRow, (platform, name)) is not None:
        return name
    statement = (
        select(AuthorName.user_id)
        .join(
            AuthorRow,
            (col(AuthorRow.platform) == col(AuthorName.platform))
            & (col(AuthorRow.user_id) == col(AuthorName.user_id)),
        )
        .where(
            AuthorName.platform == platform,
            or_(AuthorName.username == name, AuthorRow.username == name),
        )
        .order_by((col(AuthorRow.username) == name).desc(), col(AuthorRow.last_seen).desc())
    )
    return session.exec(statement).first()


def counts(session: Session) -> dict[str, int]:
    """Posts, and images by state."""
    result = {"posts": session.exec(select(func.count()).select_from(PostRow)).one()}
    by_state = session.exec(
        select(MediaRow.state, func.count()).group_by(col(MediaRow.state))
    ).all()
    return result | {f"images_{state}": n for state, n in by_state}


def _forget_replies(session: Session, platform: str, user_id: str) -> tuple[int, int]:
    mine = (col(Reply.platform) == platform, col(Reply.author_id) == user_id)
    visible = (ReplyState.SENT, ReplyState.UNKNOWN, ReplyState.SENDING)
    gone = session.exec(delete(Reply).where(*mine, col(Reply.state).not_in(visible)))
    session.exec(
        update(ReplyStep)
        .where(col(ReplyStep.reply).in_(select(Reply.id).where(*mine)))
        .values(text="")
    )
    kept = session.exec(
        update(Reply)
        .where(*mine)
        .values(
            author_id="",
            post=None,
            facts={},
            before_sha256=None,
            mask_sha256=None,
            after_sha256=None,
        )
    )
    return gone.rowcount, kept.rowcount


def _revise(session: Session, row_id: int, field: str, old: Any, new: Any, now: datetime) -> None:
    session.add(PostRevision(post=row_id, seen_at=now, field=field, old=old, new=new))


def _content(post: Post) -> dict[str, Any]:
    """The fields whose change counts as an edit."""
    tags = sorted(
        ([t.media_index, t.username, t.x, t.y] for t in post.usertags), key=lambda tag: tag[:2]
    )
    content = {
        "caption": post.caption,
        "place": asdict(post.place) if post.place else None,
        "usertags": tags,
    }
    return {name: storable(value) for name, value in content.items()}


def _content_hash(post: Post) -> str:
    return hashlib.sha256(json.dumps(_content(post), sort_keys=True).encode()).hexdigest()


def _hashtags(row_id: int, post: Post) -> list[Any]:
    return [PostHashtag(post=row_id, hashtag=tag) for tag in dict.fromkeys(storable(post.hashtags))]


def _mentions(row_id: int, post: Post) -> list[Any]:
    rows = {
        (-1, name): PostMention(post=row_id, media_index=-1, username=name)
        for name in storable(post.mentions)
    }
    for tag in post.usertags:
        name = storable(tag.username)
        rows[tag.media_index, name] = PostMention(
            post=row_id,
            media_index=tag.media_index,
            username=name,
            user_id=tag.user_id,
            x=tag.x,
            y=tag.y,
        )
    return list(rows.values())


def _media_row(row_id: int, image: Fetched) -> MediaRow:
    return MediaRow(
        post=row_id,
        index=image.media.index,
        kind=image.media.kind,
        url=storable(image.media.url),
        state=image.state,
        reason=image.reason,
        notes=image.notes,
        attempts=1,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
    )


def _id(value: int | None) -> int:
    if value is None:
        raise ValueError("row has no id yet: flush first")
    return value
