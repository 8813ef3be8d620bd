"""What a failure means: the one place where Mastodon's answers become errors of ours."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from bot.core.errors import (
    AccountSuspended,
    BadCredentials,
    ChallengeRequired,
    LoginRequired,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TagechoError,
    TargetGone,
    TargetPrivate,
    Unavailable,
)
from bot.net.guarded import retry_after

WRITES = frozenset({"upload", "publish", "delete"})

# Words of a 401, 403 or 422: an account that a person must look at.
_WORDS: tuple[tuple[str, type[TagechoError]], ...] = (
    ("currently disabled", AccountSuspended),
    ("suspended", AccountSuspended),
    ("confirmed e-mail", ChallengeRequired),
    ("confirmed email", ChallengeRequired),
    ("pending approval", ChallengeRequired),
    ("authorized scopes", BadCredentials),
)
_HINTS: Mapping[type[TagechoError], str] = {
    BadCredentials: "the access token is not accepted, or not for this: make a new one",
    LoginRequired: "the access token is not accepted",
    ChallengeRequired: "the server wants to see a person: log in there",
    AccountSuspended: "the account is disabled",
}


class UnexpectedAnswer(Exception):
    """An answer that is not what the documentation says."""


def translate(
    error: Exception, response: requests.Response | None, *, action: str, what: str
) -> TagechoError:
    """`response`: the answer, if there was any; `what` names the request in the message."""
    for one in (error, error.__context__):  # the client wraps what our session refuses
        if isinstance(one, TagechoError):
            return _applied(one, action)
    status = 0 if response is None else response.status_code
    said = _said(response)
    kind = _meaning(status, said.lower(), action)
    hint = f": {_HINTS[kind]}" if kind in _HINTS else ""
    words = f" (HTTP {status}: {said})" if said else f" (HTTP {status})" if status else ""
    text = f"{what}: {type(error).__name__}{words}{hint}"
    if issubclass(kind, RateLimited):
        return kind(text, pause_of(response))
    return kind(text)


def pause_of(response: requests.Response | None) -> float | None:
    """Seconds until the server's limit begins anew, by its headers; None: it does not say."""
    if response is None:
        return None
    after = retry_after(response.headers.get("retry-after"))
    return after if after is not None else _until_reset(response.headers)


def used_up(response: requests.Response | None) -> bool:
    """Whether the server says that the next request will be refused."""
    return response is not None and response.headers.get("x-ratelimit-remaining") == "0"


def _meaning(status: int, words: str, action: str) -> type[TagechoError]:
    writes = action in WRITES
    unclear = OutcomeUnknown if writes else Unavailable
    if status in (401, 403, 422):
        for some, kind in _WORDS:
            if some in words:
                return kind
    if status == 401:
        return BadCredentials if action == "login" else LoginRequired
    if status == 429:
        return RateLimited
    if status in (404, 410):
        return TargetGone
    if status == 403 and not writes:
        return TargetPrivate
    if 400 <= status < 500 and status != 408:
        return Refused if writes else Unavailable
    return unclear  # no answer, one that cannot be read, or a server that does not know itself


def _applied(error: TagechoError, action: str) -> TagechoError:
    """An address that cannot be found tells nothing of a write."""
    if action in WRITES and isinstance(error, Unavailable):
        return OutcomeUnknown(str(error))
    return error


def _said(response: requests.Response | None) -> str:
    if response is None or response.ok:
        return ""
    try:
        body = response.json()
    except ValueError:
        return ""
    return str(body.get("error") or "")[:120] if isinstance(body, dict) else ""


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """`X-RateLimit-Reset` is a date, on some servers seconds since 1970; by the server's clock."""
    reset = headers.get("x-ratelimit-reset", "")
    try:
        at = float(reset) if reset.isdecimal() else datetime.fromisoformat(reset).timestamp()
    except ValueError:
        return None
    seconds = at - _now(headers)
    return min(max(1.0, seconds), 86400.0)


def _now(headers: Mapping[str, str]) -> float:
    try:
        return parsedate_to_datetime(headers["date"]).replace(tzinfo=UTC).timestamp()
    except (KeyError, TypeError, ValueError):
        return time.time()
