"""`kill -9` at every stage of a reply. After a restart the network shows exactly one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Post
from bot.verbs.pause import switch_pause
from bot.verbs.replies import Asked, settle
from tests.e2e.kit import Service, service
from tests.waiting import eventually

pytestmark = pytest.mark.slow

Act = Callable[[Service], object]


@dataclass(frozen=True)
class Stage:
    """Where the process is killed, the fault that keeps it there, and how that is seen."""

    name: str
    state: str  # of the reply, when it is killed
    fault: dict[str, Any] = field(default_factory=dict)
    hit: bool = False  # killed while the fault holds a request
    mode: str = "post"
    comment: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    before: Act = lambda _: None
    after: Act = lambda _: None
    steps: dict[str, str] = field(default_factory=dict)
    by_command: bool = False


def hang(write: str, *, after: bool = False) -> dict[str, Any]:
    return {"kind": "hang", "write": write, "after": after}


def pause(on: bool) -> Act:
    return lambda service: switch_pause(service.settings, None, on=on)


def approve(service: Service) -> None:
    settle(service.settings, Asked((range(1, 2),)), "approve")


COMMENT = "look: {url}"
STAGES = (
    Stage("queued, its image still missing", "queued", {"kind": "server_error", "path": "/m/*"}),
    Stage("rendering", "rendering", by_command=True),
    Stage("awaiting approval", "awaiting_approval", options={"approval": "true"}, after=approve),
    Stage("approved, paused", "approved", before=pause(True), after=pause(False)),
    Stage("upload sent, not applied", "sending", hang("upload"), hit=True),
    Stage("upload applied, no answer yet", "sending", hang("upload", after=True), hit=True),
    Stage(
        "between upload and post", "approved",
        {"kind": "throttled", "write": "post", "retry_after": 3},
        steps={"upload": "done", "post": "planned"},
    ),
    Stage("post sent, not applied", "sending", hang("post"), hit=True),
    Stage("post applied, no answer yet", "sending", hang("post", after=True), hit=True),
    Stage("post applied, answer lost", "unknown", {"kind": "drop", "write": "post", "after": True}),
    Stage("post lost, not applied", "unknown", {"kind": "drop", "write": "post"}),
    Stage("comment sent, not applied", "sending", hang("comment"), hit=True, comment=COMMENT),
    Stage(
        "comment applied, no answer yet", "sending", hang("comment", after=True),
        hit=True, comment=COMMENT,
    ),
    Stage("story sent, not applied", "sending", hang("story"), hit=True, mode="story"),
    Stage(
        "story applied, no answer yet", "sending", hang("story", after=True), hit=True, mode="story"
    ),
    Stage(
        "message text applied, no answer yet", "sending", hang("dm_text", after=True),
        hit=True, mode="dm",
    ),
    Stage("photo message sent, not applied", "sending", hang("dm_photo"), hit=True, mode="dm"),
    Stage(
        "photo message applied, no answer yet", "sending", hang("dm_photo", after=True),
        hit=True, mode="dm",
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, str, int, int]]]:
    rows: list[tuple[str, str, int, int]] = []
    yield rows
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{'kill -9 at':<40}{'mode':<8}{'published':>9}{'comments':>10}")
        for name, mode, published, comments in rows:
            print(f"{name:<40}{mode:<8}{published:>9}{comments:>10}")


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name.replace(" ", "-"))
def test_killed(
    sandbox: Sandbox, tmp_path: Path, stage: Stage, table: list[tuple[str, str, int, int]]
) -> None:
    options = {"mode": stage.mode, "comment": stage.comment} | stage.options
    with service(sandbox, tmp_path / "service", by_command=stage.by_command, **options) as running:
        stage.before(running)
        fault = sandbox.faults.add(**stage.fault) if stage.fault else None
        post = running.asking()
        running.start()
        reached(running, post, stage, fault)
        running.kill()
        if stage.hit:  # the network notices that the client is gone before the fault is lifted
            eventually("the network saw it leave", lambda: faulty(sandbox, "hang"))
        sandbox.faults.clear()
        stage.after(running)
        running.start()
        running.until_state(post, "sent")
        running.stop()
    comments = len(sandbox.journal.writes("comment", actor=sandbox.username))
    table.append((stage.name, stage.mode, running.published(post), comments))
    assert running.published(post) == 1
    assert sandbox.journal.duplicate_replies() == 0
    assert comments == bool(stage.comment)
    texts = sandbox.journal.writes("dm_text", actor=sandbox.username)
    assert len(texts) == (stage.mode == "dm")


def reached(running: Service, post: Post, stage: Stage, fault: Any) -> None:
    if stage.hit:
        eventually("the request hangs", lambda: fault.hits)
    running.until_state(post, stage.state)
    if stage.steps:
        eventually(
            "the steps are where they should be",
            lambda: stage.steps.items() <= running.steps(post).items(),
        )


def until_more(count: Callable[[], int], before: int) -> None:
    eventually("one more is published", lambda: count() > before)


def faulty(sandbox: Sandbox, kind: str) -> bool:
    return any(line["fault"] == kind for line in sandbox.journal.requests())


def test_killed_again_and_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """Five posts, and a kill whenever another one has been published: one reply each."""
    with service(sandbox, tmp_path / "service") as running:
        posts = [running.asking(f"p{n}") for n in range(5)]

        def published() -> int:
            return sum(running.published(post) > 0 for post in posts)

        while (before := published()) < len(posts):
            running.start()  # which publishes perhaps before it is seen to run
            until_more(published, before)
            running.kill()
        running.start()
        eventually("all are settled", lambda: all(running.state(p) == "sent" for p in posts))
        running.stop()
    assert [running.published(post) for post in posts] == [1] * 5
    assert sandbox.journal.duplicate_replies() == 0
