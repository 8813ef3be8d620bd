"""Logging in to the loopback Instagram with the unmodified client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from instagrapi import exceptions as ig
from instagrapi.mixins.totp import TOTP

from bot.platforms.sandbox.server import Login, Sandbox
from bot.platforms.sandbox.sessions import totp, totp_fits
from tests.sandbox import close, new_client
from tests.waiting import PATIENCE

SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture
def guarded(tmp_path: Path, no_foreign_ca: None) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "box", bot=Login(totp_secret=SECRET)) as box:
        yield box


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_totp_gives_the_codes_of_rfc_6238(at: int, code: str) -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890"
    assert totp(secret, at) == code
    assert totp_fits(secret, code, at + 29)
    assert not totp_fits(secret, code, at + 90)


@pytest.mark.parametrize("way", ["login", "login_legacy"])
def test_fresh_login_is_over_http_2_and_opens_a_session(sandbox: Sandbox, way: str) -> None:
    client = new_client(sandbox)
    assert getattr(client, way)(sandbox.username, sandbox.password)
    assert client.account_info().pk == sandbox.account.pk
    close(client)

    private = [r for r in sandbox.journal.requests("/api/v1/") if "qe/sync" not in r["path"]]
    assert {line["http"] for line in private} == {"2"}
    assert {line["status"] for line in private} == {200}
    [(written)] = sandbox.journal.writes("login")
    assert written["actor"] == sandbox.username


def test_the_password_never_travels_or_rests_in_the_clear(sandbox: Sandbox) -> None:
    client = new_client(sandbox)
    client.login_legacy(sandbox.username, sandbox.password)
    close(client)
    assert sandbox.journal.path is not None
    assert sandbox.password not in sandbox.journal.path.read_text()


@pytest.mark.parametrize("way", ["login", "login_legacy"])
def test_a_second_factor_is_asked_for_and_checked(guarded: Sandbox, way: str) -> None:
    client = new_client(guarded)
    log_in = getattr(client, way)
    with pytest.raises(ig.TwoFactorRequired):
        log_in(guarded.username, guarded.password)
    with pytest.raises((ig.UnknownError, ig.TwoFactorRequired)):
        log_in(guarded.username, guarded.password, verification_code="000000")
    assert not guarded.journal.writes("login")

    assert log_in(guarded.username, guarded.password, verification_code=TOTP(SECRET).code())
    assert client.account_info().username == guarded.username
    close(client)


def test_a_wrong_password_is_refused(sandbox: Sandbox) -> None:
    client = new_client(sandbox)
    with pytest.raises(ig.BadPassword):
        client.login_legacy(sandbox.username, "not the password")
    assert not sandbox.journal.writes("login")
    close(client)


def test_the_client_submits_a_wrong_password_three_times(sandbox: Sandbox) -> None:
    """A trap of `login`: the current flow, the legacy endpoint, and the current flow again."""
    client = new_client(sandbox)
    with pytest.raises(ig.BadPassword):
        client.login(sandbox.username, "not the password")
    close(client)
    paths = [line["path"] for line in sandbox.journal.requests(method="POST")]
    assert sum("send_login_request" in p or p.endswith("accounts/login/") for p in paths) == 3
    assert not sandbox.journal.writes("login")


def test_a_stored_session_is_used_again_without_a_login(sandbox: Sandbox, tmp_path: Path) -> None:
    first = new_client(sandbox)
    first.login_legacy(sandbox.username, sandbox.password)
    first.dump_settings(tmp_path / "session.json")
    close(first)
    before = len(sandbox.journal.requests())

    second = new_client(sandbox)
    second.load_settings(tmp_path / "session.json")
    assert second.login(sandbox.username, sandbox.password)
    close(second)
    assert [line["path"] for line in sandbox.journal.requests()[before:]] == [
        "/api/v1/accounts/current_user/"
    ]


def test_a_revoked_session_is_refused_and_one_login_mends_it(sandbox: Sandbox) -> None:
    client = new_client(sandbox)
    client.login_legacy(sandbox.username, sandbox.password)
    assert sandbox.sessions.revoke(sandbox.account) == 1
    with pytest.raises(ig.LoginRequired):
        client.account_info()
    assert client.login(sandbox.username, sandbox.password)
    close(client)
    assert len(sandbox.journal.writes("login")) == 2


def test_a_made_up_token_opens_nothing(sandbox: Sandbox) -> None:
    answer = requests.get(
        "https://i.instagram.com/api/v1/accounts/current_user/",
        headers={"Authorization": "Bearer IGT:2:eyJzZXNzaW9uaWQiOiAiMSUzQWFiYyUzQTEifQ=="},
        proxies={"https": sandbox.proxy_url},
        verify=sandbox.ca_file,
        timeout=PATIENCE,
    )
    assert answer.status_code == 403
    assert answer.json()["message"] == "login_required"
