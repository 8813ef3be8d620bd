"""Writes of unknown outcome: read the platform back before anything is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlmodel import Session, col, select

from bot.core.clock import Clock, utc_now
from bot.core.errors import AuthError, LoginRequired, NetworkError, RateLimited, TargetGone
from bot.core.events import Presence, Reading, Receipt
from bot.flow.forget import Files, gone_at_source
from bot.flow.policy import Policy
from bot.flow.sending import as_step, known_author, pause_after
from bot.platforms.base import Platform
from bot.platforms.reply_modes import StepKind
from storage import outbox, steps
from storage.database import Database
from storage.tables import Reply, ReplyState, ReplyStep, StepState

log = structlog.get_logger()
S = ReplyState
READINGS = 2  # spaced looks before a conclusion
MAX_SENDS = 2  # of one write without a person: what was absent twice may be sent once more


class Reconciler:
    """Settles unknown writes of one account. Belongs to the account's thread."""

    def __init__(
        self,
        database: Database,
        platform: Platform,
        clock: Clock = utc_now,
        files: Sequence[Files] = (),
    ) -> None:
        """`files`: where images of a removed post lie."""
        self._database = database
        self._platform = platform
        self._clock = clock
        self._files = files

    def next(self, policy: Policy) -> bool:
        """Read back the write that has been due longest. False when none is due."""
        now = self._clock()
        with self._database.read() as session:
            due = steps.doubtful(session, self._platform.account, now)
            if not due:
                return False
            reply, row = due[0]
            rows = steps.of_reply(session, reply.id or 0, row.way)
            author = known_author(session, reply)
        lost = False
        outputs: dict[str, str] = {}
        for earlier in rows[: row.seq]:
            outputs |= earlier.outputs
        try:
            reading = self._platform.find(
                as_step(reply, author, row, outputs), row.started_at or reply.created
            )
        except (RateLimited, AuthError) as error:
            self._postpone(row, error)
            if isinstance(error, LoginRequired):
                raise
            return True
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nothing was learnt
            log.warning("reading failed", reply=reply.id, error=str(error))
            reading = Reading(Presence.UNKNOWN, detail=f"{type(error).__name__}: {error}")
            lost = isinstance(error, TargetGone)
        self._conclude(reply, row, reading, policy)
        if lost and reply.post is not None:
            self._look_for_source(reply.source_post, reply.post, policy)
        return True

    def _kind(self, row: ReplyStep) -> StepKind:
        return self._platform.ways.step(row.kind)

    def _look_for_source(self, post_id: str, row_id: int, policy: Policy) -> None:
        """Comments that cannot be read may be closed to us, so the post itself is read."""
        try:
            self._platform.post(post_id)
        except TargetGone as error:
            treat, now = policy.deleted_posts, self._clock()
            gone_at_source(self._database, self._files, row_id, treat, now, str(error))
        except (NetworkError, RateLimited, AuthError) as error:
            log.info("source check skipped", post=post_id, error=str(error))

    def _postpone(self, row: ReplyStep, error: RateLimited | AuthError) -> None:
        """The platform was not asked, or must not be asked: this does not count as a reading."""
        read_at = self._clock() + pause_after(error)
        log.info("reading postponed", step=row.id, until=read_at, error=str(error))
        with self._database.write() as session:
            steps.postpone(session, steps.step_id(row), read_at)

    def _conclude(self, reply: Reply, row: ReplyStep, reading: Reading, policy: Policy) -> None:
        now, step_id = self._clock(), steps.step_id(row)
        log.info(
            "write reconciled",
            reply=reply.id,
            step=step_id,
            verdict=reading.verdict,
            detail=reading.detail,
        )
        with self._database.write() as session:
            state = session.get_one(ReplyStep, step_id).state
            if state != StepState.UNKNOWN:  # a person decided meanwhile
                if state == StepState.PLANNED and reading.receipt is not None:
                    steps.finish(session, step_id, reading.receipt, now)  # but it is there
                return
            if reading.receipt is not None and _belongs_to_another(session, row, reading.receipt):
                reading = Reading(Presence.UNKNOWN, detail="what was found is another reply's")
            if reading.verdict is Presence.APPLIED and reading.receipt is not None:
                steps.finish(session, step_id, reading.receipt, now)
                _go_on(session, reply, f"found: {reading.detail}", now)
                return
            number = len(row.readings) + 1
            done = number >= READINGS or self._kind(row).repeatable
            steps.note_reading(
                session,
                step_id,
                reading.verdict,
                reading.detail,
                now,
                None if done else now + policy.reads[1],
            )
            verdicts = [r["verdict"] for r in row.readings] + [reading.verdict.value]
            absent = set(verdicts) == {Presence.ABSENT.value}
            if done and absent and (row.sends < MAX_SENDS or self._kind(row).repeatable):
                steps.replan(session, step_id, f"absent in {number} readings")
                _go_on(session, reply, f"absent in {number} readings", now)
            elif done:
                why = (
                    "not there, however often it is sent"
                    if absent
                    else "cannot tell if it was sent"
                )
                outbox.hold(session, reply.id or 0, now, f"{why}: {reading.detail}", now)


def _go_on(session: Session, reply: Reply, why: str, now: datetime) -> None:
    """The outcome is known: the publisher sends the rest."""
    outbox.move(
        session,
        reply.id or 0,
        S.UNKNOWN,
        S.APPROVED,
        who="reconcile",
        why=why,
        now=now,
        not_before=now,
    )


def _belongs_to_another(session: Session, row: ReplyStep, receipt: Receipt) -> bool:
    """A listing may show less than would tell two replies to one person apart."""
    statement = select(ReplyStep.id).where(
        ReplyStep.remote_id == receipt.remote_id,
        ReplyStep.kind == row.kind,
        col(ReplyStep.id) != row.id,
    )
    return bool(receipt.remote_id) and session.exec(statement).first() is not None
