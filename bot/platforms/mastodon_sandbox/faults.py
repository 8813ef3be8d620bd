"""Misbehaviour on demand: what the server answers instead of, or after, its real answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from bot.platforms.loopback.orders import Orders

ANSWERS = {
    "server_error": (500, "We're sorry, but something went wrong on our end."),
    "unavailable": (503, "Remote SSL certificate could not be verified"),
    "unauthorized": (401, "The access token is invalid"),
    "revoked": (401, "The access token was revoked"),
    "expired": (401, "The access token expired"),
    "forbidden": (403, "This action is not allowed"),
    "scopes": (403, "This action is outside the authorized scopes"),
    "unconfirmed": (403, "Your login is missing a confirmed e-mail address"),
    "disabled": (403, "Your login is currently disabled"),
    "not_found": (404, "Record not found"),
    "gone": (410, "Gone"),
    "unprocessable": (422, "Validation failed: Text character limit of 500 exceeded"),
    "throttled": (429, "Too many requests"),
}
EFFECTS = ("drop", "hang", "html")


@dataclass
class Fault:
    """`where`: the name of an endpoint (see `rest`), or "" for any; `count` and `skip`: see
    `Orders`. With `after`, the request is carried out first. `seconds`: until the limit of a 429
    begins anew."""

    kind: str
    where: str = ""
    count: int = 1
    skip: int = 0
    after: bool = False
    seconds: float = 30.0
    hits: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.kind not in ANSWERS and self.kind not in EFFECTS:
            raise ValueError(f"unknown fault {self.kind!r}")


class Faults(Orders[Fault]):
    def take(self, where: str) -> Fault | None:
        """The fault for a request to this endpoint, if any; counts it."""
        return self.next(lambda fault: fault.where in ("", where))
