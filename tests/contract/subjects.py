"""The platforms that the contract is put to, each with a network that a test may change.

A new platform adds its subject here: how somebody posts there, and how a request is made to fail.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from PIL import Image

from bot.core.events import Post, Step
from bot.platforms.base import Platform
from bot.platforms.mastodon.addressing import SPELLING, qualified
from bot.platforms.mastodon_sandbox.server import Mastodon
from bot.platforms.memory.adapter import MemoryPlatform
from bot.platforms.memory.network import Fault, Network
from bot.platforms.reply_modes import StepKind
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Profile, Tag
from tests.bluesky.kit import bluesky_at
from tests.bluesky.server import Server
from tests.mastodon import mastodon_at
from tests.sandbox import instagram_at


class NotedPacer:
    """Never waits, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Exception | None]] = []

    def before(self, action: str) -> None:
        """Always at once."""

    def after(self, action: str, error: Exception | None) -> None:
        self.told.append((action, error))

    def rest(self, seconds: float) -> bool:
        raise AssertionError(f"slept for {seconds} s")


class Subject(Protocol):
    platform: Platform
    pacer: NotedPacer
    per_page: int
    knows: frozenset[Fault]  # which of the faults there are on this network

    def person(self, name: str, *, is_private: bool = False) -> str:
        """Somebody of this name. Returns the name that the platform lists posts of."""

    def post(self, author: str, caption: str) -> str:
        """A post with one image. Returns its id."""

    def asks(self, author: str) -> str:
        """The same, mentioning or tagging us."""

    def remove(self, post_id: str) -> None: ...

    def fail(self, what: str, fault: Fault) -> None:
        """The next request meets the fault: "reading" a post, "delete", or a step's name."""

    def made(self, step: str) -> int:
        """How many things of ours the network shows that such a step made."""

    def clear(self) -> None:
        """Forget the faults that nobody met."""


class OnMemory:
    per_page = 5
    knows = frozenset(Fault)

    def __init__(self, pacer: NotedPacer) -> None:
        self.pacer = pacer
        self.network = Network("home.example", per_page=self.per_page)
        self.platform: Platform = MemoryPlatform("main", "bot", self.network, pacer)

    def person(self, name: str, *, is_private: bool = False) -> str:
        return self.network.join(name, is_private=is_private).username

    def post(self, author: str, caption: str) -> str:
        return self.network.publish(author, caption, (picture("PNG"),)).entry_id

    def asks(self, author: str) -> str:
        return self.post(author, "look, @bot")

    def remove(self, post_id: str) -> None:
        self.network.remove(post_id)

    def fail(self, what: str, fault: Fault) -> None:
        action = {"reading": "read", "reply": "write"}.get(what, what)
        self.network.fail(action, fault)

    def made(self, step: str) -> int:
        return sum(bool(one.reply_to) for one in self.network.shown())

    def clear(self) -> None:
        self.network.relent()


_FAULTS = {
    Fault.REFUSED: "dm_refused",
    Fault.GONE: "media_unavailable",
    Fault.UNAVAILABLE: "server_error",
    Fault.LOST_BEFORE: "drop",
    Fault.LOST_AFTER: "drop",
    Fault.THROTTLED: "throttled",
    Fault.WAIT: "please_wait",
    Fault.BLOCKED: "feedback_required",
    Fault.ENDED: "login_required",
    Fault.CHALLENGE: "challenge_required",
}


class OnInstagram:
    knows = frozenset(Fault)

    def __init__(self, box: Sandbox, pacer: NotedPacer, session_file: Path) -> None:
        self.pacer, self.box, self.per_page = pacer, box, 5
        self.platform: Platform = instagram_at(box, pacer, session_file=session_file, timeout=20.0)

    def person(self, name: str, *, is_private: bool = False) -> str:
        try:
            self.box.world.user(name)
        except KeyError:
            self.box.world.add_user(name, profile=Profile(is_private=is_private))
        return name

    def post(self, author: str, caption: str) -> str:
        self.person(author)
        return str(self.box.world.add_post(author, caption).pk)

    def asks(self, author: str) -> str:
        self.person(author)
        tag = Tag(self.box.world.user(self.box.username).pk, 0.5, 0.5)
        return str(self.box.world.add_post(author, "look", tags=[tag]).pk)

    def remove(self, post_id: str) -> None:
        self.box.world.delete(post_id)

    def fail(self, what: str, fault: Fault) -> None:
        paths = {"reading": "*/info/", "delete": "*delete/"}
        where = {"path": paths[what]} if what in paths else {"write": what}
        after = {"after": True} if fault is Fault.LOST_AFTER else {}
        self.box.faults.add(_FAULTS[fault], **where, **after)

    def made(self, step: str) -> int:
        return len(self.box.journal.writes(step))

    def clear(self) -> None:
        self.box.faults.clear()


