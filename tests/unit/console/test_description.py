"""The API does what its description says, whatever is sent to it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from storage.tables import ReplyState
from tests.unit.console.conftest import PASSWORD, Console
from tests.unit.console.test_replies import put

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

FEW = settings(
    max_examples=6,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# Who may ask is tested in test_access.py; which accounts and names there are is in no schema.
OTHERS = [checks.ignored_auth, checks.positive_data_acceptance]
ENDLESS = "/api/events"  # answers until somebody goes


def test_every_operation_answers_as_it_is_described(guarded: Console) -> None:
    for state in (ReplyState.AWAITING_APPROVAL, ReplyState.FAILED):
        put(guarded, state, state)
    address = f"{guarded.address}api/openapi.json"
    token = {"authorization": f"Bearer {PASSWORD}"}
    schema = schemathesis.openapi.from_url(address, headers=token)
    asked = [one.ok() for one in schema.get_all_operations() if one.ok().path != ENDLESS]
    assert len(asked) >= 15
    for operation in asked:

        @FEW
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=token, excluded_checks=OTHERS)

        holds()


def test_everything_is_described(console: Console) -> None:
    with console.program() as program:
        said = program.get("/api/openapi.json").json()
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert "401" in operation["responses"] and operation["tags"], (method, path)
