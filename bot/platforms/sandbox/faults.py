"""Faults on demand: what a request gets instead of, or after, its real answer."""

from __future__ import annotations

import fnmatch
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot.platforms.loopback.orders import Orders

Canned = tuple[int, dict[str, str], bytes]  # status, headers, body


def _json(status: int, message: str, **more: Any) -> Canned:
    body = json.dumps({"message": message, "status": "fail", **more}).encode()
    return status, {"content-type": "application/json; charset=utf-8"}, body


def _challenge(url: str) -> Canned:
    path = "/challenge/1234567890/AbCdEf123/"
    return _json(
        400,
        "challenge_required",
        challenge={"url": url, "api_path": path, "hide_webview_header": True, "lock": True},
        error_type="checkpoint_challenge_required",
    )


_HTML = b"<!DOCTYPE html><html><head><title>Instagram</title></head><body>Sorry</body></html>"

ANSWERS: Final[Mapping[str, Canned]] = {
    "throttled": _json(429, "Too many requests"),  # takes Retry-After from the fault
    "please_wait": _json(
        401, "Please wait a few minutes before you try again.", require_login=True
    ),
    "feedback_required": _json(
        400,
        "feedback_required",
        spam=True,
        feedback_title="Try Again Later",
        feedback_message="We limit how often you can do certain things on Instagram.",
    ),
    "challenge_required": _challenge("https://i.instagram.com/challenge/1234567890/AbCdEf123/"),
    "suspended": _challenge("https://i.instagram.com/accounts/suspended/?next=/"),
    "checkpoint": _json(400, "checkpoint_required", checkpoint_url="/challenge/", lock=True),
    "masked_challenge": (404, {"content-type": "text/plain"}, b"Not Found"),
    "login_required": _json(403, "login_required", error_title="You have been logged out"),
    "unauthorized": _json(401, "unauthorized"),
    "forbidden": _json(403, "forbidden"),
    "request_timeout": _json(408, "Request Timeout"),
    "server_error": _json(500, "Oops, an error occurred."),
    "unavailable": (503, {"content-type": "text/html"}, _HTML),
    "html": (200, {"content-type": "text/html; charset=utf-8"}, _HTML),
    "empty": (200, {"content-type": "application/json; charset=utf-8"}, b""),
    "rate_limit_error": _json(400, "Too many attempts.", error_type="rate_limit_error"),
    "sentry_block": _json(400, "Sorry, there was a problem.", error_type="sentry_block"),
    "dm_refused": _json(400, "This account doesn't allow new message requests from everyone."),
    "private_account": _json(400, "Not authorized to view user"),
    "media_unavailable": _json(400, "Media not found or unavailable"),
    "not_found": _json(404, "Not found"),
}
EFFECTS: Final = (
    "cut_json",  # the real answer, cut in the middle, with a length that fits the cut
    "truncated",  # the real answer's headers, half of its body, then the connection breaks
    "hang",  # no answer until released, `seconds` are over or the client leaves
    "stall",  # as `hang`, and then the connection breaks
    "drop",  # the connection breaks instead of an answer
)
KINDS: Final = (*ANSWERS, *EFFECTS)


@dataclass(slots=True)
class Fault:
    """One order to misbehave.

    `path` is a shell pattern over the request path, `write` a kind of write (see Journal); both
    must match. The first `skip` matches go through, then `count` are hit (0: all that follow). With
    `after`, the request is carried out first and only its answer is lost or replaced; `truncated`
    and `cut_json` always carry it out.
    """

    kind: str
    path: str = "*"
    write: str = ""
    count: int = 1
    skip: int = 0
    after: bool = False
    retry_after: float | None = None
    seconds: float | None = None
    hits: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        self.after = self.after or self.kind in ("truncated", "cut_json")

    def answer(self) -> Canned | None:
        """The prepared answer; None when the kind is an effect on the real one."""
        if self.kind not in ANSWERS:
            return None
        status, headers, body = ANSWERS[self.kind]
        if self.retry_after is not None:
            headers = headers | {"retry-after": f"{self.retry_after:g}"}
        return status, headers, body


class Faults(Orders[Fault]):
    def add(self, kind: str, path: str = "*", **options: Any) -> Fault:
        """`options` as in Fault. Raises ValueError for an unknown kind."""
        return self.put(Fault(kind, path, **options))

    def take(self, path: str, write: str) -> Fault | None:
        """The fault for this request, if any; counts it."""
        return self.next(
            lambda fault: fnmatch.fnmatchcase(path, fault.path) and fault.write in ("", write)
        )
