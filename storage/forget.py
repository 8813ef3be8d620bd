"""Everything of one person out of the database, on their wish."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlmodel import Session, col, delete, or_, select, update

from storage import blobs, outbox
from storage.steps import UPLOADS
from storage.tables import (
    Artifact,
    AuthorName,
    AuthorRow,
    MediaRow,
    PostMention,
    PostRow,
    Reply,
    ReplyState,
    ReplyStep,
    StepState,
)


def forget(
    session: Session, platform: str, user_id: str, now: datetime | None = None
) -> tuple[dict[str, int], list[str]]:
    """Remove everything of a person. Returns counts, and the blobs to delete after commit.

    Replies of which something is, or may be, on the network keep their row, stripped to what is
    needed to find them again; those that were still to be continued are cancelled.
    """
    theirs = select(PostRow.id).where(PostRow.platform == platform, PostRow.author_id == user_id)
    images = select(MediaRow.sha256).where(col(MediaRow.post).in_(theirs))
    originals = [sha256 for sha256 in session.exec(images) if sha256]
    dead = blobs.unlink(session, originals)
    derived = [
        artifact
        for sha256 in dead
        for artifact in session.exec(select(Artifact).where(Artifact.source_sha256 == sha256))
    ]
    dead += blobs.unlink(session, [artifact.sha256 for artifact in derived])
    for artifact in derived:
        session.delete(artifact)
    replies, sent = _forget_replies(session, platform, user_id, now or datetime.now(UTC))
    posts = session.exec(  # with their images, tags, tracks and revisions: they cascade
        delete(PostRow).where(col(PostRow.platform) == platform, col(PostRow.author_id) == user_id)
    )
    mentions = _forget_mentions(session, platform, user_id)
    for person in (AuthorName, AuthorRow):
        session.exec(
            delete(person).where(col(person.platform) == platform, col(person.user_id) == user_id)
        )
    counts = {
        "posts": posts.rowcount,
        "images": len(originals),
        "derived": len(derived),
        "replies": replies,
        "published_replies_left": sent,
        "mentions": mentions,
    }
    return counts, dead


def _forget_replies(
    session: Session, platform: str, user_id: str, now: datetime
) -> tuple[int, int]:
    """How many were removed, and how many were kept without their content."""
    outbox.cancel_waiting(
        session, platform, author_id=user_id, why="the person was forgotten", now=now
    )
    mine = (col(Reply.platform) == platform, col(Reply.author_id) == user_id)
    visible = (ReplyState.SENT, ReplyState.UNKNOWN, ReplyState.SENDING)
    traces = select(ReplyStep.reply).where(
        col(ReplyStep.state).in_((StepState.DONE, StepState.SENDING, StepState.UNKNOWN)),
        col(ReplyStep.kind).not_in(UPLOADS),
    )
    gone = session.exec(
        delete(Reply).where(*mine, col(Reply.state).not_in(visible), col(Reply.id).not_in(traces))
    )
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


def _forget_mentions(session: Session, platform: str, user_id: str) -> int:
    """In other people's posts: tags in images, and every name they had, in captions."""
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
