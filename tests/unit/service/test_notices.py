"""Who is told of what, how often, and when not: real servers, and what the network may reach."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from pydantic import SecretStr

from bot.config import Settings
from bot.core.errors import BadCredentials, ChallengeRequired, Unavailable
from bot.flow.quiet_hours import QuietHours
from bot.net.notices import Delivery, send
from bot.platforms.pacing import ACCOUNT
from bot.service import notices as told
from bot.service.notices import Notices
from bot.service.presence import present
from bot.service.state import look
from storage import account_logins
from storage.database import Database
from storage.tables import BreakerRow, Health, NoticeRow, ReplyState, TrackState
from tests.datasets import settings_at
from tests.replies import put_reply
from tests.waiting import PATIENCE

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
TRACK = "main:hashtag:sunset"
MINUTE = timedelta(minutes=1)


class Told:
    """A service whose notices go to a list; every look is at a time of the test's choice."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.sent: list[tuple[str, str]] = []
        self.works = True
        self.notices = Notices(database, self._send)

    def _send(self, urls: Any, title: str, body: str, own: Any) -> list[Delivery]:
        self.sent.append((title.removeprefix("tagecho: "), body))
        return [Delivery("E-Mail", "" if self.works else "no answer")]

    def at(self, after: timedelta, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The titles of what is sent at a moment."""
        before, now = len(self.sent), NOW + after
        monkeypatch.setattr(told, "utc_now", lambda: now)
        with self.database.write() as session:  # polls go on
            row = session.get(TrackState, TRACK)
            if row is not None and row.health == Health.OK:
                row.last_attempt = row.last_ok = now
        self.notices.look(look(self.settings, self.database, now), self.settings)
        self.notices.close(60)
        return [title for title, _ in self.sent[before:]]

    def change(self, **values: Any) -> None:
        changed = self.settings.notices.model_copy(update=values)
        self.settings = self.settings.model_copy(update={"notices": changed})


@pytest.fixture
def service(tmp_path: Path, database: Database) -> Iterator[Told]:
    said = settings_at(tmp_path)
    account = {"platform": "instagram", "username": "imagebot", "mentions_every": "off"}
    settings = Settings.model_validate(
        {
            "data": said.data,
            "accounts": {"main": account},
            "tracks": [{"account": "main", "hashtag": "sunset", "every": "15m"}],
            "notices": {"urls": SecretStr("json://example.com")},
        }
    )
    with database.write() as session:
        account_logins.succeed(session, "main", NOW)
        session.add(TrackState(track=TRACK, health=Health.OK, last_attempt=NOW, last_ok=NOW))
    with present(settings.data.dir, NOW):
        yield Told(settings, database)


def test_where_all_is_well_nobody_is_told(service: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.at(timedelta(), monkeypatch) == []


def test_replies_that_wait_are_told_once_an_hour_and_only_if_there_are_new_ones(
    service: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put_reply(service.database, ReplyState.AWAITING_APPROVAL, "p1")
    assert service.at(timedelta(), monkeypatch) == ["1 reply waits for you"]
    assert service.sent[0][1] == f"tagecho replies approve {first}"
    put_reply(service.database, ReplyState.AWAITING_APPROVAL, "p2")
    assert service.at(59 * MINUTE, monkeypatch) == []
    assert service.at(61 * MINUTE, monkeypatch) == ["2 replies wait for you"]
    assert service.at(5 * 60 * MINUTE, monkeypatch) == [], "they know"
    assert service.at(timedelta(hours=26), monkeypatch) == ["2 replies wait for you"], "a day later"


def test_each_kind_has_its_hour(service: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    put_reply(service.database, ReplyState.AWAITING_APPROVAL, "p1")
    with service.database.write() as session:
        account_logins.fail(session, "main", BadCredentials("wrong password"), NOW, NOW)
    titles = service.at(timedelta(), monkeypatch)
    assert titles == ["1 reply waits for you", "account main cannot log in"]
    assert "stop the service, correct the secret" in service.sent[1][1]


def test_a_challenge(service: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    with service.database.write() as session:
        reason = f"{ChallengeRequired.__name__}: a code is wanted"
        session.add(BreakerRow(account="main", action=ACCOUNT, latched=True, reason=reason))
    assert service.at(timedelta(), monkeypatch) == ["account main waits for a person"]
    assert "tagecho resume" in service.sent[0][1]


def test_what_passes_by_itself_is_told_only_if_it_lasts(
    service: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service.database.write() as session:
        session.merge(
            TrackState(
                track=TRACK,
                health=Health.FAILING,
                error="Unavailable: HTTP 500",
                failing_since=NOW,
                last_attempt=NOW,
                last_ok=NOW,
            )
        )
    assert service.at(20 * MINUTE, monkeypatch) == []
    assert service.at(31 * MINUTE, monkeypatch) == ["not collected: #sunset"]
    with service.database.write() as session:
        session.get_one(TrackState, TRACK).health = Health.OK
        account_logins.fail(session, "main", Unavailable("away"), NOW + 32 * MINUTE, NOW)
    assert service.at(35 * MINUTE, monkeypatch) == []
    assert service.at(43 * MINUTE, monkeypatch) == ["account main cannot log in"]


def test_what_is_over_and_comes_again_is_told_again(
    service: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def challenge(*, on: bool) -> None:
        with service.database.write() as session:
            row = BreakerRow(account="main", action=ACCOUNT, latched=on, reason="AuthError: no")
            session.merge(row)

    challenge(on=True)
    assert len(service.at(timedelta(), monkeypatch)) == 1
    challenge(on=False)
    assert service.at(10 * MINUTE, monkeypatch) == []
    challenge(on=True)
    assert service.at(20 * MINUTE, monkeypatch) == [], "within the hour"
    assert len(service.at(61 * MINUTE, monkeypatch)) == 1


def test_a_full_disk(service: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage("/")._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    (title,) = service.at(timedelta(), monkeypatch)
    assert title.startswith("disk: 0.0 GB free")


def test_quiet_hours_are_respected_and_told_afterwards(
    service: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.change(quiet_hours=QuietHours(time(11), time(14)))
    put_reply(service.database, ReplyState.AWAITING_APPROVAL, "p1")
    assert service.at(timedelta(), monkeypatch) == []
    assert service.at(timedelta(hours=2), monkeypatch) == ["1 reply waits for you"]


def test_only_what_was_chosen(service: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    put_reply(service.database, ReplyState.AWAITING_APPROVAL, "p1")
    service.change(on=("disk",))
    assert service.at(timedelta(), monkeypatch) == []
    service.change(on=("replies",), urls=None)
    assert service.at(timedelta(), monkeypatch) == []


def test_what_nobody_took_is_tried_again(service: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    put_reply(service.database, ReplyState.AWAITING_APPROVAL, "p1")
    service.works = False
    assert len(service.at(timedelta(), monkeypatch)) == 1
    with service.database.read() as session:
        row = session.get_one(NoticeRow, "replies")
    assert (row.error, row.told_at) == ("E-Mail: no answer", None)
    assert service.at(4 * MINUTE, monkeypatch) == []
    service.works = True
    assert len(service.at(6 * MINUTE, monkeypatch)) == 1
    assert service.at(30 * MINUTE, monkeypatch) == []


# --- real servers ---------------------------------------------------------------------------------


class Mailbox:
    def __init__(self) -> None:
        self.letters: list[str] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.letters.append(envelope.content.decode())
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, int]]:
    """aiosmtpd's own controller can take no free port."""
    box, loop = Mailbox(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    begun = loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(begun, loop).result(PATIENCE)

    async def end() -> None:
        server.close()
        await server.wait_closed()

    try:
        yield box, server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


@contextmanager
def web_server(status: int = 200, location: str = "") -> Iterator[tuple[list[bytes], int]]:
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield bodies, server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_mail_and_a_webhook_get_the_notice() -> None:
    with mail_server() as (box, smtp), web_server() as (bodies, web):
        mail = f"mailto://127.0.0.1:{smtp}?mode=insecure&from=bot@example.com&to=ana@example.com"
        own = [f"127.0.0.1:{smtp}", f"localhost:{web}"]
        done = send([mail, f"json://127.0.0.1:{web}/hook"], "2 replies wait", "tagecho …", own)
    assert done == [Delivery("E-Mail"), Delivery("JSON")]
    (letter,) = box.letters
    assert "Subject: 2 replies wait" in letter and "To: ana@example.com" in letter
    said = json.loads(bodies[0])
    assert (said["title"], said["message"]) == ("2 replies wait", "tagecho …")


def test_nothing_private_is_reached_that_is_not_named() -> None:
    with web_server() as (bodies, port), web_server() as (other, second):
        url = f"json://127.0.0.1:{port}"
        for own in ([], [f"127.0.0.1:{second}"], ["10.0.0.1"]):
            (done,) = send([url], "t", "b", own)
            assert "127.0.0.1" in done.error and "private network" in done.error, own
        (done,) = send([f"json://localhost:{port}"], "t", "b")
        assert "private network" in done.error, "by its name"
        assert (bodies, other) == ([], [])


def test_a_redirect_leads_nowhere_private() -> None:
    with web_server() as (secret, inner):
        location = f"http://127.0.0.1:{inner}/"
        with web_server(307, location) as (bodies, port):
            (done,) = send([f"json://127.0.0.1:{port}"], "t", "b", [f"127.0.0.1:{port}"])
    assert len(bodies) == 1 and secret == []
    assert "private network" in done.error


def test_one_that_fails_does_not_stop_the_others_and_no_secret_is_told() -> None:
    with web_server(500) as (_, broken), web_server() as (bodies, port):
        urls = [
            f"json://user:hunter2@127.0.0.1:{broken}",
            "nonsense://hunter2",
            f"json://127.0.0.1:{port}",
        ]
        done = send(urls, "t", "b", ["127.0.0.1"])
    assert [bool(each.error) for each in done] == [True, True, False]
    assert len(bodies) == 1
    assert "hunter2" not in str(done)
