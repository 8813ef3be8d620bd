"""Who may ask for what: hosts, origins, sessions, roles, tokens, wrong passwords."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from bot import config
from bot.console import api, pages
from bot.console.access.attempts import FREE, Attempts
from bot.console.access.guard import HEADERS
from bot.console.access.sessions import IDLE, MOST, Role, Sessions
from bot.console.server import serving
from bot.core.errors import ConfigError, TagechoError
from bot.service.app import opened
from storage import audit, pauses
from tests.unit.console.conftest import CONFIG, PASSWORD, VIEWING, Console

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def all_paused(console: Console) -> bool:
    with console.app.database.read() as session:
        return pauses.all_paused(session)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8491", 200),
        ("[::1]:1", 200),
        ("localhost", 200),
        ("tagecho.example", 200),
        ("TAGECHO.example:443", 200),
        ("rebound.example", 421),
        ("localhost.rebound.example", 421),
        ("127.0.0.1.rebound.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_a_name_that_is_not_ours_is_not_answered(console: Console, host: str, status: int) -> None:
    with console.program() as client:
        assert client.get("/api/state", headers={"host": host}).status_code == status
        assert client.get("/static/console.css", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_a_page_of_another_origin_changes_nothing(
    console: Console, headers: dict[str, str]
) -> None:
    with console.program() as client:
        answer = client.post("/api/pause", json={}, headers=headers)
        assert answer.status_code == 403
    assert not all_paused(console)


def test_a_page_of_another_site_cannot_show_our_images_and_may_link_to_us(console: Console) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    with console.program() as client:
        image = client.get("/static/icon.svg", headers=foreign | {"sec-fetch-mode": "no-cors"})
        link = client.get("/", headers=foreign | {"sec-fetch-mode": "navigate"})
    assert (image.status_code, link.status_code) == (403, 200)


def test_our_own_page_may_act_only_with_its_token(console: Console) -> None:
    with console.browser() as browser:
        token = browser.csrf()
        assert token
        assert browser.change("/api/pause", {}, "").status_code == 403
        assert browser.change("/api/pause", {}, "another").status_code == 403
        assert not all_paused(console)
        own = {"origin": console.address.rstrip("/"), "x-csrf-token": token}
        assert browser.post("/api/pause", json={}, headers=own).status_code == 200
    assert all_paused(console)


def test_a_browser_whose_session_is_not_known_acts_on_nothing(console: Console) -> None:
    with console.browser() as first, console.browser() as other:
        token = first.csrf()
        assert other.change("/api/pause", {}, token).status_code == 403
    assert not all_paused(console)


def test_the_cookie_is_strict_and_out_of_reach_of_scripts(console: Console) -> None:
    with console.browser() as browser:
        cookie = browser.get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie


@pytest.mark.parametrize("path", ["/", "/api/state", "/static/console.js", "/nothing", "/login"])
def test_every_answer_says_what_browsers_must_not_do(console: Console, path: str) -> None:
    with console.browser() as browser:
        headers = browser.get(path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy and "http" not in policy and "default-src 'none'" in policy
    assert "server" not in headers


def test_nothing_is_loaded_from_elsewhere_and_no_script_stands_in_a_page(console: Console) -> None:
    with console.browser() as browser:
        for path in ("/", "/log", "/login", "/nothing"):
            text = browser.get(path).text
            assert "<script>" not in text and "style=" not in text and " onclick" not in text
            for part in text.split('src="')[1:] + text.split('<link rel="')[1:]:
                assert "//" not in part.partition('"')[0]


READING = {"/api/images/alike", "/dataset/like"}  # by POST, because an image is their question


def routes() -> list[tuple[str, str]]:
    found = []
    for group in (*api.GROUPS, *pages.GROUPS):
        for route in group.router.routes:
            assert isinstance(route, APIRoute)
            found += [(method, route.path) for method in sorted(route.methods)]
    return found


def test_every_route_but_the_login_asks_who_it_is(guarded: Console) -> None:
    asked = routes()
    assert len(asked) > 5
    with guarded.program() as nobody, guarded.program(VIEWING) as viewer:
        for method, path in asked:
            url = path.replace("{", "").replace("}", "")
            answer = nobody.request(method, url)
            assert answer.status_code == (401 if path.startswith("/api/") else 303), path
            if method != "GET" and path not in READING:
                assert viewer.request(method, url, json={}).status_code == 403, path
    assert not all_paused(guarded)


def test_a_reviewer_acts_and_a_viewer_only_looks(guarded: Console) -> None:
    with guarded.browser() as browser:
        assert browser.get("/").status_code == 303
        assert browser.log_in(VIEWING).headers["location"] == "/"
        assert "Pause publishing" not in browser.get("/").text
        assert browser.change("/api/pause", {}).status_code == 403
        assert not all_paused(guarded)
        browser.log_in(PASSWORD)
        assert "Pause publishing" in browser.get("/").text
        assert browser.change("/api/pause", {}).status_code == 200
        browser.post("/logout")
        assert browser.get("/").status_code == 303
    assert all_paused(guarded)


def test_a_program_uses_the_password_as_its_token(guarded: Console) -> None:
    with guarded.program("wrong password") as wrong, guarded.program(PASSWORD) as right:
        assert wrong.get("/api/state").status_code == 401
        assert right.post("/api/pause", json={}).json() == {"paused": True, "account": None}


def test_wrong_passwords_wait(guarded: Console) -> None:
    with guarded.browser() as browser, guarded.program(PASSWORD) as program:
        codes = [browser.log_in("wrong password").status_code for _ in range(FREE)]
        late = browser.log_in(PASSWORD)
        assert codes == [401] * FREE and late.status_code == 429
        answer = program.get("/api/state")
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1


def test_the_wait_doubles_and_the_networks_of_ipv6_are_one() -> None:
    attempts = Attempts()
    for _ in range(FREE):
        assert attempts.wait("2001:db8::1", NOW) == timedelta(0)
        attempts.failed("2001:db8::1", NOW)
    first = attempts.wait("2001:db8::2", NOW)
    attempts.failed("2001:db8::3", NOW + first)
    assert attempts.wait("2001:db8::1", NOW + first) == 2 * first
    assert attempts.wait("2001:db8:0:1::1", NOW) == timedelta(0)
    attempts.worked("2001:db8::1")
    assert attempts.wait("2001:db8::1", NOW) == timedelta(0)


def test_a_session_ends_when_it_is_not_used_and_the_oldest_ends_for_a_new_one() -> None:
    sessions = Sessions()
    key, _ = sessions.begin("eva", Role.VIEWER, NOW)
    assert sessions.find(key, NOW + IDLE) is not None
    assert sessions.find(key, NOW + 2 * IDLE + timedelta(seconds=1)) is None
    keys = [sessions.begin("eva", Role.VIEWER, NOW)[0] for _ in range(MOST + 1)]
    assert sessions.find(keys[0], NOW) is None and sessions.find(keys[-1], NOW) is not None
    sessions.end(keys[-1])
    assert sessions.find(keys[-1], NOW) is None


@pytest.mark.parametrize(
    "next_", ["//evil.example", "https://evil.example", "/\\evil.example", "\t"]
)
def test_a_login_leads_nowhere_else(guarded: Console, next_: str) -> None:
    with guarded.browser() as browser:
        data = {"name": "eva", "password": PASSWORD, "next": next_}
        assert browser.post("/login", data=data).headers["location"] == "/"
        assert browser.get("/login", params={"next": next_}).headers["location"] == "/"
        assert browser.get("/login", params={"next": "/log"}).headers["location"] == "/log"


def test_what_people_do_is_in_the_log(guarded: Console) -> None:
    with guarded.browser() as browser:
        browser.log_in(name="<b>eva</b>")
        browser.log_in(name="eva")
        browser.change("/api/pause", {"account": "main"})
        text = browser.get("/log").text
    with guarded.app.database.read() as session:
        rows = audit.newest(session, 10)
    assert [(row.who, row.action, row.target) for row in rows] == [
        ("eva", "service pause", "main"),
        ("eva", "console login", "reviewer"),
    ]
    assert rows[0].address == "127.0.0.1" and "service pause" in text


def test_beyond_this_machine_it_needs_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace("127.0.0.1:0", "0.0.0.0:0"))
    with pytest.raises(ConfigError, match=r"needs a password: secrets/console\.password"):
        config.load(path)
    with (
        opened(config.load(path, secrets="none")) as app,
        pytest.raises(ConfigError, match="needs a password"),
        serving(path, app),
    ):
        pass
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "console.password").write_text(f"{PASSWORD}\n")
    (secrets / "console.password").chmod(0o600)
    with opened(config.load(path)) as app, serving(path, app) as address:
        port = address.rpartition(":")[2]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert client.get("/api/state").status_code == 401
            token = {"authorization": f"Bearer {PASSWORD}"}
            assert client.get("/api/state", headers=token).status_code == 200


def test_an_address_that_is_taken_is_one_line(console: Console) -> None:
    port = console.address.rstrip("/").rpartition(":")[2]
    console.path.write_text(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    with (
        opened(config.load(console.path)) as app,
        pytest.raises(TagechoError, match=r"console\.listen: .*in use"),
        serving(console.path, app),
    ):
        pass
