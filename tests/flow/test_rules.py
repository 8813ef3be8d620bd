"""What the configuration tells the threads: whole, and all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import structlog
from prometheus_client import generate_latest
from sqlalchemy import update
from structlog.testing import capture_logs

from bot.config import Settings, parse
from bot.core.clock import utc_now
from bot.platforms.instagram.kinds import Remote
from bot.platforms.sandbox.server import Sandbox
from bot.service.account_worker import AccountWorker
from bot.service.app import App
from bot.service.daemon import Daemon
from bot.service.observe import REGISTRY
from bot.service.rules import Rules
from storage import retractions
from storage.tables import Reply
from tests.flow.kit import Flow


def settings(box: Sandbox, folder: Path, more: str = "") -> Settings:
    account = f"""
platform = "instagram"
proxy = "{box.proxy_url}"
ca_file = "{box.ca_file}"
media_hosts = ["{box.media_host}"]
request_delay = [0, 0]
"""
    text = f'[accounts.main]\nusername = "{box.username}"{account}'
    text += f'[accounts.other]\nusername = "Our.Second"{account}{more}'
    secret = {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": box.password}
    return parse(text, folder / "config.toml", secret)


def test_every_configured_account_is_ours(sandbox: Sandbox, tmp_path: Path) -> None:
    """Also one that is not logged in, whose id nobody knows."""
    app = App(settings(sandbox, tmp_path))
    worker = AccountWorker(app, "main", Rules(app), Event())
    assert worker.work() is False
    assert worker.ready
    assert worker._us is not None
    assert worker._us.names == {sandbox.username, "our.second"}
    worker.clean_up()
    app.close()


def test_a_reload_is_one_assignment(sandbox: Sandbox, tmp_path: Path) -> None:
    """A thread that looks meanwhile sees the old rules or the new ones, never some of each."""
    assigned: list[str] = []

    class Watched(Rules):
        def __setattr__(self, name: str, value: Any) -> None:
            assigned.append(name)
            super().__setattr__(name, value)

    app = App(settings(sandbox, tmp_path))
    rules = Watched(app)
    before = rules.now
    track = '[[tracks]]\naccount = "main"\nhashtag = "sunset"\n'
    more = f'[replies]\ndisclosure = "Not a photo"\nper_day = 3\n[limits]\nper_poll = 7\n{track}'
    app.settings = settings(sandbox, tmp_path, more)
    assigned.clear()
    rules.adopt(app)
    assert assigned == ["now"]
    assert (rules.now.policy.per_day, rules.now.limits.per_poll) == (3, 7)
    assert rules.now.policy.disclosure == "Not a photo"
    assert "main:hashtag:sunset" in rules.tracks
    assert "main:hashtag:sunset" not in before.tracks
    assert before.policy.per_day == 20
    app.close()


def test_a_new_disclosure_is_written_into_the_next_image(flow: Flow) -> None:
    """Not the kept image with the old words."""
    flow.track()
    flow.using(badge=True, disclosure="Made by a machine")
    post = flow.asking()
    flow.poll()
    flow.render()
    reply = flow.reply(post)
    assert reply is not None
    flow.renderer.render(reply, flow.policy)
    assert flow.stages.calls.count("compose") == 1
    flow.renderer.render(reply, replace(flow.policy, disclosure="Not a photo"))
    badges = [call for call in flow.stages.calls if call.startswith("badge")]
    assert badges == ["badge Made by a machine", "badge Not a photo"]
    flow.renderer.render(reply, replace(flow.policy, badge=False, disclosure="Not a photo"))
    flow.renderer.render(reply, replace(flow.policy, badge=False, disclosure="Other words"))
    assert flow.stages.calls.count("compose") == 3


def test_keeping_house_waits_for_nobody_who_writes(tmp_path: Path, flow: Flow) -> None:
    """Statistics need no write lock; only what expired does."""
    path = tmp_path / "config.toml"
    path.write_text("")
    daemon = Daemon(path, Settings.model_validate({"data": {"dir": tmp_path}}))
    flow.track()
    post = flow.asking()
    flow.poll()
    with flow.database.write():
        daemon._keep_house()
    assert flow.state(post) == "queued"
    with flow.database.write() as session:
        session.exec(update(Reply).values(expires_at=utc_now()))
    daemon._keep_house()
    assert flow.state(post) == "expired"
    daemon.app.close()


def test_deletions_are_counted_by_state_for_metrics(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    daemon, now = Daemon(path, Settings.model_validate({"data": {"dir": tmp_path}})), utc_now()
    with daemon.app.database.write() as session:
        for number in "123":
            retractions.add(session, "instagram", "main", Remote.POST, number, now)
        retractions.finish(session, 1, retractions.State.FAILED, now, "still there")
    for failed, waiting in ((1.0, 2.0), (0.0, 3.0)):
        daemon._measure()
        shown = generate_latest(REGISTRY).decode()
        assert f'tagecho_retractions{{state="failed"}} {failed}' in shown
        assert f'tagecho_retractions{{state="waiting"}} {waiting}' in shown
        with daemon.app.database.write() as session:
            retractions.again(session, now)
    daemon.app.close()


def test_lines_about_a_stage_name_the_reply_and_its_post(flow: Flow) -> None:
    flow.track()
    post = flow.asking()
    flow.poll()
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        flow.render()
    stages = [line for line in lines if line["event"] == "stage computed"]
    assert [line["stage"] for line in stages] == ["segment", "compose"]
    for line in stages:
        assert (line["reply"], line["post"]) == (flow.reply_id(post), str(post.pk))
        assert line["log_level"] == "info"
