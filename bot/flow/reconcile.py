"""Writes of unknown outcome: read the platform back before anything is sent again."""

from __future__ import annotations

import structlog

from bot.errors import TagechoError
from bot.events import Reading, Verdict
from bot.flow.policy import Clock, Policy, utc_now
from bot.flow.publish import as_step, known_author
from bot.platforms.base import Platform
from storage import outbox, steps
from storage.database import Database
from storage.tables import Reply, ReplyState, ReplyStep, StepState

log = structlog.get_logger()
S = ReplyState
READINGS = 2  # spaced looks before a conclusion


class Reconciler:
    """Settles unknown writes of one account. Belongs to the account's thread."""

    def __init__(self, database: Database, platform: Platform, clock: Clock = utc_now) -> None:
        self._database = database
        self._platform = platform
        self._clock = clock

    def next(self, policy: Policy) -> bool:
        """Read back the write whose reading is due longest. False when there is none."""
        now = self._clock()
        with self._database.read() as session:
            due = steps.doubtful(session, self._platform.account, now)
            if not due:
                return False
            reply, row = due[0]
            rows = steps.of_reply(session, reply.id or 0, row.way)
            author = known_author(session, reply)
        outputs: dict[str, str] = {}
        for earlier in rows[: row.seq]:
            outputs |= earlier.outputs
        try:
            reading = self._platform.find(
                as_step(reply, author, row, outputs), row.started_at or reply.created
            )
        except TagechoError as error:
            reading = Reading(Verdict.UNKNOWN, detail=f"{type(error).__name__}: {error}")
        self._conclude(reply, row, reading, policy)
        return True

    def _conclude(self, reply: Reply, row: ReplyStep, reading: Reading, policy: Policy) -> None:
        now, step_id = self._clock(), steps.step_id(row)
        log.info(
            "reconciled",
            reply=reply.id,
            step=step_id,
            verdict=reading.verdict,
            detail=reading.detail,
        )
        with self._database.write() as session:
            if session.get_one(ReplyStep, step_id).state != StepState.UNKNOWN:
                return  # a person decided meanwhile
            if reading.verdict is Verdict.APPLIED and reading.receipt is not None:
                steps.finish(session, step_id, reading.receipt, now)
                outbox.move(
                    session,
                    reply.id or 0,
                    S.UNKNOWN,
                    S.APPROVED,
                    who="reconcile",
                    why=f"found: {reading.detail}",
                    now=now,
                    not_before=now,
                )
                return
            number = len(row.readings) + 1
            done = number >= READINGS
            steps.note_reading(
                session,
                step_id,
                reading.verdict,
                reading.detail,
                now,
                None if done else now + policy.reads[1],
            )
            verdicts = [r["verdict"] for r in row.readings] + [reading.verdict.value]
            if done and set(verdicts) == {Verdict.ABSENT.value}:
                steps.replan(session, step_id, f"absent in {number} readings")
                outbox.move(
                    session,
                    reply.id or 0,
                    S.UNKNOWN,
                    S.APPROVED,
                    who="reconcile",
                    why=f"absent in {number} readings",
                    now=now,
                    not_before=now,
                )
            elif done:
                outbox.hold(
                    session,
                    reply.id or 0,
                    now,
                    f"cannot tell whether it was sent: {reading.detail}",
                    now,
                )
