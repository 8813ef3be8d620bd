"""One exception tree; each class owns its exit code.

TagechoError                 1
├── UsageError               2   (typer's own usage errors exit with 2 as well)
├── ConfigError              3
├── AuthError                4   login, two-factor, challenge, suspended
│   ├── LoginRequired
│   ├── BadCredentials
│   ├── TwoFactorRequired
│   ├── ChallengeRequired
│   └── AccountSuspended
├── NetworkError             5   the network or the platform failed
│   ├── Unavailable              a read failed; it may be tried again
│   ├── OutcomeUnknown           a write may or may not have been applied: reconcile, never repeat
│   └── Refused                  a definitive no: nothing was applied
│       ├── TargetGone
│       ├── TargetPrivate
│       └── RecipientRefused     this way of replying is closed; another may be open
├── RateLimited              6   429
│   ├── PleaseWait               "please wait a few minutes": the whole account rests
│   └── ActionBlocked            feedback_required: that action is frozen, never retried
├── ModelError               7   weights missing, broken or of another format
├── NothingToDo              8
├── AccountLocked            9   another process works with this account
└── StorageError            10   database or disk
"""

from __future__ import annotations

from typing import ClassVar


class TagechoError(Exception):
    """Root of everything the service raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(TagechoError):
    exit_code = 2


class ConfigError(TagechoError):
    """The configuration is wrong. The message is `FILE:LINE: KEY: what is wrong`, one line each."""

    exit_code = 3


class AuthError(TagechoError):
    """The account cannot work until a person did something."""

    exit_code = 4


class LoginRequired(AuthError):
    """The session ended. One login is worth a try; a second one is not."""


class BadCredentials(AuthError):
    pass


class TwoFactorRequired(AuthError):
    pass


class ChallengeRequired(AuthError):
    """The platform wants to see a person. The session is kept."""


class AccountSuspended(AuthError):
    pass


class NetworkError(TagechoError):
    exit_code = 5


class Unavailable(NetworkError):
    """A read failed for a passing reason (5xx, timeout, cut or foreign answer)."""


class OutcomeUnknown(NetworkError):
    """A write was sent and its answer lost or unreadable: it may have been applied."""


class Refused(NetworkError):
    """The platform said no and applied nothing."""


class TargetGone(Refused):
    """The post or person is deleted, archived or never existed."""


class TargetPrivate(Refused):
    pass


class RecipientRefused(Refused):
    """This person takes no direct messages from us."""


class RateLimited(TagechoError):
    """Too fast. `retry_after` in seconds when the platform named it. Nothing was applied."""

    exit_code = 6

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PleaseWait(RateLimited):
    """The platform wants the whole account to rest, not only this kind of action."""


class ActionBlocked(RateLimited):
    """The platform froze this kind of action for the account (feedback_required)."""


class ModelError(TagechoError):
    exit_code = 7


class NothingToDo(TagechoError):
    exit_code = 8


class AccountLocked(TagechoError):
    exit_code = 9


class StorageError(TagechoError):
    exit_code = 10
