"""The gate's rules alone: facts and a policy in, an answer out."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.flow import caps, gate
from bot.flow.gate import Answer, Brakes, Go, Hold, ReplyFacts, Stop, ask, ask_between_writes
from bot.flow.policy import Policy
from bot.flow.quiet_hours import QuietHours
from storage.tables import ReplyState as S

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
SOON = NOON + gate.RETRY_HOLD
FINE = ReplyFacts(
    now=NOON, paused=False, opted_out=False, half_out=False, approved=True,
    expires_at=NOON + timedelta(hours=1), sent_today=0, sent_to_author_today=0,
)  # fmt: skip
POLICY = Policy(per_day=3, per_author_per_day=1)
QUIET = QuietHours(time(11), time(13))


@pytest.mark.parametrize(
    ("facts", "policy", "answer"),
    [
        ({}, {}, Go()),
        ({"paused": True}, {}, Hold(SOON, "paused by the operator")),
        ({}, {"enabled": False}, Hold(SOON, "replies are switched off")),
        ({}, {"dry_run": True}, Stop(S.DRY_RUN, "dry run")),
        ({"approved": False}, {}, Stop(S.AWAITING_APPROVAL, "approval was switched on")),
        ({"approved": False}, {"approval": False}, Go()),
        ({"expires_at": NOON}, {}, Stop(S.EXPIRED, "waited too long")),
        ({}, {"quiet": QUIET}, Hold(NOON + timedelta(hours=1), "quiet hours")),
        ({"sent_today": 2}, {}, Go()),
        ({"sent_today": 3}, {}, Hold(MIDNIGHT, "the cap of 3 a day is reached")),
        (
            {"sent_to_author_today": 1}, {},
            Hold(MIDNIGHT, "the cap of 1 a day for this author is reached"),
        ),
        ({"opted_out": True}, {}, Go()),  # the fresh post decides: it says who its author is
    ],
)  # fmt: skip
def test_each_rule(facts: dict[str, Any], policy: dict[str, Any], answer: Answer) -> None:
    assert ask(replace(FINE, **facts), replace(POLICY, **policy)) == answer


@pytest.mark.parametrize(
    ("facts", "policy", "answer"),
    [
        ({}, {}, Go()),
        ({"approved": False, "expires_at": NOON, "sent_today": 9}, {}, Go()),
        ({}, {"quiet": QUIET}, Go()),
        ({"opted_out": True}, {}, Stop(S.CANCELLED, "opted out: the rest stays")),
        ({"paused": True, "opted_out": True}, {}, Hold(SOON, "paused by the operator")),
        ({}, {"dry_run": True}, Hold(SOON, "dry run")),
    ],
)
def test_what_is_half_out_is_finished(
    facts: dict[str, Any], policy: dict[str, Any], answer: Answer
) -> None:
    assert ask(replace(FINE, half_out=True, **facts), replace(POLICY, **policy)) == answer


def test_the_order_of_the_rules() -> None:
    """The first reason is the one that an operator reads."""
    facts = replace(FINE, paused=True, approved=False, expires_at=NOON, sent_today=3)
    policy, said = replace(POLICY, quiet=QUIET), []
    for change in ({"paused": False}, {"approved": True}, {"expires_at": MIDNIGHT}):
        said.append(ask(facts, policy))
        facts = replace(facts, **change)  # type: ignore[arg-type]
    said += [ask(facts, policy), ask(facts, POLICY)]
    first = [a.reason.split()[0] for a in said if isinstance(a, Hold | Stop)]
    assert first == ["paused", "approval", "waited", "quiet", "the"]


@pytest.mark.parametrize(
    ("facts", "policy", "answer"),
    [
        ({}, {}, Go()),
        ({"paused": True}, {}, Hold(SOON, "paused by the operator")),
        ({"opted_out": True}, {}, Hold(NOON, "opted out")),
        ({"paused": True, "opted_out": True}, {}, Hold(SOON, "paused by the operator")),
        ({}, {"enabled": False}, Hold(SOON, "replies are switched off")),
        ({"half_out": True}, {"enabled": False}, Hold(SOON, "replies are switched off")),
        ({}, {"dry_run": True}, Hold(NOON, "dry run")),
        ({"half_out": True}, {"dry_run": True}, Hold(SOON, "dry run")),
        ({"approved": False}, {}, Hold(NOON, "approval was switched on")),
        ({"approved": False, "half_out": True}, {}, Go()),
        ({"half_out": True, "opted_out": True}, {}, Hold(NOON, "opted out: the rest stays")),
        ({}, {"quiet": QUIET, "per_day": 0}, Go()),  # these are for beginnings
    ],
)
def test_between_two_writes(facts: dict[str, Any], policy: dict[str, Any], answer: Answer) -> None:
    brakes = Brakes(NOON, paused=False, opted_out=False, half_out=False, approved=True)
    assert ask_between_writes(replace(brakes, **facts), replace(POLICY, **policy)) == answer


def test_the_gate_is_pure() -> None:
    """It reads no clock, no database and no network: what it imports are values."""
    allowed = {
        gate: {"__future__", "dataclasses", "datetime", "bot.flow", "bot.flow.policy"}
        | {"storage.tables"},
        caps: {"__future__", "bot.flow.policy"},
    }
    for module, values in allowed.items():
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        assert {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)} == values
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import)]


def test_one_module_sends() -> None:
    """`Platform.send` has one caller."""
    root = Path(gate.__file__).parents[1]
    callers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "send"
        and ast.unparse(node.func.value).endswith("platform")
    }
    assert callers == {"flow/sending.py"}
