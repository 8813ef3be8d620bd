"""What the tests of the Instagram platform share: an account on the sandbox, and steps to send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from bot.core.events import Author, Post, Receipt, Step
from bot.platforms.instagram.adapter import InstagramPlatform
from bot.platforms.instagram.kinds import StepKind
from bot.platforms.pacing import LedgerPacer
from bot.platforms.sandbox.server import Sandbox
from tests.ledger import MemoryLedger
from tests.pictures import plain_jpeg
from tests.sandbox import instagram_at
from tests.waiting import PATIENCE, eventually

RATES = dict.fromkeys(("read", "media", "login", "upload", "publish", "comment", "dm", "delete"))
WRITE_PATHS = {
    StepKind.UPLOAD: "/rupload_igphoto/",
    StepKind.POST: "/media/configure/",
    StepKind.STORY: "/media/configure_to_story/",
    StepKind.DM_TEXT: "/broadcast/link/",
    StepKind.DM_UPLOAD: "/messenger_image/",
    StepKind.DM_PHOTO: "/broadcast/photo_attachment/",
    StepKind.COMMENT: "/comment/",
}


class OpenPacer:
    """A pacer that never waits and remembers what it was told."""

    def __init__(self) -> None:
        self.before_calls: list[str] = []
        self.after_calls: list[tuple[str, Exception | None]] = []

    def before(self, action: str) -> None:
        self.before_calls.append(action)

    def after(self, action: str, error: Exception | None) -> None:
        self.after_calls.append((action, error))

    def rest(self, seconds: float) -> bool:
        raise AssertionError(f"slept for {seconds} s")


def paced() -> LedgerPacer:
    return LedgerPacer("main", MemoryLedger(), RATES)


@contextmanager
def account(box: Sandbox, **changes: Any) -> Iterator[InstagramPlatform]:
    """The bot's account, not logged in yet; `changes`: see `instagram_at`."""
    platform = instagram_at(box, **({"pacer": OpenPacer()} | changes))
    try:
        yield platform
    finally:
        platform.close()


def step(kind: StepKind, source: Post, token: str = "t1", **changes: Any) -> Step:
    values: dict[str, Any] = {
        "source_post_id": source.post_id,
        "source_url": source.url,
        "author": source.author,
        "text": f"made for you: {source.url}",
        "alt_text": "a generated image",
        "image": plain_jpeg((320, 320)) if kind in (StepKind.UPLOAD, StepKind.DM_UPLOAD) else None,
        "size": (320, 320),
    }
    return Step(kind, token, **(values | changes))


def new_source(box: Sandbox, platform: InstagramPlatform) -> Post:
    """A post of somebody we never met: there is no thread yet."""
    name = f"fresh.{len(box.world.people)}"
    box.world.add_user(name)
    return platform.post(str(box.world.add_post(name, "look").pk))


def ready(platform: InstagramPlatform, kind: StepKind, source: Post, token: str = "t1") -> Step:
    """A step of this kind, with what must come before it already sent."""
    inputs: dict[str, str] = {}
    if kind in (StepKind.POST, StepKind.STORY):
        inputs |= platform.send(step(StepKind.UPLOAD, source, token)).outputs
    if kind is StepKind.DM_PHOTO:
        inputs |= platform.send(step(StepKind.DM_TEXT, source, token + "text")).outputs
        inputs |= platform.send(step(StepKind.DM_UPLOAD, source, token)).outputs
    return step(kind, source, token, inputs=inputs)


def sent(box: Sandbox, kind: StepKind) -> int:
    """Requests of this kind that reached the network, by its journal."""
    return len(box.journal.requests(WRITE_PATHS[kind], method="POST"))


def applied(box: Sandbox, kind: StepKind) -> int:
    return len(box.journal.writes(kind.value))


def stranger(user_id: str = "1") -> Author:
    return Author("instagram", user_id, "nobody")


def receipt_id(receipt: Receipt | None) -> str:
    """Its own id, without that of what it lies under."""
    assert receipt is not None
    return receipt.remote_id.rpartition("/")[2]


def settled(box: Sandbox, path: str, wanted: int) -> int:
    """Requests in the journal: waits until `wanted` are there, and any that was sent after them.

    One of our own comes last, over a new connection on the same way: when it is answered, whatever
    was sent before is in the journal.
    """
    eventually("the requests are in the journal", lambda: len(box.journal.requests(path)) >= wanted)
    last, proxies = "https://i.instagram.com/last", {"https": box.proxy_url}
    requests.get(last, proxies=proxies, verify=box.ca_file, timeout=PATIENCE)
    return len(box.journal.requests(path))
