"""What a server's answers mean, in the classes of `bot.core.errors`."""

from __future__ import annotations

import re
import time

from bot.core.errors import (
    AccountSuspended,
    ActionBlocked,
    BadCredentials,
    ChallengeRequired,
    LoginRequired,
    OutcomeUnknown,
    PleaseWait,
    RateLimited,
    Refused,
    TagechoError,
    TargetGone,
    TargetPrivate,
    TwoFactorRequired,
    Unavailable,
)
from bot.platforms.bluesky.client import Failure

WRITES = frozenset({"upload", "write", "delete"})
_GONE = frozenset(
    {
        "NotFound",
        "RecordNotFound",
        "RepoNotFound",
        "BlobNotFound",
        "ActorNotFound",
        "HandleNotFound",
    }
    | {"RepoDeactivated", "RepoTakendown"}
)
_GONE_SAID = re.compile(r"not found|could not (?:find|locate)|unable to resolve|deactivated", re.I)
_CLOSED = frozenset({"BlockedActor", "BlockedByActor"})
_ENDED = frozenset({"ExpiredToken", "InvalidToken", "AuthMissing", "AuthenticationRequired"})
_SUSPENDED = frozenset({"AccountTakedown", "AccountSuspended"})
_WHOLE_ADDRESS = re.compile(r";\s*w=300\b")  # the limit of all requests: 3000 in five minutes


def translate(failure: Failure, *, action: str, what: str) -> TagechoError:
    """What became of a request of this class. A write that was not refused may be applied."""
    said = f"{what}: {failure}"
    if failure.status == 429:
        whole = _WHOLE_ADDRESS.search(failure.headers.get("ratelimit-policy", ""))
        kind = PleaseWait if whole and action != "login" else RateLimited
        return kind(said, seconds_until_reset(failure.headers))
    if (known := _of_account(failure, said, action)) is not None:
        return known
    if failure.name in _CLOSED:
        return TargetPrivate(said)
    # A method that a server does not have says so with 404, too.
    if failure.name in _GONE or (failure.status == 400 and _GONE_SAID.search(failure.message)):
        return TargetGone(said)
    if failure.status == 403:
        return ActionBlocked(said)
    if action in WRITES:
        definite = 400 <= failure.status < 500 and failure.status != 408
        return Refused(said) if definite else OutcomeUnknown(said)
    return Unavailable(said)


def seconds_until_reset(headers: dict[str, str]) -> float | None:
    """Until a limit counts anew; no answer of these servers has Retry-After."""
    reset = headers.get("ratelimit-reset", "")
    return max(1.0, float(reset) - time.time()) if reset.isdecimal() else None


def _of_account(failure: Failure, said: str, action: str) -> TagechoError | None:
    """What says something of our own account; None for anything else."""
    if failure.name in _SUSPENDED:
        return AccountSuspended(said)
    if failure.name == "AccountDeactivated":
        return ChallengeRequired(f"{said}: reactivate it in the app")
    if failure.name == "AuthFactorTokenRequired":
        return TwoFactorRequired(f"{said}: give it an app password, which needs no code")
    if action == "login" and (failure.status == 401 or failure.name in _ENDED):
        return BadCredentials(f"{said}: a wrong or revoked app password")
    if failure.name in _ENDED or failure.status == 401:
        return LoginRequired(f"{said}: {_why_ended(failure)}")
    return None


def _why_ended(failure: Failure) -> str:
    if "revoked" in failure.message.lower():
        return "the session was revoked"
    if failure.name == "ExpiredToken":
        return "the session expired"
    return "the session is not accepted"
