"""The whole flow in one process: the real parts on the loopback network, with a clock to turn.

Only the image stages are small stand-ins; `tests/flow/test_networks.py` uses the shipped ones. What
was published is asked of the network's journal, never of our own database.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bot.core.errors import TagechoError
from bot.core.events import TrackKind
from bot.flow.fetch import Limits
from bot.flow.forget import Files
from bot.flow.gate import rendered_state
from bot.flow.ingest import Ingest
from bot.flow.policy import Policy, Track
from bot.flow.poll import Polled, Poller
from bot.flow.publisher import Publisher
from bot.flow.reconcile import Reconciler
from bot.flow.render import NotRenderable, Renderer, Stages, claim
from bot.flow.reply_rule import Us, Watch
from bot.flow.sending import Channel
from bot.learn.photos import Runs
from bot.platforms import registry
from bot.platforms.instagram.adapter import InstagramPlatform
from bot.platforms.pacing import LedgerPacer, TokenRate
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Details, Picture, Post, Profile, Tag
from models.base import Image, Mask, Segmentation
from storage import outbox, pauses, steps
from storage.archive import Archive
from storage.blobs import BlobStore
from storage.database import Database
from storage.optouts import OptOuts
from storage.pacing import DatabaseLedger
from storage.tables import Reply, ReplyState, ReplyStep
from tests.databases import sqlite_in
from tests.pictures import plain_jpeg
from tests.sandbox import instagram_at, sign_in
from tests.waiting import PATIENCE

S = ReplyState
NO_LIMITS: dict[str, TokenRate | None] = dict.fromkeys(
    ("read", "media", "login", "upload", "publish", "comment", "dm", "delete")
)
OPT_IN = "tintme"


class Clock:
    """Noon of tomorrow (UTC) and on from there, plus whatever it was advanced by.

    Never behind the real clock: the client compares some times with that.
    """

    def __init__(self) -> None:
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        self._start = (noon + timedelta(days=1)).timestamp()
        self._began = time.monotonic()
        self._ahead = 0.0

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        return self._start + time.monotonic() - self._began + self._ahead

    def advance(self, **span: float) -> None:
        self._ahead += timedelta(**span).total_seconds()


class SmallStages:
    """Stand-ins for the networks: pixels doubled, the middle as the mask, the middle inverted."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.confidence = 0.9  # of the segmenter

    def upscaler(self, scale: int) -> _Repeat:
        return _Repeat(scale, self.calls)

    def segmenter(self) -> _Middle:
        return _Middle(self.calls, self.confidence)

    def composer(self, style: str) -> _Invert:
        return _Invert(style, self.calls)

    def without_mask(self) -> str:
        return "frame"

    def alt_text(self, style: str, username: str, mask: Mask) -> str:
        return f"{style} for {username}"

    def badge(self, image: Image, text: str) -> Image:
        self.calls.append(f"badge {text}")
        return image


class _Repeat:
    def __init__(self, scale: int, calls: list[str]) -> None:
        self.scale, self.version, self._calls = scale, f"repeat-{scale}", calls

    def __call__(self, image: Image) -> Image:
        self._calls.append("superres")
        return image.repeat(self.scale, 0).repeat(self.scale, 1)


