"""Sending: one network write of a reply, its journal, and what each outcome means.

Only this module calls `Platform.send`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from sqlmodel import Session

from bot.core.clock import Clock, utc_now
from bot.core.errors import (
    ActionBlocked,
    AuthError,
    LoginRequired,
    OutcomeUnknown,
    RateLimited,
    Refused,
)
from bot.core.events import Author, Step
from bot.flow.gate import RETRY_HOLD, Brakes, Hold, ReplyFacts, ask_between_writes
from bot.flow.policy import Policy
from bot.platforms.base import Platform
from bot.platforms.reply_modes import StepKind
from storage import outbox, pauses, steps
from storage.blobs import BlobStore
from storage.database import Database
from storage.optouts import OptOuts
from storage.tables import AuthorRow, Reply, ReplyState, ReplyStep

log = structlog.get_logger()
S = ReplyState
MAX_UPLOADS = 3
AUTH_HOLD = timedelta(hours=1)
LEAST_HOLD, LONGEST_HOLD = 1.0, 86400.0  # seconds, whatever the platform or the pacer says
UPLOAD_HOLD = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Channel:
    """What an account sends through, and where it writes down what it did."""

    database: Database
    artifacts: BlobStore
    optouts: OptOuts
    platform: Platform
    clock: Clock = utc_now

    def move(
        self,
        session: Session,
        reply: Reply,
        old: ReplyState,
        new: ReplyState,
        why: str,
        **values: object,
    ) -> bool:
        moved = outbox.move(
            session, reply_id(reply), old, new, who="publish", why=why, now=self.clock(), **values
        )
        if moved:
            log.info("reply moved", reply=reply.id, post=reply.source_post, state=new, reason=why)
        return moved

    def opted_out(self, session: Session, author: Author, post_id: str) -> bool:
        """Whether the author or the source opted out. A row without ids was stripped for that
        reason.
        """
        person = author.user_id
        posts = {post_id: person}
        return not person or bool(self.optouts.unwelcome(session, author.platform, posts))

    def brakes(self, session: Session, reply: Reply, author: Author) -> Brakes:
        return Brakes(
            now=self.clock(),
            paused=pauses.paused(session, reply.account),
            opted_out=self.opted_out(session, author, reply.source_post),
            half_out=steps.visible(session, reply_id(reply)),
            approved=bool(reply.approved_by),
        )

    def facts(self, session: Session, reply: Reply, policy: Policy) -> ReplyFacts:
        """What the gate wants to know of a reply, from the database alone."""
        brakes = self.brakes(session, reply, known_author(session, reply))
        start, _ = policy.day(brakes.now)
        account, author = reply.account, reply.author_id
        return ReplyFacts(
            now=brakes.now,
            paused=brakes.paused,
            opted_out=brakes.opted_out,
            half_out=brakes.half_out,
            approved=brakes.approved,
            expires_at=reply.expires_at,
            sent_today=outbox.sent_since(session, account, start),
            sent_to_author_today=outbox.sent_since(session, account, start, author),
        )


@dataclass(frozen=True, slots=True)
class Sending:
    """The writes of one reply, one at a time. Belongs to the account's thread."""

    channel: Channel
    reply: Reply
    author: Author
    in_force: Callable[[], Policy]  # asked again before each write: a reload may have come

    def send(self, row: ReplyStep, mode: str, outputs: dict[str, str]) -> ReplyStep | None:
        """One write. The row as it is now, or None when the reply is no longer `sending`.

        `outputs` are what the writes before it gave. Raises LoginRequired.
        """
        step_id = steps.step_id(row)
        if not self._begin(step_id):
            return None
        source = self.reply.source_post
        bound = log.bind(reply=self.reply.id, step=step_id, kind=row.kind, post=source)
        try:
            receipt = self.channel.platform.send(self._step(row, mode, outputs))
        except (Refused, ActionBlocked) as error:
            if self._was_in_doubt(step_id):
                self._in_doubt(row, f"refused when sent again, so it may be there: {error}")
                return None
            if isinstance(error, Refused):
                return self._refused(row, error)
            return self._blocked(row, error)
        except (RateLimited, AuthError) as error:
            return self._not_applied(row, error)
        except OutcomeUnknown as error:
            bound.warning("outcome unknown", error=str(error))
            self._in_doubt(row, str(error))
            return None
        except Exception as error:  # noqa: BLE001
            # A fault of ours after the request may have left: the only safe reading is "unknown".
            bound.exception("send broke")
            self._in_doubt(row, f"{type(error).__name__}: {error}")
            return None
        with self.channel.database.write() as session:
            steps.finish(session, step_id, receipt, self.channel.clock())
            bound.info("step sent", remote=receipt.remote_id)
            return session.get_one(ReplyStep, step_id)

    def move(
        self, session: Session, old: ReplyState, new: ReplyState, why: str, **values: object
    ) -> bool:
        return self.channel.move(session, self.reply, old, new, why, **values)

    def _begin(self, step_id: int) -> bool:
        """Ask the gate once more, and commit that the write is on its way."""
        with self.channel.database.write() as session:
            answer = ask_between_writes(
                self.channel.brakes(session, self.reply, self.author), self.in_force()
            )
            if isinstance(answer, Hold):
                self.move(session, S.SENDING, S.APPROVED, answer.reason, not_before=answer.until)
                return False
            return steps.begin(session, step_id, self.channel.clock())  # else somebody has it

    def _kind(self, row: ReplyStep) -> StepKind:
        return self.channel.platform.ways.step(row.kind)

    def _was_in_doubt(self, step_id: int) -> bool:
        """Whether an earlier send had an unknown outcome: "already used" then proves nothing."""
        with self.channel.database.read() as session:
            row = session.get_one(ReplyStep, step_id)
        return not self._kind(row).repeatable and row.sends > 1

    def _step(self, row: ReplyStep, mode: str, outputs: dict[str, str]) -> Step:
        step = as_step(self.reply, self.author, row, outputs)
        if not self._kind(row).image:
            return step
        width, height = self.reply.facts["compose"]["sizes"][mode]
        image = self.channel.artifacts.get(self.reply.facts["after"][mode])
        return replace(step, image=image, size=(width, height))

    def _refused(self, row: ReplyStep, error: Exception) -> ReplyStep:
        with self.channel.database.write() as session:
            steps.refuse(session, steps.step_id(row), str(error), self.channel.clock())
            return session.get_one(ReplyStep, steps.step_id(row))

    def _blocked(self, row: ReplyStep, error: ActionBlocked) -> ReplyStep | None:
        """The platform blocked this kind of action: this write is not tried again, in any mode.

        The circuit breaker holds the next replies.
        """
        refused = self._refused(row, error)
        if self._kind(row).optional:
            return refused
        with self.channel.database.write() as session:
            self.move(session, S.SENDING, S.FAILED, f"blocked by the platform: {error}")
        return None

    def _not_applied(self, row: ReplyStep, error: RateLimited | AuthError) -> ReplyStep | None:
        """Nothing was applied, and not for a reason in this reply: it waits for better times.
        A comment does not: the image is out, and a late comment would only puzzle."""
        if self._kind(row).optional:
            return self._refused(row, error)
        with self.channel.database.write() as session:
            steps.unsend(session, steps.step_id(row), str(error))
            until = self.channel.clock() + pause_after(error)
            self.move(session, S.SENDING, S.APPROVED, str(error), not_before=until)
        if isinstance(error, LoginRequired):
            raise error
        return None

    def _in_doubt(self, row: ReplyStep, why: str) -> None:
        step_id, now = steps.step_id(row), self.channel.clock()
        with self.channel.database.write() as session:
            sends = session.get_one(ReplyStep, step_id).sends
            if not self._kind(row).repeatable:
                steps.doubt(session, step_id, why, now + self.in_force().reads[0])
                self.move(session, S.SENDING, S.UNKNOWN, why)
            elif sends < MAX_UPLOADS:
                steps.replan(session, step_id, why)
                self.move(session, S.SENDING, S.APPROVED, why, not_before=now + UPLOAD_HOLD)
            else:
                steps.refuse(session, step_id, why, now)
                self.move(session, S.SENDING, S.FAILED, f"upload keeps failing: {why}")


