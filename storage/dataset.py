"""The dataset: posts as first seen, their authors, images and later changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from bot.core import normal_form as text
from bot.core.errors import UsageError
from bot.core.events import Author, Media, Post
from storage import blobs, texts
from storage.derived import MAX_NAME, derive, usertags
from storage.tables import (
    AuthorName,
    AuthorRow,
    MediaRow,
    MediaState,
    PostMention,
    PostRevision,
    PostRow,
    PostTrack,
    Reply,
    ReplyState,
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
    tried: bool = True  # False: nobody was asked for it yet


@dataclass(frozen=True, slots=True)
class Stored:
    """A post of the dataset: our id of its row, and what the platform last said of it."""

    row: int
    post: Post


def known(session: Session, platform: str, post_ids: Sequence[str]) -> dict[str, int]:
    """Our ids of those posts that are already stored."""
    statement = select(PostRow.post_id, PostRow.id).where(
        PostRow.platform == platform, col(PostRow.post_id).in_(post_ids)
    )
    return {post_id: _id(row_id) for post_id, row_id in session.exec(statement)}


def post_at(session: Session, address: str) -> PostRow | None:
    """The post whose own address this is, with or without its scheme."""
    spelled = (address, f"https://{text.url(address)}")
    return session.exec(select(PostRow).where(col(PostRow.url).in_(spelled))).first()


def at_hand(
    session: Session, platform: str, people: Collection[str], rows: Collection[int], track: str
) -> list[Any]:
    """Load at once what `see`, `add` and `found_by` would look up for each of many posts.

    Keep the answer until they are done: a session forgets what nobody holds.
    """
    names = select(AuthorName).where(
        AuthorName.platform == platform, col(AuthorName.user_id).in_(people)
    )
    authors = select(AuthorRow).where(
        AuthorRow.platform == platform, col(AuthorRow.user_id).in_(people)
    )
    found = select(PostTrack).where(PostTrack.track == track, col(PostTrack.post).in_(rows))
    posts = select(PostRow).where(col(PostRow.id).in_(rows))
    return [one for some in (authors, names, posts, found) for one in session.exec(some)]


def add(session: Session, post: Post, images: Iterable[Fetched], now: datetime) -> int:
    """Store a post with its images. Returns our id.

    One that another account's worker stored a moment ago is only seen again.
    """
    if stored := known(session, post.platform, [post.post_id]):
        see(session, stored[post.post_id], post, now)
        return stored[post.post_id]
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
    derive(session, post_row, post, fresh=True)
    for image in images:
        session.add(_media_row(post_row, image))
        if image.sha256:
            blobs.link(session, image.sha256, image.size, image.mime, now)
    session.flush()
    return post_row


def add_media(session: Session, row_id: int, images: Iterable[Fetched], now: datetime) -> int:
    """Images of a stored post that it has not, or not yet. Returns how many were added."""
    rows = session.exec(select(MediaRow).where(MediaRow.post == row_id)).all()
    known = {row.index: row for row in rows}
    added = 0
    for image in images:
        row = known.get(image.media.index)
        if row is None:
            session.add(_media_row(row_id, image))
            if image.sha256:
                blobs.link(session, image.sha256, image.size, image.mime, now)
        elif row.state == MediaState.PENDING:
            settle_media(session, _id(row.id), image, now)
        else:
            continue
        added += 1
    session.flush()
    return added


def see(session: Session, row_id: int, post: Post, now: datetime) -> list[str]:
    """A stored post was seen again: record what changed. Returns the names of changed fields."""
    row = session.get_one(PostRow, row_id)
    see_author(session, post.author, now)
    row.last_seen = now
    if post.like_count is not None:  # some listings do not say
        row.like_count_latest = post.like_count
    if post.comment_count is not None:
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
        derive(session, row_id, post)
        session.flush()
    return changed


def latest_content(session: Session, row: PostRow) -> dict[str, Any]:
    """Caption, place and user tags as last seen: the first ones, then every revision."""
    row_id = _id(row.id)
    tags = session.exec(
        select(PostMention).where(PostMention.post == row_id, PostMention.media_index >= 0)
    )
    content: dict[str, Any] = {
        "caption": row.caption,
        "place": row.place,
        "usertags": _ordered([t.media_index, t.username, t.x, t.y] for t in tags),
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
        texts.note(session, row_id)


def see_author(session: Session, author: Author, now: datetime) -> None:
    row = session.get(AuthorRow, (author.platform, author.user_id))
    new = row is None
    username, full_name = storable(author.username)[:MAX_NAME], storable(author.full_name)
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
        if row.username:  # of a new person there is nothing to find yet
            texts.note_author(session, author.platform, author.user_id)
        row.username = username
    row.full_name = full_name or row.full_name
    row.is_private, row.last_seen = author.is_private, now
    if new:
        session.flush()  # before what refers to it
    _see_name(session, row, now)


def _see_name(session: Session, author: AuthorRow, now: datetime) -> None:
    key = (author.platform, author.user_id, author.username)
    name = session.get(AuthorName, key)
    if name is not None:
        name.last_seen = now
        return
    session.add(
        AuthorName(
            platform=author.platform,
            user_id=author.user_id,
            username=author.username,
            normal=text.username(author.username),
            first_seen=now,
            last_seen=now,
        )
    )


def pending_media(
    session: Session, platform: str, limit: int, max_attempts: int, *, tried: bool = False
) -> list[tuple[MediaRow, PostRow]]:
    """Images that could not be fetched yet and may be tried again, fewest attempts first.

    `tried`: only those that somebody asked for already.
    """
    statement = (
        select(MediaRow, PostRow)
        .join(PostRow, col(MediaRow.post) == col(PostRow.id))
        .where(
            PostRow.platform == platform,
            MediaRow.state == MediaState.PENDING,
            MediaRow.attempts < max_attempts,
            MediaRow.attempts >= int(tried),
            col(PostRow.deleted_at).is_(None),
        )
        .order_by(col(MediaRow.attempts), col(MediaRow.id))
        .limit(limit)
    )
    return list(session.exec(statement).all())


def untried_media(session: Session, platform: str, limit: int) -> list[MediaRow]:
    """Images that nobody asked for yet: first those that a reply waits for, then the oldest."""
    awaited = (
        select(Reply.id)
        .where(col(Reply.post) == col(MediaRow.post), Reply.state == ReplyState.QUEUED)
        .exists()
    )
    statement = (
        select(MediaRow)
        .join(PostRow, col(MediaRow.post) == col(PostRow.id))
        .where(
            PostRow.platform == platform,
            MediaRow.state == MediaState.PENDING,
            MediaRow.attempts == 0,
            col(PostRow.deleted_at).is_(None),
        )
        .order_by(awaited.desc(), col(MediaRow.id))
    )
    return list(session.exec(statement.limit(limit)))


def media_of(session: Session, posts: Collection[int]) -> list[MediaRow]:
    """The images of these posts."""
    if not posts:
        return []
    return list(session.exec(select(MediaRow).where(col(MediaRow.post).in_(posts))))


def settle_media(session: Session, media_id: int, image: Fetched, now: datetime) -> None:
    """A pending image was fetched, quarantined, or failed once more."""
    row = session.get(MediaRow, media_id)
    if row is None or row.state != MediaState.PENDING:
        return  # forgotten or settled while its bytes were on their way
    row.attempts += 1
    row.state, row.reason, row.notes = image.state, storable(image.reason), image.notes
    row.url = storable(image.media.url)
    row.sha256, row.width, row.height = image.sha256, image.width, image.height
    if image.sha256:
        blobs.link(session, image.sha256, image.size, image.mime, now)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A person who has, or had, a name; when we saw them by it."""

    user_id: str
    first_seen: datetime
    last_seen: datetime
    latest: bool  # whether it is the last name we saw of them

    def __str__(self) -> str:
        until = "" if self.latest else f" until {self.last_seen:%Y-%m-%d}"
        return f"{self.user_id} (since {self.first_seen:%Y-%m-%d}{until})"


