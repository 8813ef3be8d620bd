"""The threads themselves: what they leave behind when their storage fails under them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import select

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import StorageError
from bot.core.events import Receipt, Step
from bot.flow.forget import forget
from bot.flow.policy import Deleted
from bot.flow.render import Renderer
from bot.platforms import registry
from bot.service.account_worker import LOGIN_PAUSE, AccountWorker
from bot.service.app import App
from bot.service.observe import FAULTS
from bot.service.render_worker import RenderWorker
from bot.service.rules import Rules
from bot.verbs.pause import switch_pause
from storage import retractions
from storage.tables import PostRow, Reply, ReplyState, Retraction, TrackState
from tests.flow.kit import Flow
from tests.waiting import PATIENCE, eventually


@pytest.fixture
def app(flow: Flow, tmp_path: Path) -> Iterator[App]:
    """A service on the flow's own folder."""
    account = {
        "platform": "instagram",
        "username": flow.box.username,
        "password": flow.box.password,
        "proxy": flow.box.proxy_url,
        "ca_file": flow.box.ca_file,
        "media_hosts": [flow.box.media_host],
        "request_delay": [0, 0],
    }
    pacing = {"delete": "off", "read": "off", "login": "off"}
    made = App(
        Settings.model_validate(
            {"data": {"dir": tmp_path}, "accounts": {"main": account}, "pacing": pacing}
        )
    )
    yield made
    made.close()