def as_step(reply: Reply, author: Author, row: ReplyStep, outputs: dict[str, str]) -> Step:
    """The write that a row stands for, without its image."""
    return Step(
        kind=row.kind,
        token=row.token,
        source_post_id=reply.source_post,
        source_url=reply.source_url,
        author=author,
        text=row.text,
        alt_text=reply.facts.get("alt_text", ""),
        inputs=outputs,
        started_at=row.started_at,
    )


def known_author(session: Session, reply: Reply) -> Author:
    """The author of the source as stored; only the id is sure when the row is gone."""
    row = session.get(AuthorRow, (reply.platform, reply.author_id))
    return Author(reply.platform, reply.author_id, row.username if row else "")


def pause_after(error: Exception) -> timedelta:
    """The time until the next try: long enough that a thread does not spin, and bounded."""
    if isinstance(error, RateLimited) and error.retry_after:
        return timedelta(seconds=min(max(LEAST_HOLD, error.retry_after), LONGEST_HOLD))
    if isinstance(error, LoginRequired):
        return RETRY_HOLD  # one login is worth a try, and what follows it says more
    return AUTH_HOLD if isinstance(error, AuthError) else RETRY_HOLD


def reply_id(reply: Reply) -> int:
    if reply.id is None:
        raise ValueError("reply has no id yet: flush first")
    return reply.id
