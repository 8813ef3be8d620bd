"""The profile of our account says that it is a bot: by a label that it gives itself."""

from __future__ import annotations

from typing import Any

import structlog

from bot.core.errors import NetworkError, RateLimited, TargetGone
from bot.platforms.bluesky.session import AccountSession

log = structlog.get_logger()
_PROFILE = "app.bsky.actor.profile"
_LABELS = "com.atproto.label.defs#selfLabels"
_BOT = "bot"


def mark_as_bot(session: AccountSession) -> bool:
    """Whether the profile has the label now. Where it cannot be read or written the account works
    all the same, and the next login tries again.

    Raises AuthError.
    """
    try:
        profile, cid = _read(session)
        if _BOT in _values(profile):
            return True
        _write(session, _labelled(profile), cid)
    except (NetworkError, RateLimited) as error:
        log.warning("bot label not set", account=session.me.username, reason=str(error))
        return False
    log.info("bot label set", account=session.me.username)
    return True


def _read(session: AccountSession) -> tuple[dict[str, Any], str | None]:
    """The record and its CID; without one, an empty record and None."""
    try:
        answer = session.call(
            "read",
            "own profile",
            lambda xrpc: xrpc.query(
                "com.atproto.repo.getRecord",
                repo=session.me.user_id,
                collection=_PROFILE,
                rkey="self",
            ),
        )
    except TargetGone:
        return {"$type": _PROFILE}, None
    return dict(answer["value"]), str(answer["cid"])


def _write(session: AccountSession, profile: dict[str, Any], cid: str | None) -> None:
    """Only over what was read: a person may change their profile at the same time."""
    body = {
        "repo": session.me.user_id,
        "collection": _PROFILE,
        "rkey": "self",
        "record": profile,
        "swapRecord": cid,
    }
    session.call(
        "write", "own profile", lambda xrpc: xrpc.procedure("com.atproto.repo.putRecord", body)
    )


def _values(profile: dict[str, Any]) -> list[str]:
    labels = profile.get("labels") or {}
    return [str(one["val"]) for one in labels.get("values") or ()]


def _labelled(profile: dict[str, Any]) -> dict[str, Any]:
    """All else stays as it is."""
    values = [{"val": one} for one in (*_values(profile), _BOT)]
    return profile | {"labels": {"$type": _LABELS, "values": values}}
