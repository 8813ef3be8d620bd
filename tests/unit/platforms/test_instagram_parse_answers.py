"""What an answer means, apart from any network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from instagrapi import exceptions as ig

from bot.core.errors import (
    ActionBlocked,
    BadCredentials,
    LoginRequired,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TagechoError,
    TargetGone,
    Unavailable,
)
from bot.net.guarded import retry_after
from bot.platforms.instagram.translate import translate

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120),
        (" 5 ", 5),
        ("-5", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def response(status: int, body: Any) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = (body if isinstance(body, str) else json.dumps(body)).encode()
    return made


def meaning(error: Exception, action: str, last: object = None) -> TagechoError:
    return translate(error, last, action=action, what="test")


@pytest.mark.parametrize("action", ["upload", "publish", "comment", "dm"])
@pytest.mark.parametrize(
    "error",
    [
        requests.Timeout("t"),
        requests.ConnectionError("c"),
        requests.HTTPError("h"),
        ig.ClientConnectionError("c"),
        KeyError("media"),
        AssertionError("x"),
        ValueError("x"),
        AttributeError("x"),
        RecursionError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_leaks_leaves_a_write_unknown_and_a_read_unavailable(
    error: Exception, action: str
) -> None:
    assert type(meaning(error, action)) is OutcomeUnknown
    assert type(meaning(error, "read")) is Unavailable


def test_a_pydantic_error_of_the_client_is_translated() -> None:
    from instagrapi.types import UserShort

    with pytest.raises(ValueError) as caught:
        UserShort(pk={"secret": "token"})
    known = meaning(caught.value, "read")
    assert type(known) is Unavailable
    assert "token" not in str(known)


@pytest.mark.parametrize(
    ("status", "body", "action", "expected"),
    [
        (400, {"message": "feedback_required"}, "comment", ActionBlocked),
        (429, {"message": "feedback_required"}, "comment", ActionBlocked),
        (429, "<html>", "comment", RateLimited),
        (400, {"message": "Comments are off"}, "comment", Refused),
        (400, "<html>", "comment", OutcomeUnknown),
        (404, {"message": "gone"}, "comment", TargetGone),
        (404, {"message": "gone"}, "publish", Refused),
        (200, {"status": "fail", "message": "no"}, "publish", Refused),
        (200, {"status": "ok"}, "publish", OutcomeUnknown),
        (302, "", "publish", OutcomeUnknown),
        (502, "<html>", "dm", OutcomeUnknown),
        (400, {"message": "x"}, "read", Unavailable),
        (401, {"message": "login_required"}, "read", LoginRequired),
        (
            400,
            {"message": "no", "error_type": "bad_password"},
            "login",
            BadCredentials,
        ),
    ],
)
def test_answers(status: int, body: Any, action: str, expected: type[TagechoError]) -> None:
    answer = response(status, body)
    assert type(meaning(ig.ClientError("x", response=answer), action)) is expected
    assert type(meaning(ig.UnknownError("x"), action, last=answer)) is expected


def test_messages_stay_short_and_quote_no_body() -> None:
    answer = response(400, {"message": "m" * 500, "authorization": "Bearer IGT:2:secret"})
    said = str(meaning(ig.ClientError("Bearer secret", response=answer), "comment"))
    assert len(said) < 250
    assert "secret" not in said


def test_our_own_errors_pass_through() -> None:
    error = TargetGone("x")
    assert meaning(error, "comment") is error
