"""What an answer, or the lack of one, means: the client's exceptions → `bot.core.errors`.

Messages name the exception and the platform's own short message, never an answer's body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.errors import (
    AccountSuspended,
    ActionBlocked,
    AuthError,
    BadCredentials,
    ChallengeRequired,
    LoginRequired,
    OutcomeUnknown,
    PleaseWait,
    RateLimited,
    RecipientRefused,
    Refused,
    TagechoError,
    TargetGone,
    TargetPrivate,
    TwoFactorRequired,
    Unavailable,
)
from bot.net.guarded import retry_after
from bot.platforms.instagram.client import exceptions as ig

WRITES = frozenset({"upload", "publish", "comment", "dm", "delete"})


class UploadRefused(Exception):
    """An upload was answered, but not with success."""

    def __init__(self, response: Any) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform said. `body` is None when it is no JSON object."""

    status: int
    body: Mapping[str, Any] | None
    retry_after: float | None

    @property
    def words(self) -> str:
        """The fields by which Instagram says what it means, lower case."""
        if self.body is None:
            return ""
        return " ".join(str(self.body.get(key) or "") for key in ("message", "error_type")).lower()


# What counts most: these words mean the same with any status.
_WORDS: tuple[tuple[str, type[TagechoError]], ...] = (
    ("please wait a few minutes", PleaseWait),
    ("rate_limit_error", PleaseWait),
    ("feedback_required", ActionBlocked),
    ("challenge_required", ChallengeRequired),
    ("checkpoint_required", ChallengeRequired),
    ("login_required", LoginRequired),
    ("sentry_block", AuthError),
    ("bad_password", BadCredentials),
    ("two_factor_required", TwoFactorRequired),
    ("not authorized to view user", TargetPrivate),
)

# Where there is no answer to read, or the client read it better than by its words.
_CLASSES: tuple[tuple[type[Exception], type[TagechoError]], ...] = (
    (ig.AccountSuspended, AccountSuspended),
    (ig.PleaseWaitFewMinutes, PleaseWait),
    (ig.RateLimitError, PleaseWait),
    (ig.FeedbackRequired, ActionBlocked),
    (ig.ChallengeError, ChallengeRequired),
    (ig.CaptchaChallengeRequired, ChallengeRequired),
    (ig.LoginRequired, LoginRequired),
    (ig.ClientLoginRequired, LoginRequired),
    (ig.SentryBlock, AuthError),
    (ig.ClientThrottledError, RateLimited),
    (ig.ProxyAddressIsBlocked, BadCredentials),
    (ig.BadPassword, BadCredentials),
    (ig.BadCredentials, BadCredentials),
    (ig.TwoFactorRequired, TwoFactorRequired),
    (ig.DirectMessageRequestsDisabled, RecipientRefused),
    (ig.PrivateAccount, TargetPrivate),
    (ig.MediaUnavailable, TargetGone),
    (ig.InvalidMediaId, TargetGone),
    (ig.InvalidTargetUser, TargetGone),
    (ig.NotFoundError, TargetGone),
)


# What the client decides by its own counting; the platform was not asked.
_ITS_OWN = (ig.ReloginAttemptExceeded,)

_HINTS: Mapping[type[TagechoError], str] = {
    BadCredentials: "user name and password were not accepted",
    TwoFactorRequired: "a second factor is needed: set totp_secret of the account",
    ChallengeRequired: "the platform wants to see a person: open its app and confirm",
    LoginRequired: "the session has ended",
    AccountSuspended: "the account is suspended",
}


def translate(error: Exception, last: Any, *, action: str, what: str) -> TagechoError:
    """The one place where a failure gets its meaning.

    `error` is whatever left the client; `last` is the client's last response, or None; `action` is
    the action class; `what` names the request in the message.
    """
    if isinstance(error, TagechoError):
        return error
    answer = read_answer(_response(error, last))
    kind = _meaning(error, answer, action)
    hint = f": {_HINTS[kind]}" if kind in _HINTS else ""
    said = f"{what}: {type(error).__name__}{_quoted(answer)}{hint}"
    if issubclass(kind, RateLimited):
        return kind(said, answer.retry_after if answer else None)
    return kind(said)


def read_answer(response: Any) -> Answer | None:
    if response is None:
        return None
    try:
        body = response.json()
    except ValueError:
        body = None
    return Answer(
        status=int(response.status_code),
        body=body if isinstance(body, dict) else None,
        retry_after=retry_after(response.headers.get("retry-after")),
    )


def _response(error: Exception, last: Any) -> Any:
    """The answer behind an error. A Response is false when it is an error: compare with None."""
    own = getattr(error, "response", None)
    if own is None and isinstance(error, ig.ClientError):
        return last
    return own


def _meaning(error: Exception, answer: Answer | None, action: str) -> type[TagechoError]:
    if isinstance(error, ig.AccountSuspended):
        return AccountSuspended
    if isinstance(error, _ITS_OWN):
        return OutcomeUnknown if action in WRITES else Unavailable
    if answer is not None and answer.status >= 400:
        for words, kind in _WORDS:
            if words in answer.words:
                return kind
    for cause, kind in _CLASSES:
        if isinstance(error, cause):
            return kind
    return _by_status(error, answer, action)


def _by_status(error: Exception, answer: Answer | None, action: str) -> type[TagechoError]:
    """For what has no name of its own."""
    unclear = OutcomeUnknown if action in WRITES else Unavailable
    if answer is None or isinstance(error, ig.ClientJSONDecodeError):
        return unclear
    if answer.status == 429:
        return RateLimited
    if answer.body is None or answer.status == 408 or answer.status >= 500:
        return unclear  # cut, foreign, or a server that does not know itself
    if action == "login":
        return BadCredentials if isinstance(error, ig.ClientError) else Unavailable
    if answer.status in (401, 403):
        return RateLimited  # pause; the session is looked at before the next request
    if answer.status in (404, 410) and action not in ("upload", "publish"):
        return TargetGone
    if answer.status >= 400 or answer.body.get("status") == "fail":
        return Refused if action in WRITES else Unavailable
    return unclear


def _quoted(answer: Answer | None) -> str:
    if answer is None:
        return ""
    message = str((answer.body or {}).get("message") or "")[:120]
    return f" (HTTP {answer.status}: {message})" if message else f" (HTTP {answer.status})"
