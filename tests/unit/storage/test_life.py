"""The life of a reply under random moves, writes, decisions, waits and crashes."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.core.errors import UsageError
from bot.core.events import Receipt
from storage import outbox, steps
from storage.outbox import NEXT, TERMINAL
from storage.steps import PlannedStep
from storage.tables import ReplyState, StepState
from tests.databases import NOW, in_memory, queue_reply
from tests.replies import DECISIONS, HOUR, MAY, log, read_reply, step_states

S = ReplyState
STATES = st.sampled_from(S)


class Life(RuleBasedStateMachine):
    """Whatever people, workers, clocks and crashes do, the log tells an allowed story."""

    @initialize()
    def start(self) -> None:
        self.database = in_memory()
        self.now = NOW
        with self.database.write() as session:
            reply_id = queue_reply(session)
            assert reply_id is not None
            self.reply = reply_id
            rows = steps.plan(
                session,
                self.reply,
                0,
                "post",
                [PlannedStep(k, k, "", k != "upload", k) for k in ("upload", "post")],
            )
            self.steps = [steps.step_id(row) for row in rows]
        self.ended: str | None = None

    @rule(old=STATES, data=st.data())
    def move(self, old: ReplyState, data: st.DataObject) -> None:
        if old in NEXT:
            new = data.draw(st.sampled_from(sorted(NEXT[old])))
            here = self.state() == old
            with self.database.write() as session:
                assert outbox.move(session, self.reply, old, new, who="w", now=self.now) is here

    @rule(step=st.integers(0, 1), what=st.sampled_from(["begin", "finish", "doubt", "refuse"]))
    def write(self, step: int, what: str) -> None:
        step_id = self.steps[step]
        with self.database.write() as session:
            if what == "begin":
                steps.begin(session, step_id, self.now)
            elif what == "finish":
                steps.finish(session, step_id, Receipt("1"), self.now)
            elif what == "doubt":
                steps.doubt(session, step_id, "?", self.now)
            else:
                steps.refuse(session, step_id, "no", self.now)

    @rule(verb=st.sampled_from(sorted(DECISIONS)))
    def decide(self, verb: str) -> None:
        allowed = self.state() in MAY[verb]
        with (
            self.database.write() as session,
            nullcontext() if allowed else pytest.raises(UsageError),
        ):
            DECISIONS[verb](session, self.reply, NOW)

    @rule(hours=st.integers(0, 30))
    def wait(self, hours: int) -> None:
        self.now += hours * HOUR
        with self.database.write() as session:
            outbox.expire(session, self.now)

    @rule()
    def crash(self) -> None:
        sending = self.state() == S.SENDING
        with self.database.write() as session:
            outbox.recover(session, "main", self.now)
        assert self.state() not in (S.RENDERING, S.SENDING)
        if sending:
            steps_now = set(step_states(self.database, self.reply).values())
            assert StepState.SENDING not in steps_now
            assert (self.state() == S.UNKNOWN) is (StepState.UNKNOWN in steps_now)

    @rule()
    def source_deleted(self) -> None:
        with self.database.write() as session:
            outbox.cancel_waiting(session, "instagram", source_post="p1", why="gone", now=self.now)

    @rule()
    def trigger_again(self) -> None:
        with self.database.write() as session:
            assert queue_reply(session) is None

    @invariant()
    def the_log_is_the_story(self) -> None:
        story = log(self.database, self.reply)
        assert story[0][:2] == ("", "queued")
        for before, (old, new, _who, _why) in pairwise(story):
            assert old == before[1]
            assert new in NEXT[S(old)]
        assert self.state() == story[-1][1]

    @invariant()
    def the_end_is_the_end(self) -> None:
        if self.ended is not None:
            assert self.state() == self.ended
        elif self.state() in TERMINAL - set(NEXT):
            self.ended = self.state()

    def state(self) -> str:
        return read_reply(self.database, self.reply).state

    def teardown(self) -> None:
        self.database.close()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=30)
