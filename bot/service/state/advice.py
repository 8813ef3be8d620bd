"""What to do about an error, by the name of its class: as in the table of the guide."""

from __future__ import annotations

from bot.core import errors

_DO = {
    "Unavailable": "nothing: it is tried again by itself",
    "OutcomeUnknown": "nothing: it will be looked for on the network",
    "RateLimited": "nothing: it pauses by itself; lower [pacing] if it comes back",
    "PleaseWait": "nothing: the account rests; lower [pacing]",
    "ActionBlocked": "look at the account in the app, and publish less",
    "ChallengeRequired": "confirm in the app, then: tagecho resume",
    "AccountSuspended": "the app says why; then: tagecho resume",
    "BadCredentials": "stop the service, correct the secret, tagecho login, start it",
    "TwoFactorRequired": "stop the service, set the second factor, tagecho login, start it",
    "LoginRequired": "stop the service, tagecho login, start it",
    "AuthError": "look at the account in the app, then: tagecho resume",
    "TargetGone": "does it still exist under this name?",
    "TargetPrivate": "the profile is private: remove the track, or follow it in the app",
    "StorageError": "look at the disk: tagecho doctor",
}
_SERVICE = "start it: tagecho run"


def of(kind: str) -> str:
    """What a person should do about an error of this class; "" when nothing is known."""
    return _DO.get(kind, "")


def split(text: str) -> tuple[str, str]:
    """`"Unavailable: host: HTTP 500"`, as errors are stored, in its kind and its words.

    The kind is "" where it is none of our errors.
    """
    kind, colon, words = text.partition(": ")
    known = getattr(errors, kind, None) if colon and kind.isidentifier() else None
    if isinstance(known, type) and issubclass(known, errors.TagechoError):
        return kind, words
    return "", text


def exit_code(kind: str) -> int:
    """Of the class with this name; 1 for one that is none of ours."""
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, errors.TagechoError):
        return known.exit_code
    return 1
