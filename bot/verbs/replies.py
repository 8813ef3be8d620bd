"""The queue and the log of replies, and a person's word on them: rows only, no network call."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import UsageError
from bot.service.app import App, opened
from bot.verbs.report import ReplyRow, StateChange, write_page
from storage import outbox, reply_log, steps
from storage.blobs import BlobStore
from storage.tables import AuthorRow, PostRow, Reply, ReplyState


def reply_rows(settings: Settings, state: str | None, limit: int) -> list[dict[str, Any]]:
    if state is not None and state not in list(ReplyState):
        raise UsageError(f"no state {state!r}; there are {', '.join(ReplyState)}")
    with opened(settings) as app, app.database.read() as session:
        return [_brief(reply) for reply in outbox.listing(session, state, limit=limit)]


def reply_details(settings: Settings, reply_id: int) -> dict[str, Any]:
    """All that is known of a reply, for people and for scripts. Raises UsageError."""
    with opened(settings) as app, app.database.read() as session:
        reply = session.get(Reply, reply_id)
        if reply is None:
            raise UsageError(f"there is no reply {reply_id}")
        author = session.get(AuthorRow, (reply.platform, reply.author_id))
        return _brief(reply) | {
            "author": f"@{author.username}" if author else "",
            "author_id": reply.author_id,
            "style": _style(reply),
            "alt_text": reply.facts.get("alt_text", ""),
            "seconds": reply.facts.get("seconds"),
            "before": _path(app.originals, reply.before_sha256),
            "mask": _path(app.artifacts, reply.mask_sha256),
            "after": _path(app.artifacts, reply.after_sha256),
            "steps": [
                {
                    "way": s.way,
                    "kind": s.kind,
                    "state": s.state,
                    "sends": s.sends,
                    "remote_id": s.remote_id,
                    "error": s.error,
                    "readings": s.readings,
                }
                for s in steps.of_reply(session, reply_id)
            ],
            "history": [
                {"at": e.at, "from": e.old, "to": e.new, "who": e.who, "why": e.why}
                for e in reply_log.history(session, reply_id)
            ],
        }


def _style(reply: Reply) -> str:
    """The one that was made: a picture without an object gets another than the one asked for."""
    made: str = reply.facts.get("compose", {}).get("style", reply.style)
    return made


def settle(
    settings: Settings, reply_ids: list[int], verb: str, why: str = ""
) -> list[tuple[int, ReplyState]]:
    """A person's word on replies: all of them, or none when one cannot be."""
    who, now = _who(), utc_now()
    with opened(settings) as app, app.database.write() as session:
        result = []
        for reply_id in reply_ids:
            if verb == "approve":
                state = outbox.release(session, reply_id, who, now)
            elif verb == "reject":
                state = outbox.reject(session, reply_id, who, why, now)
            else:
                state = outbox.confirm(session, reply_id, who, now)
            result.append((reply_id, state))
        return result


def _who() -> str:
    """For the log. In a container the user may have a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        return f"uid {os.getuid()}"


def write_page_of(settings: Settings, file: Path, limit: int, title: str = "Replies") -> int:
    """The reply log as a page. Returns how many replies it shows."""
    with opened(settings) as app:
        with app.database.read() as session:
            ids = [reply.id or 0 for reply in outbox.listing(session, limit=limit)]
        write_page(file, (_page_row(app, reply_id) for reply_id in ids), title)
    return len(ids)


def _page_row(app: App, reply_id: int) -> ReplyRow:
    with app.database.read() as session:
        reply = session.get_one(Reply, reply_id)
        post = session.get(PostRow, reply.post) if reply.post is not None else None
        author = session.get(AuthorRow, (reply.platform, reply.author_id))
        history = reply_log.history(session, reply_id)
    return ReplyRow(
        reply_id=str(reply_id),
        state=reply.state,
        post_url=reply.source_url,
        author=author.username if author else "",
        created_at=reply.created,
        caption=post.caption if post else "",
        style=_style(reply),
        mode=reply.mode,
        trigger=reply.trigger,
        taken_at=post.taken_at if post else None,
        published_at=reply.sent_at,
        published_url=reply.url,
        reason=reply.reason,
        before=_bytes(app.originals, reply.before_sha256),
        mask=_bytes(app.artifacts, reply.mask_sha256),
        after=_bytes(app.artifacts, reply.after_sha256),
        history=tuple(StateChange(e.at, e.new, e.who, e.why) for e in history),
    )


def _brief(reply: Reply) -> dict[str, Any]:
    return {
        "id": reply.id,
        "state": reply.state,
        "reason": reply.reason,
        "account": reply.account,
        "source_post": reply.source_post,
        "source_url": reply.source_url,
        "trigger": reply.trigger,
        "style": _style(reply),
        "mode": reply.mode,
        "url": reply.url,
        "created": reply.created,
        "sent_at": reply.sent_at,
        "not_before": reply.not_before,
    }


def _path(store: BlobStore, sha256: str | None) -> str | None:
    return str(store.path(sha256)) if sha256 else None


def _bytes(store: BlobStore, sha256: str | None) -> bytes | None:
    """None for an image that is gone, as after `forget`: the page says so."""
    if sha256 is None or not store.path(sha256).exists():
        return None
    return store.get(sha256)