class _Middle:
    version = "middle-1"

    def __init__(self, calls: list[str], confidence: float) -> None:
        self._calls, self.confidence = calls, confidence

    def __call__(self, image: Image) -> Segmentation:
        self._calls.append("segment")
        height, width = image.shape[:2]
        mask = np.zeros((height, width), bool)
        mask[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
        return Segmentation(
            mask.astype(np.float32), mask, self.confidence, np.full(4, 0.5, np.float32)
        )


class _Invert:
    version = "invert-1"

    def __init__(self, style: str, calls: list[str]) -> None:
        self.style, self._calls = style, calls
        self.needs_mask = style != "frame"

    def __call__(
        self, image: Image, mask: Mask, *, seed: int, size: tuple[int, int] | None = None
    ) -> Image:
        self._calls.append("compose")
        return np.where(mask[:, :, None], 255 - image, image)


class Flow:
    """One account on the loopback network, with everything that handles a post."""

    def __init__(
        self, box: Sandbox, clock: Clock, folder: Path, *, stages: Stages | None = None
    ) -> None:
        self.box, self.clock = box, clock
        self.database = Database(sqlite_in(folder))
        self.originals = BlobStore(folder / "originals")
        self.artifacts = BlobStore(folder / "artifacts")
        self.runs = Runs(folder / "models")
        self.optouts = OptOuts(folder / "optout.key")
        with self.database.write() as session:
            self.optouts.open(session, clock())
        self.archive = Archive(self.database, self.originals, self.optouts)
        self.pacer = LedgerPacer("main", DatabaseLedger(self.database), NO_LIMITS, clock=clock)
        sign_in(box)
        self.platform = self.client(timeout=PATIENCE)
        self.us = Us(self.platform.login())
        self.policy = Policy(approval=False, opt_in_hashtags=frozenset({OPT_IN}))
        self.tracks: dict[str, Track] = {}
        self.ingest = Ingest(self.archive, Limits(), clock)
        self.poller = Poller(self.database, self.ingest, clock)
        self.stages = SmallStages()
        self.renderer = Renderer(
            self.database,
            self.originals,
            self.artifacts,
            stages or self.stages,
            registry.ways,
            clock,
        )

    def client(self, timeout: float, **changes: Any) -> InstagramPlatform:
        """Another client of the same account; its login is the stored session's."""
        return instagram_at(self.box, changes.pop("pacer", self.pacer), timeout=timeout, **changes)

    def impatient(self, timeout: float = 3.0) -> None:
        """Wait less for answers that never come."""
        self.platform.close()
        self.platform = self.client(timeout)
        self.platform.login()

    def close(self) -> None:
        self.ingest.close()
        self.platform.close()
        self.database.close()

    # the network

    def person(self, name: str, full_name: str = "", **profile: Any) -> str:
        """`profile` as in Profile."""
        self.box.world.add_user(name, full_name, profile=Profile(**profile))
        return name

    def post(self, author: str = "ana", caption: str = "#sunset", **more: Any) -> Post:
        """A post with one plain picture, of somebody who is added when there is no such person;
        `more` as World.add_post and Details.
        """
        try:
            self.box.world.user(author)
        except KeyError:
            self.person(author)
        more.setdefault("pictures", [plain_picture(self.box)])
        said = {one.name: more.pop(one.name) for one in fields(Details) if one.name in more}
        return self.box.world.add_post(author, caption, details=Details(**said), **more)

    def asking(self, author: str = "ana", **more: Any) -> Post:
        """A post that asks for a reply by the opt-in hashtag."""
        return self.post(author, f"#sunset #{OPT_IN}", **more)

    def published(self, post: Post) -> int:
        """Reply images to this post, by the journal."""
        return self.box.journal.replies_by_source().get(post.code, 0)

    def writes(self, kind: str = "") -> list[dict[str, Any]]:
        """What our account wrote, by the journal; logging in is no writing."""
        lines = self.box.journal.writes(kind, actor=self.box.username)
        return [line for line in lines if line["kind"] != "login"]

    def pages(self) -> int:
        """How often a page of posts was asked for."""
        return len(self.box.journal.requests("/sections/"))

    # the flow

    def track(
        self, name: str = "sunset", kind: TrackKind = TrackKind.HASHTAG, **more: Any
    ) -> Track:
        options: dict[str, Any] = {"every": timedelta(minutes=15), "dataset": name} | more
        track = Track(f"main:{kind}:{name}", "main", kind, name, **options)
        self.tracks[track.key] = track
        return track

    def poll(self, track: Track | None = None) -> Polled:
        """One track, or the only one."""
        (only,) = [track] if track else self.tracks.values()
        return self.poller.poll(self.platform, Watch(only, self.policy, self.us))

    def render(self) -> None:
        """What is queued, as the render worker does."""
        while (reply := claim(self.database, "main", self.policy, self.clock())) is not None:
            state, why, columns = rendered_state(self.policy), "", None
            try:
                columns = self.renderer.render(reply, self.policy)
                why = columns["facts"]["doubt"] if columns else ""
                state = rendered_state(self.policy, why)
            except NotRenderable as error:
                state, why = S.FAILED, str(error)
            more: dict[str, Any] = columns or {}
            if columns is None and state is not S.FAILED:
                state, more = S.QUEUED, {"not_before": self.clock() + timedelta(seconds=5)}
            with self.database.write() as session:
                now = self.clock()
                outbox.move(
                    session,
                    reply.id or 0,
                    S.RENDERING,
                    state,
                    who="render",
                    why=why,
                    now=now,
                    **more,
                )

    def publisher(self, files: Sequence[Files] = ()) -> Publisher:
        channel = Channel(self.database, self.artifacts, self.optouts, self.platform, self.clock)
        return Publisher(channel, self.us, lambda: self.policy, files=files)

    def publish(self) -> int:
        """Everything that may go out now. Returns how many replies were handled."""
        handled = 0
        while self.publisher().next(self.tracks):
            handled += 1
            assert handled < 100, "the same replies over and over"
        return handled

    def reconcile(self) -> int:
        """Every reading that is due."""
        handled = 0
        while Reconciler(self.database, self.platform, self.clock).next(self.policy):
            handled += 1
            assert handled < 100, "the same readings over and over"
        return handled

    def run(self) -> None:
        """All tracks, then what came of them."""
        for track in list(self.tracks.values()):
            self.poll(track)
        self.render()
        self.publish()

    def settle(self, minutes: int = 30) -> None:
        """Let the time pass that doubts, holds and retries need."""
        for _ in range(minutes):
            self.clock.advance(minutes=1)
            self.reconcile()
            self.publish()

    def restart(self) -> dict[str, int]:
        """What a new process does first."""
        with self.database.write() as session:
            return outbox.recover(session, "main", self.clock())

    def pause(self, *, on: bool = True, account: str = "") -> None:
        with self.database.write() as session:
            pauses.switch(session, account or None, on=on, now=self.clock())
            if not on:
                outbox.unhold(session, None, self.clock())

    def using(self, **changes: Any) -> None:
        """Another policy from now on."""
        self.policy = replace(self.policy, **changes)

    # what our database says

    def reply(self, post: Post) -> Reply | None:
        with self.database.read() as session:
            rows = outbox.listing(session, limit=1000)
        return next((row for row in rows if row.source_post == str(post.pk)), None)

    def reply_id(self, post: Post) -> int:
        reply = self.reply(post)
        assert reply is not None and reply.id is not None
        return reply.id

    def state(self, post: Post) -> str:
        reply = self.reply(post)
        return reply.state if reply else ""

    def reason(self, post: Post) -> str:
        reply = self.reply(post)
        return reply.reason if reply else ""

    def steps(self, post: Post) -> list[ReplyStep]:
        with self.database.read() as session:
            return steps.of_reply(session, self.reply_id(post))

    def approve(self, post: Post) -> None:
        with self.database.write() as session:
            outbox.release(session, self.reply_id(post), "op", self.clock())


@contextmanager
def opened(folder: Path, **options: Any) -> Iterator[Flow]:
    """A network and a flow on it, with one clock for both."""
    clock = Clock()
    stages = options.pop("stages", None)
    with Sandbox(folder / "network", clock=clock.time, **options) as box:
        flow = Flow(box, clock, folder, stages=stages)
        try:
            yield flow
        finally:
            flow.close()


def tag(flow: Flow, name: str = "", x: float = 0.5, y: float = 0.5) -> Tag:
    """A tag of a person (of us without a name)."""
    return Tag(flow.box.world.user(name or flow.box.username).pk, x, y)


def served(box: Sandbox, name: str, data: bytes, size: tuple[int, int] = (64, 64)) -> Picture:
    """A picture whose bytes are exactly these, whatever they are."""
    (box.directory / "uploads" / f"{name}.jpg").write_bytes(data)
    return Picture(f"u/{name}", *size)


def plain_picture(box: Sandbox) -> Picture:
    """Large enough to need no super-resolution, and quick to encode."""
    path = box.directory / "uploads" / "plain.jpg"
    if not path.exists():
        path.write_bytes(plain_jpeg((1080, 1080)))
    return Picture("u/plain", 1080, 1080)


def failure(flow: Flow, track: Track) -> TagechoError:
    """The error a poll ends with."""
    try:
        flow.poll(track)
    except TagechoError as error:
        return error
    raise AssertionError("the poll did not fail")
