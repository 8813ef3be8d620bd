"""How everything is: what is said of a service that runs, stops, dies, waits or is late."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlmodel import SQLModel

from bot.cli.status import lines
from bot.config import Settings
from bot.core.errors import BadCredentials, ChallengeRequired, Unavailable
from bot.platforms.pacing import ACCOUNT
from bot.service.presence import present
from bot.service.state import AccountHealth, ServiceState, TrackHealth, as_dict, look
from bot.service.state.facts import FINE
from storage import account_logins, pauses
from storage.database import Database
from storage.tables import BreakerRow, Bucket, CollectRequest, Health, ReplyState, TrackState
from tests.datasets import settings_at
from tests.replies import put_reply

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
TRACK = "main:hashtag:sunset"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    said = settings_at(tmp_path, database_url)
    account = {"platform": "instagram", "username": "imagebot", "mentions_every": "off"}
    tracks = [{"account": "main", "hashtag": "sunset", "every": "15m"}]
    more = {"accounts": {"main": account}, "tracks": tracks, "replies": {"per_day": 3}}
    return Settings.model_validate({"data": said.data, **more})


class Look(NamedTuple):
    """A service that runs, is logged in and polled its track five minutes ago, until changed."""

    settings: Settings
    database: Database
    running: contextlib.ExitStack

    def __call__(self, now: datetime = NOW) -> ServiceState:
        return look(self.settings, self.database, now)

    def put(self, *rows: SQLModel) -> None:
        with self.database.write() as session:
            for row in rows:
                session.merge(row)

    def stop(self) -> None:
        self.running.close()


@pytest.fixture
def seen(settings: Settings, database: Database) -> Iterator[Look]:
    with contextlib.ExitStack() as running:
        running.enter_context(present(settings.data.dir, NOW - timedelta(hours=3)))
        look = Look(settings, database, running)
        with database.write() as session:
            account_logins.succeed(session, "main", NOW - timedelta(hours=2))
        look.put(polled(5 * MINUTE))
        yield look


def polled(before: timedelta, **values: Any) -> TrackState:
    at = NOW - before
    row = {"health": Health.OK, "last_attempt": at, "last_ok": at, "found": 7} | values
    return TrackState(track=TRACK, **row)


def test_all_is_well(seen: Look) -> None:
    state = seen()
    assert (state.service.running, state.service.since) == (True, NOW - timedelta(hours=3))
    assert state.service.pid
    assert (state.accounts[0].health, state.accounts[0].why) == (AccountHealth.LOGGED_IN, "")
    (track,) = state.tracks
    assert (track.health, track.last_poll, track.found) == (TrackHealth.OK, NOW - 5 * MINUTE, 7)
    assert (state.fine, state.last_error) == (True, None)


def test_a_stopped_service_makes_nothing_ok(seen: Look) -> None:
    """Whatever the rows say, and whenever it stopped."""
    seen.stop()
    state = seen()
    assert not state.service.running
    assert state.accounts[0].health is AccountHealth.NOT_RUNNING
    (track,) = state.tracks
    assert (track.health, track.why) == (TrackHealth.NOT_POLLED, "the service does not run")
    assert (track.since, track.next_poll) == (NOW - 5 * MINUTE, None)
    assert not state.fine
    assert state.last_error is not None and state.last_error.do == "tagecho run"


@pytest.mark.parametrize(
    ("row", "health", "why"),
    [
        (None, TrackHealth.NOT_POLLED, "its first poll has not come yet"),
        (polled(MINUTE, last_ok=None), TrackHealth.NOT_POLLED, "its first poll has not ended yet"),
        (polled(20 * MINUTE, last_ok=None), TrackHealth.NOT_POLLED, "its poll is late"),
        (polled(15 * MINUTE), TrackHealth.OK, ""),
        (polled(20 * MINUTE), TrackHealth.NOT_POLLED, "its poll is late"),
        (polled(MINUTE, health=Health.QUIET), TrackHealth.QUIET, ""),
        (
            polled(
                MINUTE,
                health=Health.FAILING,
                failing_since=NOW - 9 * MINUTE,
                error="Unavailable: host: HTTP 500",
            ),
            TrackHealth.FAILING,
            "host: HTTP 500",
        ),
    ],
    ids=["never", "begun", "begun long ago", "in time", "late", "quiet", "failing"],
)
def test_a_track_is_ok_only_if_its_polls_say_so(
    seen: Look, row: TrackState | None, health: TrackHealth, why: str
) -> None:
    with seen.database.write() as session:
        session.delete(session.get_one(TrackState, TRACK))
    seen.put(*([row.model_copy()] if row else []))
    (track,) = seen().tracks
    assert (track.health, track.why) == (health, why)
    assert seen().fine is (why.startswith("its first") or health in FINE)
    if health is TrackHealth.FAILING:
        assert (track.since, track.do) == (
            NOW - 9 * MINUTE,
            "nothing: it is tried again by itself",
        )


@pytest.mark.parametrize(
    ("error", "health", "do"),
    [
        (Unavailable("nobody answers"), AccountHealth.LOGIN_FAILED, "nothing"),
        (BadCredentials("wrong password"), AccountHealth.WAITS_FOR_PERSON, "tagecho login"),
        (ChallengeRequired("a code"), AccountHealth.WAITS_FOR_PERSON, "tagecho resume"),
    ],
)
def test_a_login_that_failed(seen: Look, error: Exception, health: AccountHealth, do: str) -> None:
    with seen.database.write() as session:
        account_logins.fail(session, "main", error, NOW - MINUTE, NOW + MINUTE)
    state = seen()
    (account,) = state.accounts
    assert (account.health, account.why, account.since) == (health, str(error), NOW - MINUTE)
    assert do in account.do
    assert state.tracks[0].health is TrackHealth.NOT_POLLED, "however fresh its last poll"
    assert [one.topic for one in state.troubles] == ["account main"]


def test_a_login_that_fails_again_fails_since_the_first_time(seen: Look) -> None:
    for minutes in (9, 5, 1):
        with seen.database.write() as session:
            at = NOW - minutes * MINUTE
            account_logins.fail(session, "main", Unavailable(f"no {minutes}"), at, NOW + MINUTE)
    (account,) = seen().accounts
    assert (account.since, account.why) == (NOW - 9 * MINUTE, "no 1")
    assert account.next_try == NOW + MINUTE


def test_a_challenge_on_the_way(seen: Look) -> None:
    """The login row says logged in; the breaker knows better, and a restart changes nothing."""
    reason = "ChallengeRequired: listing: challenge_required"
    seen.put(BreakerRow(account="main", action=ACCOUNT, latched=True, reason=reason))
    for _ in ("running", "stopped"):
        (account,) = seen().accounts
        assert account.health is AccountHealth.WAITS_FOR_PERSON
        assert account.why == "listing: challenge_required"
        assert account.do == "confirm in the app, then: tagecho resume"
        assert seen().tracks[0].health is TrackHealth.NOT_POLLED
        seen.stop()


def test_the_oldest_of_each_state_says_why_it_waits(seen: Look) -> None:
    later = {"not_before": NOW, "created": NOW - timedelta(hours=5)}
    put_reply(seen.database, ReplyState.QUEUED, "p1", reason="beyond the caps", **later)
    awaiting = put_reply(seen.database, ReplyState.AWAITING_APPROVAL, "p2", **later)
    put_reply(seen.database, ReplyState.AWAITING_APPROVAL, "p3", **later)
    put_reply(seen.database, ReplyState.APPROVED, "p4", **later)

    def whys() -> dict[str, tuple[int, str]]:
        queue = seen().queue
        assert queue is not None
        return {one.state: (one.count, one.why) for one in queue.states if one.count}

    assert whys() == {
        "queued": (1, "beyond the caps"),
        "awaiting_approval": (2, "waits for you"),
        "approved": (1, "its turn has not come yet"),
    }
    queue = seen().queue
    assert queue is not None
    waiting = next(one for one in queue.states if one.state is ReplyState.AWAITING_APPROVAL)
    assert (waiting.oldest, waiting.do) == (awaiting, f"tagecho replies approve {awaiting}")
    assert waiting.oldest_created == NOW - timedelta(hours=5)
    with seen.database.write() as session:
        pauses.switch(session, None, on=True, now=NOW)
    assert whys()["approved"] == (1, "paused by the operator")
    assert seen().accounts[0].paused
    seen.stop()
    assert whys()["approved"] == whys()["queued"] == (1, "the service does not run")
    assert whys()["awaiting_approval"] == (2, "waits for you")


def test_what_the_caps_and_limits_leave(seen: Look) -> None:
    for number in range(2):
        put_reply(seen.database, ReplyState.SENT, f"p{number}", sending_at=NOW - MINUTE)
    seen.put(
        Bucket(account="main", action="publish", tokens=0.5, updated=NOW - MINUTE),
        Bucket(account="main", action="read", tokens=10, updated=NOW),
        BreakerRow(
            account="main",
            action="dm",
            open_until=NOW + 7 * MINUTE,
            reason="RateLimited: HTTP 429",
        ),
    )
    (account,) = seen().accounts
    assert (account.caps.sent, account.caps.left) == (2, 1)
    assert account.caps.resets_at == NOW + timedelta(hours=12)
    limits = {one.action: one for one in account.limits}
    assert (limits["read"].left, limits["read"].most, limits["read"].next_at) == (10, 50, None)
    assert (limits["publish"].left, limits["publish"].rate) == (0, "6/h")
    # 0.5 and what a minute of 6 an hour brings: 0.4 are missing, at one in ten minutes.
    assert limits["publish"].next_at == NOW + 4 * MINUTE
    assert (limits["dm"].paused_until, limits["dm"].why) == (NOW + 7 * MINUTE, "HTTP 429")
    assert limits["upload"].left == limits["upload"].most


def test_quiet_hours(seen: Look) -> None:
    from bot.flow.quiet_hours import QuietHours

    quiet = QuietHours(time(11), time(13))
    replies = seen.settings.replies.model_copy(update={"quiet_hours": quiet})
    now = seen._replace(settings=seen.settings.model_copy(update={"replies": replies}))()
    assert now.accounts[0].caps.quiet_until == NOW + timedelta(hours=1)


def test_a_disk_that_fills(seen: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(seen.settings.data.dir)._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    state = seen()
    assert (state.disk.fine, state.disk.free) == (False, 5_000_000)
    assert state.last_error is not None
    assert (state.last_error.kind, state.last_error.exit_code) == ("disk", 10)


def test_a_database_that_cannot_be_read_makes_nothing_ok(tmp_path: Path) -> None:
    said = settings_at(tmp_path)
    account = {"platform": "instagram", "username": "imagebot"}
    tracks = [{"account": "main", "hashtag": "sunset"}]
    settings = Settings.model_validate(
        {"data": said.data, "accounts": {"main": account}, "tracks": tracks}
    )
    database = Database(settings.data.database_url)
    (settings.data.dir / "tagecho.db").write_bytes(b"this is no database" * 1000)
    with present(settings.data.dir, NOW):
        state = look(settings, database, NOW)
    database.close()
    assert "not a database" in state.database_error
    assert state.service.running and not state.fine and state.queue is None
    assert {track.health for track in state.tracks} == {TrackHealth.NOT_POLLED}
    assert not state.accounts[0].fine and state.accounts[0].caps.left == 0


def test_it_is_json(seen: Look) -> None:
    put_reply(seen.database, ReplyState.QUEUED, "p1")
    seen.put(polled(40 * MINUTE))
    said = json.loads(json.dumps(as_dict(seen())))
    assert said["at"] == NOW.isoformat()
    assert said["tracks"][0]["health"] == "not_polled" and said["tracks"][0]["every"] == "15m"
    assert said["accounts"][0]["caps"]["left"] == 3
    assert (said["queue"]["total"], said["disk"]["fine"], said["fine"]) == (1, True, False)
    assert said["last_error"]["text"] == "its poll is late"


def test_the_newest_trouble_is_the_last_error(seen: Look) -> None:
    seen.put(polled(40 * MINUTE))
    with seen.database.write() as session:
        account_logins.fail(session, "main", Unavailable("away"), NOW - MINUTE, NOW)
    (newest,) = (seen().last_error,)
    assert newest is not None and newest.text == "away"


def test_one_service_on_a_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.core.errors import AccountLocked
    from bot.service import presence

    monkeypatch.setattr(presence, "PATIENCE", 0.1)
    folder = tmp_path / "data"
    assert presence.find(folder) is None
    with present(folder, NOW):
        found = presence.find(folder)
        assert found is not None and found.since == NOW
        with pytest.raises(AccountLocked, match=f"pid {found.pid}"), present(folder, NOW):
            pass
        assert presence.find(folder) == found, "who was refused takes nothing away"
    assert presence.find(folder) is None


def test_every_metric_reads_it(seen: Look) -> None:
    from bot.service.observe import REGISTRY, tell

    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, labels)

    put_reply(seen.database, ReplyState.QUEUED, "p1")
    tell(seen())
    assert value("tagecho_track_ok", track=TRACK) == 1
    assert value("tagecho_account_ok", account="main") == 1
    assert value("tagecho_replies_left_today", account="main") == 3
    assert value("tagecho_replies", state="queued") == 1
    assert (value("tagecho_disk_free_bytes") or 0) > 0
    seen.put(polled(40 * MINUTE))
    tell(seen())
    assert value("tagecho_track_ok", track=TRACK) == 0
    tell(look(seen.settings.model_copy(update={"tracks": ()}), seen.database, NOW))
    assert value("tagecho_track_ok", track=TRACK) is None, "a track that is gone"


def asked(name: str, **values: Any) -> CollectRequest:
    """A collection that somebody asked for ten minutes ago."""
    row = {"account": "main", "kind": "hashtag", "name": name, "asked_by": "kay"}
    times = {"not_before": NOW - 10 * MINUTE, "created": NOW - 10 * MINUTE}
    return CollectRequest(**(row | times | values))


def test_what_was_asked_to_be_collected(seen: Look) -> None:
    """The open ones and those that failed within a day; nobody works on them without a service."""
    day = timedelta(days=1)
    seen.put(
        asked("dusk", state="running", summary={"listed": 120, "new": 80}, most=2000),
        asked("dawn", not_before=NOW + 5 * MINUTE, error="RateLimited: read: paused"),
        asked("ana", kind="profile", state="failed", error="it is private", finished=NOW - day / 2),
        asked("old", state="failed", error="gone", finished=NOW - 2 * day),
        asked("done", state="done", finished=NOW - MINUTE),
        asked("no", state="cancelled", finished=NOW - MINUTE),
    )
    dusk, dawn, ana = seen().collections
    assert (dusk.label, dusk.state, dusk.listed, dusk.new, dusk.most) == (
        *("#dusk", "running"),
        *(120, 80, 2000),
    )
    assert (dusk.why, dusk.next_turn, dusk.asked_by) == ("", None, "kay")
    assert (dawn.state, dawn.why) == ("waiting", "read: paused")
    assert dawn.next_turn == NOW + 5 * MINUTE
    assert (ana.label, ana.state, ana.why) == ("@ana", "failed", "it is private")
    assert seen().fine, "it is told, and no trouble of the service"
    shown = "\n".join(lines(seen()))
    assert re.search(r"#dusk +running +120 +80 +10 min ago", shown)
    assert "    goes on in 5 min: read: paused" in shown
    assert max(map(len, shown.splitlines())) < 80
    document = json.loads(json.dumps(as_dict(seen())))
    assert [one["label"] for one in document["collections"]] == ["#dusk", "#dawn", "@ana"]
    seen.stop()
    dusk, dawn, ana = seen().collections
    assert {(one.state, one.why, one.next_turn) for one in (dusk, dawn)} == {
        ("waiting", "the service does not run", None)
    }
    assert ana.why == "it is private"