def renderer(flow: Flow, app: App) -> RenderWorker:
    return RenderWorker(
        app,
        Renderer(app.database, app.originals, app.artifacts, flow.stages, registry.ways),
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


@pytest.fixture
def account(flow: Flow, app: App) -> Iterator[AccountWorker]:
    made = AccountWorker(app, "main", Rules(app), threading.Event())
    yield made
    made.clean_up()


def test_an_account_takes_back_what_is_to_be_deleted(
    flow: Flow, app: App, account: AccountWorker
) -> None:
    """Before it polls or fetches anything, once, and not while the kill switch is on."""
    flow.track()
    post = flow.asking("ana")
    flow.run()
    assert flow.published(post) == 1
    forget(app, "instagram", "ana")
    flow.pause()
    assert account.work(), "looked at, and put off"
    assert not account.work()
    assert flow.writes("delete") == []
    flow.pause(on=False)
    with app.database.write() as session:
        session.exec(update(Retraction).values(not_before=utc_now()))
    assert account.work()
    [write] = flow.writes("delete")
    assert flow.box.world.posts[int(write["ids"]["pk"])].deleted
    with app.database.read() as session:
        assert [row.state for row in retractions.listing(session)] == ["done"]
    assert not account.work()
    assert len(flow.writes("delete")) == 1


def test_an_account_obeys_a_reload_between_two_writes(
    flow: Flow, app: App, account: AccountWorker
) -> None:
    flow.track()
    post = flow.asking("ana")
    flow.poll()
    flow.render()
    due_now(app)
    live, held = flow.policy, replace(flow.policy, enabled=False)
    account._rules.now = replace(account._rules.now, policy=live, tracks=flow.tracks)
    account._log_in()
    platform = account.platform
    assert platform is not None
    send = platform.send

    def and_reload(step: Step) -> Receipt:
        receipt = send(step)
        account._rules.now = replace(account._rules.now, policy=held)
        return receipt

    platform.send = and_reload  # type: ignore[method-assign]
    assert account.work()
    assert [write["kind"] for write in flow.writes()] == ["upload"]
    assert flow.reason(post) == "replies are switched off"


def test_an_account_publishes_while_a_read_waits(
    flow: Flow, app: App, account: AccountWorker
) -> None:
    """The first attempt of a poll is held until the reply may go; the second one finds it sent."""
    track = flow.track()
    post = flow.asking("ana")
    flow.poll()
    flow.render()
    account._rules.now = replace(account._rules.now, policy=flow.policy, tracks=flow.tracks)
    first = flow.box.faults.add("stall", "/api/v1/tags/*")
    second = flow.box.faults.add("stall", "/api/v1/tags/*")
    account.due(track.key)
    account.start()
    eventually("the poll waits for its answer", lambda: first.hits)
    due_now(app)
    first.released.set()
    eventually("it tries again", lambda: second.hits)
    assert flow.published(post) == 1
    account.stopping.set()
    flow.box.faults.clear()
    account.wake.set()
    account.join(PATIENCE)


def test_what_breaks_meanwhile_is_no_fault_of_the_read(
    flow: Flow, app: App, account: AccountWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poll ends well; the worker's turn is what fails, once."""
    track = flow.track()
    account._rules.now = replace(account._rules.now, policy=flow.policy, tracks=flow.tracks)
    broken: list[int] = []

    def publish(*_args: Any) -> bool:
        if account._finding or not flow.box.journal.requests("/tags/"):
            return False
        broken.append(1)
        raise StorageError("database or disk is full")

    monkeypatch.setattr(account, "_publish", publish)
    flow.box.faults.add("server_error", "/api/v1/tags/*")
    account.due(track.key)
    before = FAULTS.labels(account.name)._value.get()
    account.start()
    eventually("the turn fails", lambda: FAULTS.labels(account.name)._value.get() > before)
    with app.database.read() as session:
        assert session.get_one(TrackState, track.key).health == "ok"
    account.stopping.set()
    account.wake.set()
    account.join(PATIENCE)


def test_an_account_whose_session_ends_while_it_deletes_logs_in_again(
    flow: Flow, app: App, account: AccountWorker
) -> None:
    flow.track()
    flow.asking("ana")
    flow.run()
    forget(app, "instagram", "ana")
    flow.box.faults.add("login_required", write="delete")
    assert not account.work()
    assert not account.ready
    account._next_login = 0.0
    with app.database.write() as session:
        session.exec(update(Retraction).values(not_before=utc_now()))
    assert account.work()
    assert account.ready
    assert len(flow.writes("delete")) == 1


def test_photos_in_a_run_go_with_a_post_deleted_at_its_source(
    flow: Flow, app: App, account: AccountWorker
) -> None:
    flow.track()
    post = flow.asking("ana")
    flow.poll()
    flow.render()
    due_now(app)
    [sha256] = [path.name for path in app.originals.root.glob("??/??/*")]
    photo = app.settings.data.dir / "models" / "runs" / "1" / "photos" / "train" / f"{sha256}.jpg"
    photo.parent.mkdir(parents=True)
    photo.touch()
    flow.box.world.delete(post.pk)
    account._rules.now = replace(
        account._rules.now,
        policy=replace(flow.policy, deleted_posts=Deleted.REMOVE),
        tracks=flow.tracks,
    )
    assert account.work()
    assert flow.reply(post) is None
    assert not photo.exists()


def test_an_account_notices_a_deletion_while_it_looks_for_an_image(
    flow: Flow, app: App, account: AccountWorker
) -> None:
    flow.track()
    flow.box.faults.add("server_error", "*/m/u/*", count=0)
    post = flow.asking("ana")
    flow.poll()
    flow.box.world.delete(post.pk)
    with app.database.write() as session:
        session.exec(update(PostRow).values(first_seen=utc_now() - timedelta(hours=1)))
    policy = replace(flow.policy, deleted_posts=Deleted.REMOVE)
    account._rules.now = replace(account._rules.now, policy=policy, tracks=flow.tracks)
    account._next_retry = 0.0
    assert account.work()
    with app.database.read() as session:
        assert session.exec(select(PostRow)).all() == []
    assert flow.reply(post) is None


@pytest.mark.parametrize("revoked", [False, True], ids=["no session", "sessions revoked"])
def test_an_account_logs_in_when_the_network_is_back(
    flow: Flow, app: App, account: AccountWorker, revoked: bool
) -> None:
    """However long it was away: nothing waits for a person who has nothing to do about it."""
    if revoked:
        account.work()
        assert account._platform is not None
        account._platform.profile(flow.person("ana"))  # a session that worked, and then ended
        flow.box.sessions.revoke(flow.box.account)
        account._us = None
        account._next_login = 0.0
    fault = ("unavailable", "*send_login_request*") if revoked else ("drop", "*")
    flow.box.faults.add(*fault, count=0)
    pauses = []
    for _ in range(8):
        assert not account.work()
        assert not account.ready
        pauses.append(account._next_login - time.monotonic())
        assert not account.work(), "not before its time"
        account._next_login = 0.0
    assert max(pauses) <= LOGIN_PAUSE.longest * 1.25
    assert pauses[0] <= 25, "soon at first"
    assert pauses[-1] >= LOGIN_PAUSE.longest * 0.9, "slowly in the end"
    flow.box.faults.clear()
    account.work()
    assert account.ready


def test_resume_ends_the_wait_for_a_person(flow: Flow, app: App, account: AccountWorker) -> None:
    (flow.box.directory / "session.json").unlink(missing_ok=True)
    flow.box.faults.add("challenge_required", "*send_login_request*")
    account.work()
    before = len(flow.box.journal.requests())
    for _ in range(5):
        account._next_login = 0.0
        account.work()
        assert account._next_login - time.monotonic() <= 25, "looks again soon, at the ledger only"
    assert len(flow.box.journal.requests()) == before
    switch_pause(app.settings, None, on=False)
    account._next_login = 0.0
    account.work()
    assert account.ready
