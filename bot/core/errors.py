"""One exception tree; each class owns its exit code.

TagechoError                 1
├── UsageError               2   (typer's own usage errors exit with 2 as well)
│   └── Overtaken                somebody else changed it meanwhile
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
├── StorageError            10   database or disk
└── NotInstalled            11   an extra of the package that this needs
"""

from __future__ import annotations

from typing import ClassVar


class TagechoError(Exception):
    """Some of the work failed, or an unexpected error occurred.

    The root of all errors that the service raises on purpose.
    """

    exit_code: ClassVar[int] = 1


class UsageError(TagechoError):
    """Usage: an unknown verb, option, argument or name."""

    exit_code = 2


class Overtaken(UsageError):
    """Somebody else changed it meanwhile; the message says who."""


class ConfigError(TagechoError):
    """The configuration is wrong; the message names file, line and key.

    One line for each problem: `FILE:LINE: KEY: what is wrong`.
    """

    exit_code = 3


class AuthError(TagechoError):
    """The account needs a person: password, second factor, challenge or suspension."""

    exit_code = 4


class LoginRequired(AuthError):
    """The session ended. The service tries one login, not a second one."""


class BadCredentials(AuthError):
    pass


class TwoFactorRequired(AuthError):
    pass


class ChallengeRequired(AuthError):
    """The platform wants to see a person. The session is kept."""


class AccountSuspended(AuthError):
    pass


class NetworkError(TagechoError):
    """The network or the platform failed."""

    exit_code = 5


class Unavailable(NetworkError):
    """A read failed for a temporary reason: 5xx, a timeout, an incomplete or unexpected answer."""


class OutcomeUnknown(NetworkError):
    """A write was sent, and its answer was lost or unreadable: it may have been applied."""


class Refused(NetworkError):
    """The platform refused and applied nothing."""


class TargetGone(Refused):
    """The post or person is deleted, archived or never existed."""


class NameTaken(Refused):
    """The name of a profile belongs to another person than before."""


class TargetPrivate(Refused):
    pass


class RecipientRefused(Refused):
    """This person takes no direct messages from us."""


class RateLimited(TagechoError):
    """Too fast: the platform, or our own limit, asks for a pause.

    Nothing was applied. `retry_after`: seconds, when the platform named them.
    """

    exit_code = 6

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PleaseWait(RateLimited):
    """The platform wants the whole account to rest, not only this kind of action."""


class ActionBlocked(RateLimited):
    """The platform froze this kind of action for the account (feedback_required)."""


class ModelError(TagechoError):
    """The weights of a network are missing or damaged."""

    exit_code = 7


class NothingToDo(TagechoError):
    """There is nothing to do."""

    exit_code = 8


class AccountLocked(TagechoError):
    """Another process uses this account."""

    exit_code = 9


class StorageError(TagechoError):
    """The database or the disk failed."""

    exit_code = 10


class NotInstalled(TagechoError):
    """A part that is installed apart, as `tagecho[learn]`, is needed and missing."""

    exit_code = 11
