"""What may be learned from, runs of `tagecho learn`, and whose images each learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from storage import human_labels, masks, mined
from storage.labels import tagged_posts
from storage.optouts import OptOuts
from storage.tables import (
    Curation,
    LearningAuthor,
    LearningRun,
    MediaRow,
    MediaState,
    PostRow,
    Reply,
    ReplyState,
    Verdict,
)

ALL = "all"  # in place of the names of checks
TAUGHT = "taught"  # among the facts of a run: of how many people, when it learned from them


class RunState(StrEnum):
    RUNNING = "running"  # or interrupted: the next `tagecho learn` continues it
    PROMOTED = "promoted"  # its network was proved to be better and is in service
    KEPT_OUT = "kept_out"  # its network was not proved to be better
    FAILED = "failed"  # no network was made; `reason` says why
    CANCELLED = "cancelled"  # a person whose images it used was forgotten


@dataclass(frozen=True, slots=True)
class TrainingPicture:
    """A stored image that may be learned from, with what its (first) post says of it."""

    sha256: str
    post: int
    author: str  # PLATFORM/USER_ID
    hashtags: tuple[str, ...]


def held_out(author: str) -> bool:
    """One author in five is never trained on, for good: evaluation asks for their images."""
    return hashlib.sha256(author.encode()).digest()[0] % 5 == 0


def learnable(
    session: Session, optouts: OptOuts, leave_out: Collection[str] = (ALL,), most: int | None = None
) -> list[TrainingPicture]:
    """Each image once, those first of which a person drew a mask, then those that were mined
    (`storage.mined`), then the newest posts; at most `most`.

    Left out: what is quarantined, near duplicates, images with a verdict of a check that
    `leave_out` names ("all": of any), unless a person accepted them; what a person rejected, posts
    that were deleted, and people who opted out, also where somebody else posted the same bytes.
    """
    here = tagged_posts(session, optouts)  # without the people who left
    posts = human_labels.believed(session, here)
    judged = _judged(session, leave_out) - human_labels.accepted(session)
    shunned = _gone(session, {post.id for post in here}) | judged
    deleted = set(session.exec(select(PostRow.id).where(col(PostRow.deleted_at).is_not(None))))
    found: dict[str, TrainingPicture] = {}
    for post in sorted(posts, key=lambda post: post.id):
        if post.id not in deleted:
            for sha256 in post.images:
                picture = TrainingPicture(sha256, post.id, post.author, post.hashtags)
                found.setdefault(sha256, picture)
    kept = [picture for picture in found.values() if picture.sha256 not in shunned]
    drawn = masks.drawn(session)
    hard = mined.images(session)
    kept.sort(
        key=lambda one: (one.sha256 not in drawn, one.sha256 not in hard, -one.post, one.sha256)
    )
    return kept[:most]


def still_here(session: Session, optouts: OptOuts) -> set[str]:
    """SHA-256 of the stored images of people who did not leave."""
    posts = tagged_posts(session, optouts)
    gone = _gone(session, {post.id for post in posts})
    return {sha256 for post in posts for sha256 in post.images} - gone


def _gone(session: Session, here: Collection[int]) -> set[str]:
    """Images that a person who left has posted, too."""
    stored = select(MediaRow.sha256, MediaRow.post).where(MediaRow.state == MediaState.STORED)
    return {sha256 for sha256, post in session.exec(stored) if sha256 and post not in here}


def _judged(session: Session, leave_out: Collection[str]) -> set[str]:
    """Near duplicates, and images that did not pass one of these checks."""
    copies = select(MediaRow.sha256).join(Curation, col(Curation.media) == col(MediaRow.id))
    judged = select(MediaRow.sha256).join(Verdict, col(Verdict.media) == col(MediaRow.id))
    if ALL not in leave_out:
        judged = judged.where(col(Verdict.check).in_(list(leave_out)))
    found = set(session.exec(judged))
    found |= set(session.exec(copies.where(col(Curation.original).is_not(None))))
    return {sha256 for sha256 in found if sha256}


# --- runs ---------------------------------------------------------------------------------------


def begin(session: Session, recipe: dict[str, Any], now: datetime) -> LearningRun:
    newest = session.exec(select(func.max(PostRow.id))).one()
    run = LearningRun(
        state=RunState.RUNNING, newest_post=newest or 0, facts={"recipe": recipe}, started=now
    )
    session.add(run)
    session.flush()
    return run


def note(
    session: Session, run_id: int, facts: dict[str, Any] | None = None, **columns: Any
) -> None:
    """Change columns of a run, and add to its facts."""
    run = session.get_one(LearningRun, run_id)
    if facts:
        run.facts = {**run.facts, **facts}
    for name, value in columns.items():
        setattr(run, name, value)
    session.add(run)


def finish(
    session: Session, run_id: int, state: RunState, reason: str, now: datetime, **columns: Any
) -> None:
    note(session, run_id, state=state, reason=reason, finished=now, **columns)


def learned_from(session: Session, run_id: int, authors: Iterable[str]) -> None:
    """`authors`: PLATFORM/USER_ID. Adding one twice changes nothing."""
    for author in sorted(set(authors)):
        platform, _, user_id = author.partition("/")
        session.merge(LearningAuthor(run=run_id, platform=platform, user_id=user_id))
    session.flush()
    note(session, run_id, {TAUGHT: len(taught(session, run_id))})


def taught(session: Session, run_id: int) -> set[str]:
    """PLATFORM/USER_ID of those whose images a run learned from, but who was forgotten."""
    rows = session.exec(select(LearningAuthor).where(LearningAuthor.run == run_id))
    return {f"{row.platform}/{row.user_id}" for row in rows}


def teachers_gone(session: Session, optouts: OptOuts, run: LearningRun) -> int:
    """How many of those whose images a run learned from were forgotten, or opted out, since."""
    known: dict[str, set[str]] = {}
    for author in taught(session, run.id or 0):
        platform, _, user_id = author.partition("/")
        known.setdefault(platform, set()).add(user_id)
    there = sum(len(ids - optouts.among(session, name, ids)) for name, ids in known.items())
    before = run.facts.get(TAUGHT, run.facts.get("data", {}).get("authors", 0))
    return max(0, int(before) - there)


def made(session: Session, version: str) -> LearningRun | None:
    """The newest run that this network came out of."""
    statement = select(LearningRun).where(LearningRun.model_version == version)
    return session.exec(statement.order_by(col(LearningRun.id).desc())).first()


def unfinished(session: Session) -> LearningRun | None:
    """The newest run that is under way or was broken off."""
    statement = select(LearningRun).where(LearningRun.state == RunState.RUNNING)
    return session.exec(statement.order_by(col(LearningRun.id).desc())).first()


def runs(session: Session, limit: int = 10) -> list[LearningRun]:
    """The newest first."""
    statement = select(LearningRun).order_by(col(LearningRun.id).desc()).limit(limit)
    return list(session.exec(statement))


def new_posts(session: Session, since: int) -> int:
    """How many posts came after the one with this number."""
    counted = select(func.count()).select_from(PostRow).where(col(PostRow.id) > since)
    return session.exec(counted).one()


def replies_waiting(session: Session, now: datetime) -> int:
    """Replies that are being rendered, or could be at once."""
    due = (
        (col(Reply.state) == ReplyState.QUEUED)
        & (col(Reply.not_before) <= now)
        & (col(Reply.expires_at) > now)
    )
    busy = col(Reply.state) == ReplyState.RENDERING
    return session.exec(select(func.count()).select_from(Reply).where(or_(due, busy))).one()
