"""A session from a browser's cookies.txt: used once to look, and kept only if it is ours."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from bot.config import Settings
from bot.core.errors import AuthError, LoginRequired, UsageError
from bot.net.cookies import cookie_of
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Person
from bot.service.app import session_file
from bot.verbs.login import log_in
from tests.contract.instagram_kit import account
from tests.sandbox import no_foreign_ca, sandbox

__all__ = ["no_foreign_ca", "sandbox"]

HEAD = "# Netscape HTTP Cookie File\n\n"
LATER = round(time.time()) + 86400


def browser_session(box: Sandbox, person: Person) -> str:
    """As somebody has it who logged in with a browser."""
    packed = box.sessions.open(person).rpartition(":")[2]
    return str(json.loads(base64.b64decode(packed))["sessionid"])


def line(
    value: str, *, name: str = "sessionid", host: str = ".instagram.com", until: int = LATER
) -> str:
    return f"#HttpOnly_{host}\tTRUE\t/\tTRUE\t{until}\t{name}\t{value}\n"


def cookies(folder: Path, *lines: str) -> Path:
    path = folder / "cookies.txt"
    path.write_text(HEAD + "".join(lines))
    return path


def test_the_session_works_and_is_kept_without_any_password(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = cookies(
        tmp_path,
        line("x", name="csrftoken"),
        line("1%3Aelsewhere%3A1", host=".example.com"),
        line(browser_session(sandbox, sandbox.account)),
    )
    with account(sandbox, password=None) as platform:
        me = platform.adopt(path)
        assert (me.username, me.user_id) == (sandbox.username, sandbox.account.pk)
        sandbox.world.add_user("ana")
        sandbox.world.add_post("ana", "#sunset")
        assert len(platform.hashtag("sunset").posts) == 1
    with account(sandbox, password=None) as platform:
        assert platform.login() == me, "from the file"
    assert len(sandbox.journal.requests("login")) == 0
    file = sandbox.directory / "session.json"
    assert file.stat().st_mode & 0o077 == 0


def test_the_device_stays_the_one_that_it_was(sandbox: Sandbox, tmp_path: Path) -> None:
    file = sandbox.directory / "session.json"
    with account(sandbox) as platform:
        platform.login()
    before = json.loads(file.read_text())
    path = cookies(tmp_path, line(browser_session(sandbox, sandbox.account)))
    with account(sandbox) as platform:
        platform.adopt(path)
    after = json.loads(file.read_text())
    assert after["uuids"] == before["uuids"]
    assert after["authorization_data"] != before["authorization_data"]


def test_a_session_of_somebody_else_or_that_ended_changes_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = sandbox.directory / "session.json"
    with account(sandbox) as platform:
        platform.login()
    before = file.read_bytes()
    ana = sandbox.world.add_user("ana")
    with account(sandbox) as platform, pytest.raises(AuthError, match="those of ana"):
        platform.adopt(cookies(tmp_path, line(browser_session(sandbox, ana))))
    ended = browser_session(sandbox, ana)
    sandbox.sessions.revoke(ana)
    with account(sandbox) as platform, pytest.raises(LoginRequired):
        platform.adopt(cookies(tmp_path, line(ended)))
    with account(sandbox) as platform, pytest.raises(AuthError, match="names no user"):
        platform.adopt(cookies(tmp_path, line("never-a-session")))
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (HEAD, "has no cookie sessionid of instagram.com"),
        (HEAD + line("1%3Asecret", host=".notinstagram.com"), "has no cookie"),
        (HEAD + line("1%3Asecret", until=1_700_000_000), "is expired"),
        ("[]", "is no cookies.txt"),
        (HEAD + "instagram.com\tTRUE\n", "is no cookies.txt"),
        (HEAD + line("1%3Asecret").replace(str(LATER), "soon"), "is no cookies.txt"),
        ("", "has no cookie"),
    ],
)
def test_what_is_no_use_is_told_without_quoting_it(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "cookies.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=what) as caught:
        cookie_of(path, "instagram.com", "sessionid")
    assert "secret" not in str(caught.value)
    path.unlink()
    with pytest.raises(UsageError, match="No such file"):
        cookie_of(path, "instagram.com", "sessionid")


def test_a_session_without_an_end_counts(tmp_path: Path) -> None:
    """A browser writes 0 for one that lasts as long as the browser."""
    path = cookies(tmp_path, line("1%3Aabc", host="www.instagram.com", until=0))
    assert cookie_of(path, "instagram.com", "sessionid") == "1%3Aabc"


def test_the_verb(sandbox: Sandbox, tmp_path: Path) -> None:
    said = {
        "platform": "instagram",
        "username": sandbox.username,
        "proxy": sandbox.proxy_url,
        "ca_file": sandbox.ca_file,
        "request_delay": [0, 0],
    }
    memory = {"platform": "memory", "username": "bot"}
    settings = Settings.model_validate(
        {"data": {"dir": tmp_path / "data"}, "accounts": {"main": said, "other": memory}}
    )
    path = cookies(tmp_path, line(browser_session(sandbox, sandbox.account)))
    assert log_in(settings, "main", path).username == sandbox.username
    assert session_file(settings, "main").exists()
    with pytest.raises(UsageError, match="memory takes no session from cookies"):
        log_in(settings, "other", path)
