"""The threads themselves: what they leave behind when their storage fails under them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bot.app import App
from bot.config import Settings
from bot.errors import StorageError
from bot.flow.policy import utc_now
from bot.flow.render import Renderer
from bot.worker import RenderWorker, Rules
from storage.tables import Reply, ReplyState
from tests.flow.kit import Flow


@pytest.fixture
def app(flow: Flow, tmp_path: Path) -> Iterator[App]:
    """A service on the flow's own folder."""
    account = {"platform": "instagram", "username": flow.box.username}
    made = App(Settings.model_validate({"data": {"dir": tmp_path}, "accounts": {"main": account}}))
    yield made
    made.close()


def renderer(flow: Flow, app: App) -> RenderWorker:
    return RenderWorker(
        app,
        Renderer(app.database, app.originals, app.artifacts, flow.stages),
        Rules(app),
        threading.Event(),
        rendered=lambda _account: None,
        idle=lambda: None,
    )


def due_now(app: App) -> None:
    """The flow's clock is ahead of the worker's."""
    with app.database.write() as session:
        session.exec(update(Reply).values(not_before=utc_now()))


def test_a_reply_is_not_left_behind_in_rendering(
    flow: Flow, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.track()
    post = flow.asking()
    flow.poll()
    due_now(app)
    worker = renderer(flow, app)

    def full(*_args: Any, **_values: Any) -> None:
        raise StorageError("database or disk is full")

    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(worker, "_move", full)
        worker.work()
    assert flow.state(post) == ReplyState.RENDERING
    assert worker.work()
    assert flow.state(post) == ReplyState.AWAITING_APPROVAL


def test_a_storage_fault_is_no_attempt(
    flow: Flow, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.track()
    post = flow.asking()
    flow.poll()
    worker = renderer(flow, app)

    def full(_data: bytes) -> str:
        raise StorageError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(app.artifacts, "put", full)
        for _ in range(5):
            due_now(app)
            assert worker.work()
            reply = flow.reply(post)
            assert reply is not None
            assert (reply.state, reply.attempts) == (ReplyState.QUEUED, 0)
            assert "no space left" in reply.reason
            assert reply.not_before > utc_now(), "others get their turn"
    due_now(app)
    worker.work()
    assert flow.state(post) == ReplyState.AWAITING_APPROVAL