def bearers(session: Session, platform: str, name: str) -> list[Bearer]:
    """Everybody of whom something is stored under a user id or a present or former user name.

    A name is found as it is written, else in any spelling. Who has it now comes first.
    """
    person = session.get(AuthorRow, (platform, name))
    if person is not None:
        return [Bearer(name, person.first_seen, person.last_seen, latest=True)]
    statement = (
        select(AuthorName, AuthorRow)
        .join(
            AuthorRow,
            (col(AuthorRow.platform) == col(AuthorName.platform))
            & (col(AuthorRow.user_id) == col(AuthorName.user_id)),
        )
        .where(AuthorName.platform == platform, AuthorName.normal == text.username(name))
        .order_by((col(AuthorRow.username) == col(AuthorName.username)).desc())
        .order_by(col(AuthorRow.last_seen).desc())
    )
    rows = list(session.exec(statement))
    found: dict[str, Bearer] = {}
    for known, author in [row for row in rows if row[0].username == name] or rows:
        latest = author.username == known.username
        bearer = Bearer(author.user_id, known.first_seen, known.last_seen, latest)
        found.setdefault(author.user_id, bearer)
    return list(found.values())


def find_author(session: Session, platform: str, name: str) -> str | None:
    """The user id behind a user id or a present or former user name (the latest bearer wins)."""
    return next((one.user_id for one in bearers(session, platform, name)), None)


