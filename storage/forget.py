"""Everything of one person, or of one post, out of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, delete, or_, select, update

from storage import blobs, masks, old_exports, outbox, retractions, snapshots, texts
from storage.old_exports import Contained
from storage.tables import (
    Artifact,
    AuthorName,
    AuthorRow,
    CommentRow,
    Curation,
    HashtagLabel,
    ImageLabel,
    LabelScore,
    LearningAuthor,
    LearningRun,
    MediaRow,
    MediaState,
    PostMention,
    PostRow,
    Reply,
    ReplyState,
    ReplyStep,
    StepState,
    Verdict,
)

CHUNK = 500  # a database takes only so many parameters at once


@dataclass(slots=True)
class Removed:
    """What was removed, by kind, and the blobs whose files are to be deleted after commit."""

    counts: dict[str, int]
    dead: list[str]
    contained: Contained = field(default_factory=Contained)
    originals: list[str] = field(default_factory=list)  # also those that somebody else posted

    def __iter__(self) -> Iterator[Any]:
        """(counts, dead): all that most callers ask."""
        return iter((self.counts, self.dead))


def forget(session: Session, platform: str, user_id: str, now: datetime | None = None) -> Removed:
    """Remove everything of a person.

    Replies of which something is, or may be, on the network keep their row, stripped to what is
    needed to find them again, and what they show is to be deleted there (`storage.retractions`);
    those that were still to be continued are cancelled.
    """
    now = now or datetime.now(UTC)
    theirs = (col(PostRow.platform) == platform) & (col(PostRow.author_id) == user_id)
    posts, images, derived, dead, contained = _forget_posts(session, theirs)
    outbox.cancel_waiting(
        session, platform, author_id=user_id, why="the person was forgotten", now=now
    )
    replies = _forget_replies(
        session, (col(Reply.platform) == platform) & (col(Reply.author_id) == user_id), now
    )
    mentions = _forget_mentions(session, platform, user_id)
    comments = session.exec(
        delete(CommentRow).where(
            col(CommentRow.platform) == platform, col(CommentRow.author_id) == user_id
        )
    ).rowcount
    queries = snapshots.forget_person(session, platform, _names(session, platform, user_id))
    contained.models = _unlearn(session, platform, user_id)
    for person in (AuthorName, AuthorRow):
        session.exec(
            delete(person).where(col(person.platform) == platform, col(person.user_id) == user_id)
        )
    counts = {
        "posts": posts,
        "images": len(images),
        "derived": derived,
        **replies,
        "mentions": mentions,
        "comments": comments,
        "queries": queries,
    }
    return Removed(counts, dead, contained, images)


def forget_post(
    session: Session,
    platform: str,
    post_id: str,
    now: datetime,
    why: str = "the post was forgotten",
) -> Removed:
    """The same for one post. Of its author only what other posts say stays."""
    this = (col(PostRow.platform) == platform) & (col(PostRow.post_id) == post_id)
    row = session.exec(select(PostRow).where(this)).first()
    models = _learned_from(session, row) if row is not None else []
    author = row.author_id if row is not None else ""
    posts, images, derived, dead, contained = _forget_posts(session, this)
    outbox.cancel_waiting(session, platform, source_post=post_id, why=why, now=now)
    replies = _forget_replies(
        session, (col(Reply.platform) == platform) & (col(Reply.source_post) == post_id), now
    )
    _forget_stranger(session, platform, author)
    contained.models = models
    counts = {"posts": posts, "images": len(images), "derived": derived, **replies}
    return Removed(counts, dead, contained, images)


def forget_images(session: Session, row_id: int, why: str) -> Removed:
    """The images of a post and all that was made from them; what the post says stays."""
    this = col(MediaRow.post) == row_id
    images, derived, dead, contained = _forget_images(session, this)
    session.exec(
        update(MediaRow)
        .where(this)
        .values(state=MediaState.GONE, reason=why, sha256=None, width=0, height=0, notes="")
    )
    _forget_measurements(session, row_id)
    texts.note(session, row_id)  # it was found by what was said of its images, too
    counts = {"images": len(images), "derived": derived}
    return Removed(counts, dead, contained, images)


def _forget_posts(
    session: Session, which: ColumnElement[bool]
) -> tuple[int, list[str], int, list[str], Contained]:
    """Their rows with images, tags, tracks, revisions, verdicts and comments: they cascade."""
    theirs = col(MediaRow.post).in_(select(PostRow.id).where(which))
    images, derived, dead, contained = _forget_images(session, theirs)
    posts = session.exec(delete(PostRow).where(which)).rowcount
    return posts, images, derived, dead, contained


def _forget_images(
    session: Session, which: ColumnElement[bool]
) -> tuple[list[str], int, list[str], Contained]:
    """Blobs that nobody else posted, and all that was made from those; rows of snapshots.

    Returns the originals, how many derived images there were, the dead blobs, and what had them.
    """
    rows = session.exec(select(MediaRow.id, MediaRow.sha256).where(which)).all()
    contained = old_exports.contained(session, [media or 0 for media, _ in rows])
    originals = [sha256 for _, sha256 in rows if sha256]
    dead = blobs.unlink(session, originals)
    derived = [
        artifact
        for sha256 in dead
        for artifact in session.exec(select(Artifact).where(Artifact.source_sha256 == sha256))
    ]
    gone = list(dead)
    dead += blobs.unlink(session, [artifact.sha256 for artifact in derived])
    dead += masks.forget(session, gone)
    for artifact in derived:
        session.delete(artifact)
    session.flush()
    return originals, len(derived), dead, contained


def _forget_replies(session: Session, mine: ColumnElement[bool], now: datetime) -> dict[str, int]:
    """How many were removed, how many things are to be deleted on the network, and of how many
    replies something may be there that nobody can name."""
    visible = (ReplyState.SENT, ReplyState.UNKNOWN, ReplyState.SENDING)
    traces = select(ReplyStep.reply).where(
        col(ReplyStep.state).in_((StepState.DONE, StepState.SENDING, StepState.UNKNOWN)),
        col(ReplyStep.visible),
    )
    gone = session.exec(
        delete(Reply).where(mine, col(Reply.state).not_in(visible), col(Reply.id).not_in(traces))
    ).rowcount
    deletions = left = 0
    kept = session.exec(select(Reply).where(mine)).all()
    for reply in kept:
        shown = retractions.of_reply(session, reply, now)
        deletions += shown
        left += not shown
    ids = [reply.id for reply in kept]
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        session.exec(update(ReplyStep).where(col(ReplyStep.reply).in_(some)).values(text=""))
        session.exec(
            update(Reply)
            .where(col(Reply.id).in_(some))
            .values(
                author_id="",
                post=None,
                text="",
                facts={},
                before_sha256=None,
                mask_sha256=None,
                after_sha256=None,
            )
        )
    return {"replies": gone, "deletions": deletions, "published_replies_left": left}


def _forget_mentions(session: Session, platform: str, user_id: str) -> int:
    """Remove a person from other people's posts: tags in images, and every name in captions."""
    names = select(AuthorName.username).where(
        AuthorName.platform == platform, AuthorName.user_id == user_id
    )
    here = select(PostRow.id).where(PostRow.platform == platform)
    by_name = (col(PostMention.user_id) == "") & col(PostMention.username).in_(names)
    return session.exec(
        delete(PostMention).where(
            or_(col(PostMention.user_id) == user_id, by_name), col(PostMention.post).in_(here)
        )
    ).rowcount