_STATUSES = {
    Fault.REFUSED: "unprocessable",
    Fault.GONE: "not_found",
    Fault.UNAVAILABLE: "server_error",
    Fault.LOST_BEFORE: "drop",
    Fault.LOST_AFTER: "drop",
    Fault.THROTTLED: "throttled",
    Fault.ENDED: "revoked",
    Fault.CHALLENGE: "unconfirmed",
}


class OnMastodon:
    knows = frozenset(_STATUSES)

    def __init__(self, network: Mastodon, pacer: NotedPacer, session_file: Path) -> None:
        self.pacer, self.network, self.per_page = pacer, network, 5
        self.platform: Platform = mastodon_at(network, pacer, session_file=session_file)

    def person(self, name: str, *, is_private: bool = False) -> str:
        self.network.world.join(name, locked=is_private)
        return f"{name}@{self.network.world.domain}"

    def post(self, author: str, caption: str) -> str:
        """Who is mentioned exists: of others, a name is text there."""
        world = self.network.world
        for name in SPELLING.mentions(caption):
            world.join(name)
        image = world.keep(picture("JPEG"), "", (320, 320))
        closed = author in world.people and world.people[author].locked
        status = world.publish(
            author, caption, (image,), visibility="private" if closed else "public"
        )
        return qualified(self.network.server, status.status_id)

    def asks(self, author: str) -> str:
        return self.post(author, f"look, @{self.network.username}")

    def remove(self, post_id: str) -> None:
        self.network.world.remove(post_id.rpartition(":")[2])

    def fail(self, what: str, fault: Fault) -> None:
        where = {"reading": "status", "reply": "publish"}.get(what, what)
        self.network.fail(_STATUSES[fault], where, after=fault is Fault.LOST_AFTER)

    def made(self, step: str) -> int:
        world, name = self.network.world, self.network.username
        if step == "upload":
            return self.network.uploads
        return sum(bool(one.reply_to) and one.person.name == name for one in world.shown())

    def clear(self) -> None:
        self.network.faults.clear()


_METHODS = {
    "reading": "app.bsky.feed.getPosts",
    "upload": "com.atproto.repo.uploadBlob",
    "reply": "com.atproto.repo.putRecord",
    "delete": "com.atproto.repo.deleteRecord",
}


class OnBluesky:
    per_page = 5
    knows = frozenset(Fault)

    def __init__(self, network: Server, pacer: NotedPacer, session_file: Path) -> None:
        self.pacer, self.network = pacer, network
        self.platform: Platform = bluesky_at(network, pacer, session_file)

    def person(self, name: str, *, is_private: bool = False) -> str:
        person = self.network.join(name)
        person.labels = ["!no-unauthenticated"] if is_private else []
        return person.handle

    def post(self, author: str, caption: str) -> str:
        return self.network.publish(author, caption, (picture("PNG"),))

    def asks(self, author: str) -> str:
        me, shown = self.network.me, (picture("PNG"),)
        return self.network.publish(author, f"look, @{me.handle}", shown, mention=me.did)

    def remove(self, post_id: str) -> None:
        self.network.remove(post_id)

    def fail(self, what: str, fault: Fault) -> None:
        self.network.fail(_METHODS[what], fault)

    def made(self, step: str) -> int:
        return self.network.uploads if step == "upload" else len(self.network.replies())

    def clear(self) -> None:
        self.network.clear()


KNOWS = {
    "bluesky": OnBluesky.knows,
    "instagram": OnInstagram.knows,
    "mastodon": OnMastodon.knows,
    "memory": OnMemory.knows,
}


@contextmanager
def subject(name: str, folder: Path) -> Iterator[Subject]:
    """A network of its own, with our account on it, not logged in yet."""
    pacer = NotedPacer()
    if name == "memory":
        yield OnMemory(pacer)
        return
    with _started(name, folder, pacer) as made:
        try:
            yield made
        finally:
            made.platform.close()


@contextmanager
def _started(name: str, folder: Path, pacer: NotedPacer) -> Iterator[Subject]:
    if name == "bluesky":
        with Server(per_page=OnBluesky.per_page) as network:
            yield OnBluesky(network, pacer, folder / "session.json")
        return
    if name == "mastodon":
        with Mastodon(page_size=5) as network:
            yield OnMastodon(network, pacer, folder / "session.json")
        return
    with Sandbox(folder / "network") as box:
        box.net.page_size = 5
        yield OnInstagram(box, pacer, folder / "session.json")


def picture(form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (320, 320), (40, 90, 160)).save(out, form)
    return out.getvalue()


def planned(subject: Subject, mode: str) -> tuple[StepKind, ...]:
    """The writes of a reply in order, a comment included where there are any."""
    ways = subject.platform.ways
    return ways.plan(mode, comment=ways.comment is not None)


def written(kind: StepKind, source: Post, token: str, inputs: dict[str, str]) -> Step:
    return Step(
        kind.name,
        token,
        source_post_id=source.post_id,
        source_url=source.url,
        author=source.author,
        text=f"for you: {source.url}" if kind.text else "",
        alt_text="a generated image",
        image=picture("JPEG") if kind.image else None,
        size=(320, 320),
        inputs=dict(inputs),
    )
