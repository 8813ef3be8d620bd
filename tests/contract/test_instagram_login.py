"""Logging in: one submission of the password, a private session file, settings that hold."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest

from bot.core.errors import (
    AuthError,
    BadCredentials,
    ChallengeRequired,
    LoginRequired,
    OutcomeUnknown,
    RateLimited,
    StorageError,
    TargetGone,
    TwoFactorRequired,
    Unavailable,
)
from bot.platforms.instagram.client import exceptions
from bot.platforms.instagram.session import read_settings, write_settings
from bot.platforms.instagram.translate import translate
from bot.platforms.pacing import LedgerPacer, TokenRate
from bot.platforms.sandbox.server import Login, Sandbox
from tests.contract.instagram_kit import RATES, OpenPacer, account, paced, settled
from tests.ledger import MemoryLedger
from tests.sandbox import no_foreign_ca, sandbox

__all__ = ["no_foreign_ca", "sandbox"]

SUBMIT = "caa.login.async.send_login_request"
LEGACY = "/accounts/login/"
SECRET = "JBSWY3DPEHPK3PXP"


def submissions(box: Sandbox) -> int:
    return len(box.journal.requests(SUBMIT)) + len(box.journal.requests(LEGACY))


def test_a_session_is_kept_and_used_again(sandbox: Sandbox) -> None:
    file = sandbox.directory / "session.json"
    with account(sandbox) as platform:
        me = platform.login()
        assert me.username == sandbox.username
        assert me.user_id == sandbox.account.pk
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = len(sandbox.journal.requests())
    with account(sandbox, password=None) as platform:
        assert platform.login() == me
    paths = [line["path"] for line in sandbox.journal.requests()[before:]]
    assert paths == ["/api/v1/accounts/current_user/"]
    assert submissions(sandbox) == 1


def test_the_login_goes_through_the_gate(sandbox: Sandbox) -> None:
    pacer = OpenPacer()
    with account(sandbox, pacer=pacer) as platform:
        platform.login()
    assert pacer.before_calls == ["login", "read", "read", "read"]
    assert [action for action, _ in pacer.after_calls] == ["read", "login", "read", "read"]
    assert {error for _, error in pacer.after_calls} == {None}


def test_a_wrong_password_is_submitted_once(sandbox: Sandbox) -> None:
    with (
        account(sandbox, password="not-the-password") as platform,
        pytest.raises(BadCredentials) as caught,
    ):
        platform.login()
    assert submissions(sandbox) == 1
    assert "not-the-password" not in str(caught.value)
    assert not (sandbox.directory / "session.json").exists()


def test_no_password_sends_nothing(sandbox: Sandbox) -> None:
    with account(sandbox, password=None) as platform, pytest.raises(LoginRequired):
        platform.login()
    assert sandbox.journal.requests() == []


def test_a_login_whose_answer_is_lost_is_not_repeated(sandbox: Sandbox) -> None:
    sandbox.faults.add("drop", f"*{SUBMIT}*", after=True, count=0)
    with account(sandbox) as platform, pytest.raises(Unavailable):
        platform.login()
    assert settled(sandbox, SUBMIT, 1) == 1


@pytest.mark.parametrize("fault", ["drop", "unavailable"])
@pytest.mark.parametrize("path", ["*", f"*{SUBMIT}*", "*/qe/sync/"])
def test_trouble_on_the_way_to_a_login_passes(sandbox: Sandbox, fault: str, path: str) -> None:
    """However often, and whichever request meets it: the same object logs in when it is over."""
    pacer = LedgerPacer("main", MemoryLedger(), RATES | {"login": TokenRate(1000, 3)})
    with account(sandbox, pacer=pacer) as platform:
        sandbox.faults.add(fault, path, count=0)
        for _ in range(3):
            with pytest.raises(Unavailable):
                platform.login()
        sandbox.faults.clear()
        pacer.before("login") if path == "*" else None  # no place was used up on the way
        assert platform.login().username == sandbox.username
    assert not any(breaker.latched for breaker in pacer._ledger.breakers("main").values())


@pytest.mark.parametrize("fault", ["drop", "unavailable", "cut_json", "throttled", "not_found"])
def test_trouble_after_the_password_says_nothing_of_the_password(
    sandbox: Sandbox, fault: str
) -> None:
    pacer = paced()
    with account(sandbox, pacer=pacer) as platform:
        sandbox.faults.add(fault, "*/feed/timeline/")
        with pytest.raises((Unavailable, RateLimited, TargetGone)):
            platform.login()
        pacer.resume(force=True)
        assert platform.login().username == sandbox.username
    assert submissions(sandbox) == 1


def test_sessions_revoked_while_login_is_out_of_order(sandbox: Sandbox) -> None:
    sandbox.world.add_user("ana")
    with account(sandbox, pacer=paced()) as platform:
        platform.login()
        platform.profile("ana")
        device = platform._session.client.uuid
        sandbox.sessions.revoke(sandbox.account)
        sandbox.faults.add("unavailable", f"*{SUBMIT}*", count=0)
        for _ in range(4):
            with pytest.raises(Unavailable):
                platform.login()
        assert submissions(sandbox) == 5, "each of them really asks"
        sandbox.faults.clear()
        assert platform.login().username == sandbox.username
        assert platform._session.client.uuid == device, "one device, however many clients"


def test_what_waited_for_a_person_goes_on_after_resume(sandbox: Sandbox) -> None:
    pacer = paced()
    with account(sandbox, pacer=pacer) as platform:
        for _ in range(3):
            sandbox.faults.add("challenge_required", f"*{SUBMIT}*")
            with pytest.raises(ChallengeRequired):
                platform.login()
            with pytest.raises(AuthError, match="waits for a person"):
                platform.login()
            pacer.resume()
        platform.login()
        sandbox.sessions.revoke(sandbox.account)
        with pytest.raises(AuthError, match="right after a login"):
            platform.login()
        pacer.resume()
        assert platform.login().username == sandbox.username


def test_what_the_client_counts_itself_is_no_word_of_the_platform() -> None:
    error = exceptions.ReloginAttemptExceeded()
    assert type(translate(error, None, action="login", what="login")) is Unavailable
    assert type(translate(error, None, action="publish", what="post")) is OutcomeUnknown


@pytest.mark.parametrize(
    ("secret", "error"), [(None, TwoFactorRequired), ("ORSXG5A=", AuthError)], ids=["none", "wrong"]
)
def test_a_second_factor_that_does_not_fit(
    tmp_path: Path, secret: str | None, error: type[AuthError]
) -> None:
    with Sandbox(tmp_path / "box", bot=Login(totp_secret=SECRET)) as box:
        with account(box, totp_secret=secret) as platform, pytest.raises(error):
            platform.login()
        assert submissions(box) == 1


def test_a_second_factor(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box", bot=Login(totp_secret=SECRET)) as box:
        with account(box, totp_secret=f"{SECRET[:8]} {SECRET[8:]}") as platform:
            assert platform.login().username == box.username
        assert submissions(box) == 1


def test_an_ended_session_is_worth_one_login(sandbox: Sandbox) -> None:
    sandbox.world.add_user("ana")
    pacer = OpenPacer()
    with account(sandbox, pacer=pacer) as platform:
        platform.login()
        platform.profile("ana")
        sandbox.sessions.revoke(sandbox.account)
        with pytest.raises(LoginRequired):
            platform.profile("ana")
        platform.login()
        assert submissions(sandbox) == 2
        sandbox.sessions.revoke(sandbox.account)
        with pytest.raises(AuthError) as caught:
            platform.login()
    assert type(caught.value) is AuthError  # not worth another login
    assert submissions(sandbox) == 2
    assert pacer.after_calls[-1][0] == "login"


def test_a_challenge_keeps_the_session(sandbox: Sandbox) -> None:
    sandbox.world.add_user("ana")
    file = sandbox.directory / "session.json"
    with account(sandbox) as platform:
        platform.login()
        kept = file.read_bytes()
        sandbox.faults.add("challenge_required", "*/usernameinfo/")
        with pytest.raises(ChallengeRequired):
            platform.profile("ana")
    assert file.read_bytes() == kept
    with account(sandbox) as platform:
        platform.login()
    assert submissions(sandbox) == 1


def test_stored_settings_do_not_win_over_ours(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sandbox.directory / "session.json"
    with account(sandbox) as platform:
        platform.login()
    poison = {
        "tls_verify": "/nowhere/ca.pem",
        "request_timeout": 60,
        "private_transport": "requests",
        "public_transport": "requests",
        "session_retry_total": 5,
        "public_request_retries_count": 5,
    }
    write_settings(file, json.loads(file.read_text()) | poison)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    monkeypatch.setenv("CURL_CA_BUNDLE", "/nowhere/bundle.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    before = len(sandbox.journal.requests())
    with account(sandbox) as platform:
        platform.login()
        sandbox.faults.add("server_error", "*/usernameinfo/", count=0)
        with pytest.raises(Unavailable):
            platform.profile("ana")
    lines = sandbox.journal.requests()[before:]
    assert [line["status"] for line in lines] == [200, 500]  # not tried again
    assert {line["http"] for line in lines} == {"2"}


def test_another_names_session_is_not_used(sandbox: Sandbox) -> None:
    file = sandbox.directory / "session.json"
    with account(sandbox) as platform:
        platform.login()
    write_settings(file, json.loads(file.read_text()) | {"tagecho_login": "somebody.else"})
    with account(sandbox) as platform:
        platform.login()
    assert submissions(sandbox) == 2


def test_a_damaged_session_file_means_a_new_login(sandbox: Sandbox) -> None:
    file = sandbox.directory / "session.json"
    file.write_text('{"uuids": {')
    with account(sandbox) as platform:
        platform.login()
    assert submissions(sandbox) == 1
    assert json.loads(file.read_text())["tagecho_login"] == sandbox.username


def test_nothing_secret_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Even at the lowest level: the client would log whole answers, the login's among them."""
    caplog.set_level(logging.DEBUG)
    with account(sandbox) as platform:
        platform.login()
        sandbox.faults.add("cut_json", "*/news/inbox/")
        with pytest.raises(Unavailable):
            platform.mentions()
        token = platform._session.client.sessionid
    stored = (sandbox.directory / "session.json").read_text()
    assert token
    assert token in stored
    ours = [record for record in caplog.records if not record.name.startswith("hpack")]
    said = "\n".join(record.getMessage() for record in ours)  # hpack is the server's, not ours
    assert token not in said
    assert "IGT:2" not in said  # how an authorization begins
    assert sandbox.password not in said
    assert sandbox.password not in stored


def test_a_session_file_of_something_else(sandbox: Sandbox) -> None:
    file = sandbox.directory / "session.json"
    write_settings(file, {"tagecho_login": sandbox.username, "uuids": 5, "device_settings": "x"})
    with pytest.raises(StorageError, match=r"session\.json"), account(sandbox):
        pass


def test_a_session_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "session.json"
    write_settings(file, {"a": 1})
    file.chmod(0o644)
    with pytest.raises(TypeError):
        write_settings(file, {"a": object()})
    assert read_settings(file) == {"a": 1}
    write_settings(file, {"a": 2})
    assert read_settings(file) == {"a": 2}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["session.json"]


def test_a_session_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_settings(tmp_path / "file" / "session.json", {})