def _forget_stranger(session: Session, platform: str, user_id: str) -> None:
    """Remove a person of whom no post is left."""
    others = select(PostRow.id).where(PostRow.platform == platform, PostRow.author_id == user_id)
    if user_id and session.exec(others.limit(1)).first() is None:
        for person in (AuthorName, AuthorRow):
            session.exec(
                delete(person).where(
                    col(person.platform) == platform, col(person.user_id) == user_id
                )
            )


def _forget_measurements(session: Session, row_id: int) -> None:
    media = select(MediaRow.id).where(MediaRow.post == row_id)
    for measured in (Curation, Verdict, ImageLabel):
        session.exec(delete(measured).where(col(measured.media).in_(media)))
    for table in (LabelScore, HashtagLabel):
        session.exec(delete(table).where(col(table.post) == row_id))


def _names(session: Session, platform: str, user_id: str) -> list[str]:
    """The id and every name they had."""
    known = select(AuthorName.username).where(
        AuthorName.platform == platform, AuthorName.user_id == user_id
    )
    return [user_id, *session.exec(known)]


def _unlearn(session: Session, platform: str, user_id: str) -> list[dict[str, Any]]:
    """Remove the record of which runs learned from a person's images; returns those runs."""
    mine = (col(LearningAuthor.platform) == platform) & (col(LearningAuthor.user_id) == user_id)
    found = [_run(run) for run in _runs(session, mine)]
    session.exec(delete(LearningAuthor).where(mine))
    return found


def _learned_from(session: Session, post: PostRow) -> list[dict[str, Any]]:
    """Runs that learned from its author when the post was there: which of their images each saw is
    not written down, so these may have seen it."""
    mine = (col(LearningAuthor.platform) == post.platform) & (
        col(LearningAuthor.user_id) == post.author_id
    )
    return [_run(run) for run in _runs(session, mine) if run.newest_post >= (post.id or 0)]


def _runs(session: Session, mine: ColumnElement[bool]) -> Sequence[LearningRun]:
    ids = select(LearningAuthor.run).where(mine)
    statement = select(LearningRun).where(col(LearningRun.id).in_(ids))
    return session.exec(statement.order_by(col(LearningRun.id))).all()


def _run(run: LearningRun) -> dict[str, Any]:
    return {"run": run.id, "state": run.state, "model": run.model_version}