def one_author(session: Session, platform: str, name: str) -> str | None:
    """The same, where it matters that nobody else is meant: a name that changed hands is refused.

    Raises UsageError with the ids of all who had it.
    """
    found = bearers(session, platform, name)
    if len(found) > 1:
        people = ", ".join(map(str, found))
        raise UsageError(
            f"{platform}/{name} is the name of {len(found)} people: {people}; "
            f"say which by id, as in {platform}/{found[0].user_id}"
        )
    return found[0].user_id if found else None


def names_of(session: Session, platform: str, user_id: str) -> frozenset[str]:
    """Every name we saw of a person, in the normal form."""
    return names_of_all(session, platform, [user_id]).get(user_id, frozenset())


def names_of_all(
    session: Session, platform: str, people: Collection[str]
) -> dict[str, frozenset[str]]:
    """The same of many people; of whom there is none, there is no entry."""
    statement = select(AuthorName.user_id, AuthorName.normal).where(
        AuthorName.platform == platform, col(AuthorName.user_id).in_(people)
    )
    found: dict[str, set[str]] = {}
    for user_id, name in session.exec(statement):
        found.setdefault(user_id, set()).add(name)
    return {user_id: frozenset(names) for user_id, names in found.items()}


def has_platform(session: Session, platform: str) -> bool:
    """Whether anybody of it is known."""
    someone = select(AuthorRow.user_id).where(AuthorRow.platform == platform)
    return session.exec(someone.limit(1)).first() is not None


def counts(session: Session) -> dict[str, int]:
    """Posts, and images by state."""
    result = {"posts": session.exec(select(func.count()).select_from(PostRow)).one()}
    by_state = session.exec(
        select(MediaRow.state, func.count()).group_by(col(MediaRow.state))
    ).all()
    return result | {f"images_{state}": n for state, n in by_state}


def _revise(session: Session, row_id: int, field: str, old: Any, new: Any, now: datetime) -> None:
    session.add(PostRevision(post=row_id, seen_at=now, field=field, old=old, new=new))


def _content(post: Post) -> dict[str, Any]:
    """The fields whose change counts as an edit."""
    return {
        "caption": storable(post.caption),
        "place": storable(asdict(post.place)) if post.place else None,
        "usertags": _ordered([t.media_index, t.username, t.x, t.y] for t in usertags(post)),
    }


def _content_hash(post: Post) -> str:
    return hashlib.sha256(json.dumps(_content(post), sort_keys=True).encode()).hexdigest()


def _ordered(tags: Iterable[list[Any]]) -> list[list[Any]]:
    """By image and name, in Python: databases sort text in different ways."""
    return sorted(tags, key=lambda tag: tag[:2])


def _media_row(row_id: int, image: Fetched) -> MediaRow:
    return MediaRow(
        post=row_id,
        index=image.media.index,
        kind=image.media.kind,
        url=storable(image.media.url),
        state=image.state,
        reason=storable(image.reason),
        notes=image.notes,
        attempts=int(image.tried),
        sha256=image.sha256,
        width=image.width,
        height=image.height,
    )


def _id(value: int | None) -> int:
    if value is None:
        raise ValueError("row has no id yet: flush first")
    return value
