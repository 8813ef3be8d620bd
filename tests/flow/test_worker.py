"""What the threads of the service give the flow."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from bot.app import App
from bot.config import Settings, parse
from bot.platforms.sandbox.server import Sandbox
from bot.worker import AccountWorker, Rules


def settings(box: Sandbox, folder: Path) -> Settings:
    account = f"""\
platform = "instagram"
proxy = "{box.proxy_url}"
ca_file = "{box.ca_file}"
media_hosts = ["{box.media_host}"]
request_delay = [0, 0]
"""
    text = f'[accounts.main]\nusername = "{box.username}"\n{account}'
    text += f'[accounts.other]\nusername = "Our.Second"\n{account}'
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
