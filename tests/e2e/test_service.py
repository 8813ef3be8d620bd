"""The service as an operator meets it: restarts, reloads, signals, probes, faults of the disk."""

from __future__ import annotations

import contextlib
import json
import pickle
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.config.tracks import NewTrack, add_track, remove_track
from bot.core.errors import AccountLocked
from bot.core.events import TrackKind
from bot.platforms.sandbox.server import Login, Sandbox
from tests import hostile
from tests.e2e.kit import Service, service
from tests.flow.kit import served
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow


def until_more(running: Service, event: str, before: int) -> None:
    eventually(f"another {event!r}", lambda: running.count(event) > before)


# --- restarts ----------------------------------------------------------------------------------


def test_frequent_restarts_do_not_starve_a_poll(sandbox: Sandbox, tmp_path: Path) -> None:
    """The interval is longer than any uptime; polls come all the same, and not at every start."""
    polls = []
    with service(sandbox, tmp_path / "service", every="1h") as running:
        add_clock(running)
        for _ in range(6):
            before = running.polls("clock")
            running.start()
            eventually("time passes", lambda seen=before: running.polls("clock") > seen + 1)
            running.kill()
            polls.append(running.polls())
            age(running, timedelta(minutes=35))
    assert polls == [1, 1, 2, 2, 3, 3]


def test_missed_polls_become_one(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service", every="1h") as running:
        running.start()
        eventually("the first poll", lambda: running.count("track polled") == 1)
        running.stop()
        age(running, timedelta(days=3))
        add_clock(running)
        running.start()
        eventually("three days of polls are made up for", lambda: running.polls() == 2)
        eventually("time passes", lambda: running.polls("clock") >= 4)
        assert running.polls() == 2


def test_a_clock_that_was_ahead_keeps_nothing_waiting(sandbox: Sandbox, tmp_path: Path) -> None:
    """Six hours: everything stored in them lies in the future of the right clock."""
    with service(sandbox, tmp_path / "service", every="1h") as running:
        running.start()
        eventually("the first poll", lambda: running.count("track polled") == 1)
        running.stop()
        age(running, timedelta(hours=-6))
        assert running.spawn("doctor").wait() != 0
        assert "ahead; tagecho run sets them right" in running.output.read_text()
        running.start()
        eventually("it says so", lambda: running.count("stored times corrected"))
        add_clock(running)
        eventually("time passes", lambda: running.polls("clock") >= 2)
        [(at,)] = running.query(
            "SELECT next_run_time FROM apscheduler_jobs WHERE id LIKE '%sunset'"
        )
        assert at - time.time() < 3600 + 120, "an hour from now and its jitter, not from then"
        running.stop()
        running.spawn("doctor").wait()
        assert "times: set right on" in running.output.read_text()


def test_polls_come_back_with_the_disk(sandbox: Sandbox, tmp_path: Path) -> None:
    """The scheduler's own write fails as on a full disk; nothing else is there to ask for polls."""
    with service(sandbox, tmp_path / "service") as running:
        running.start()
        eventually("it polls", lambda: running.count("track polled"))
        running.change(
            "CREATE TRIGGER full BEFORE UPDATE ON apscheduler_jobs BEGIN "
            "SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        eventually("it is met", lambda: running.count("storage failed", chore="schedule"))
        running.change("DROP TRIGGER full")
        polls = running.polls()
        eventually("polls again", lambda: running.polls() >= polls + 5)
        assert running.count("poll was missed") == 0
        assert running.stop() == 0


def add_clock(running: Service) -> None:
    """A hashtag polled as often as it can be: its second poll comes after whatever was due."""
    add_track(running.path, NewTrack(TrackKind.HASHTAG, "clock", "main", every="1s"))


def age(running: Service, span: timedelta) -> None:
    """As if the service had been down for so long."""
    with contextlib.closing(sqlite3.connect(running.data / "tagecho.db")) as database:
        rows = database.execute("SELECT id, next_run_time, job_state FROM apscheduler_jobs")
        for key, at, packed in rows.fetchall():
            job = pickle.loads(packed)
            job["next_run_time"] -= span
            values = (at - span.total_seconds(), pickle.dumps(job), key)
            database.execute(
                "UPDATE apscheduler_jobs SET next_run_time = ?, job_state = ? WHERE id = ?", values
            )
        for column in ("last_attempt", "last_ok"):
            shift = f"UPDATE track_states SET {column} = datetime({column}, ?)"
            database.execute(shift, (f"{-span.total_seconds():+f} seconds",))
        database.commit()


# --- one process per account -------------------------------------------------------------------


def test_a_second_process_is_refused_and_told_who_has_it(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service") as running:
        running.start()
        first = running.process
        eventually("it logged in", lambda: running.count("session opened"))
        logins = len(sandbox.journal.writes("login"))
        for verb in (("run",), ("login",)):
            second = running.spawn(*verb)
            assert second.wait(PATIENCE) == AccountLocked.exit_code == 9
        said = running.output.read_text()
        assert said.count(f"in use by another tagecho process (pid {first.pid})") == 2
        assert first.poll() is None
        assert len(sandbox.journal.writes("login")) == logins
        first.terminate()
        assert first.wait(PATIENCE) == 0
        assert running.spawn("login").wait(PATIENCE) == 0, "the lock ends with its process"


# --- signals -----------------------------------------------------------------------------------


def test_sigterm_while_rendering(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service", by_command=True) as running:
        post = running.asking()
        running.start()
        running.until_state(post, "rendering")
        assert running.stop() == 0
        assert running.state(post) in ("approved", "queued")
        running.start()
        running.until_state(post, "sent")
        assert running.stop() == 0
    assert running.published(post) == 1
    assert sandbox.journal.duplicate_replies() == 0


@pytest.mark.parametrize("after", [False, True])
def test_sigterm_while_sending(sandbox: Sandbox, tmp_path: Path, after: bool) -> None:
    with service(sandbox, tmp_path / "service", timeout="4s") as running:
        fault = sandbox.faults.add("hang", write="post", after=after)
        post = running.asking()
        running.start()
        eventually("the request hangs", lambda: fault.hits)
        assert running.stop() == 0
        assert running.state(post) == "unknown"
        sandbox.faults.clear()
        running.start()
        running.until_state(post, "sent")
        assert running.stop() == 0
    assert running.published(post) == 1


def test_asked_twice_it_goes_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service", by_command=True) as running:
        fault = sandbox.faults.add("hang", write="post")
        post = running.asking()
        running.start()
        eventually("the request hangs", lambda: fault.hits)
        running.process.send_signal(signal.SIGINT)
        eventually("it is stopping", lambda: running.count("service stop requested"))
        assert running.stop(signal.SIGINT) == 128 + signal.SIGINT
        eventually("the network saw it leave", lambda: len(sandbox.journal.requests("/configure/")))
        sandbox.faults.clear()
        running.start()
        running.until_state(post, "sent")
    assert running.published(post) == 1
    assert "Traceback" not in running.output.read_text()


# --- the configuration -------------------------------------------------------------------------


def test_a_new_hashtag_is_polled_within_five_seconds(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service") as running:
        running.start()
        eventually("it polls", running.polls)
        before = running.polls()  # one a second, at the most
        new = NewTrack(TrackKind.HASHTAG, "новый", "main", every="1s", reply="spotlight")
        add_track(running.path, new)
        eventually("it polls the new one", lambda: running.polls("новый"))
        assert running.polls() - before <= 5
        (adopted,) = running.logged("config adopted")
        assert any("новый" in line for line in adopted["changes"])

        remove_track(running.path, TrackKind.HASHTAG, "новый", account="main")
        eventually("it is adopted", lambda: running.count("config adopted") == 2)
        seen, others = running.polls("новый"), running.polls()
        eventually("the other one goes on", lambda: running.polls() > others + 3)
        assert running.polls("новый") <= seen + 1, "one may have been on its way"


def test_a_broken_file_changes_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service") as running:
        running.start()
        eventually("it polls", running.polls)
        good = running.path.read_text()
        lines = good.splitlines()
        number = next(n for n, line in enumerate(lines, 1) if line.startswith("per_day"))
        broken = good.replace("\nper_day = 1000\n", '\nper_day = "many"\n').replace(
            "sunset", "beach"
        )
        running.path.write_text(broken)
        eventually("it says so", lambda: running.count("config rejected"))
        (line,) = running.logged("config rejected")
        (problem,) = line["problems"]
        assert problem.startswith(f"{running.path}:{number}: replies.per_day:")
        before = running.polls()
        eventually("the old tracks go on", lambda: running.polls() > before + 1)
        assert running.polls("beach") == 0
        running.path.unlink()
        eventually("it says so again", lambda: running.count(line["event"]) == 2)
        running.path.write_text(good)
        before = running.polls()
        eventually("it still goes on", lambda: running.polls() > before + 1)
        assert running.process.poll() is None


def test_sighup_reads_the_file_again(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service") as running:
        running.start()
        text = running.path.read_text().replace("approval = false", "approval = true")
        running.path.write_text(text)
        running.process.send_signal(signal.SIGHUP)
        eventually("it is adopted", lambda: running.count("config adopted"))
        post = running.asking()
        running.until_state(post, "awaiting_approval")
    assert running.published(post) == 0


# --- probes ------------------------------------------------------------------------------------


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_and_metrics(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.add("hang", "/api/v1/*")  # somewhere in the login
    with service(sandbox, tmp_path / "service", listen="127.0.0.1:0") as running:
        running.start()
        port = running.logged("health server started")[0]["port"]
        assert get(port, "/healthz")[0] == 200
        status, body = get(port, "/readyz")
        assert status == 503 and json.loads(body)["logged_in"] == {"main": False}
        sandbox.faults.clear()
        eventually("it is ready", lambda: get(port, "/readyz")[0] == 200)
        post = running.asking()
        running.until_state(post, "sent")
        eventually(
            "it is counted", lambda: 'tagecho_replies{state="sent"} 1.0' in get(port, "/metrics")[1]
        )
        metrics = get(port, "/metrics")[1]
        assert "tagecho_reply_seconds_count 1.0" in metrics
        assert "tagecho_render_seconds_count 1.0" in metrics
        track = 'track="main:hashtag:sunset"'
        assert f"tagecho_track_ok{{{track}}} 1.0" in metrics
        assert f"tagecho_posts_stored_total{{{track}}} 1.0" in metrics
        assert get(port, "/nothing")[0] == 404
        assert running.stop() == 0


def test_a_taken_port_is_said_in_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with service(sandbox, tmp_path / "service", listen=f"127.0.0.1:{port}") as running:
            assert running.spawn().wait(PATIENCE) == 1
            last = running.output.read_text().splitlines()[-1]
    assert last.startswith(f"health.listen: 127.0.0.1:{port}:")


# --- sessions and secrets ----------------------------------------------------------------------


def test_an_ended_session_is_renewed_by_one_login(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service") as running:
        running.start()
        eventually("it polls", lambda: running.count("track polled"))
        logins = len(sandbox.journal.writes("login"))
        sandbox.sessions.revoke(sandbox.account)
        post = running.asking()
        eventually("it logs in again", lambda: len(sandbox.journal.writes("login")) > logins)
        running.until_state(post, "sent")
        assert len(sandbox.journal.writes("login")) == logins + 1
    assert running.published(post) == 1


def test_a_wrong_password_is_submitted_once(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service") as running:
        running.environ["TAGECHO_ACCOUNTS__MAIN__PASSWORD"] = "wrong"
        for _ in range(2):
            failed = running.count("login failed")
            running.start()
            until_more(running, "login failed", failed)
            assert running.stop() == 0
        submitted = sandbox.journal.requests("send_login_request")
    assert len(submitted) == 1, [line["path"] for line in sandbox.journal.requests()]


def test_no_secret_in_any_log(tmp_path: Path, no_foreign_ca: None) -> None:
    password, seed = "Corr3ct-horse/battery+staple", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    with (
        Sandbox(tmp_path / "network", bot=Login(password=password, totp_secret=seed)) as box,
        service(box, tmp_path / "service", timeout="3s", comment="see {url}") as running,
    ):
        running.start()
        eventually("it polls", lambda: running.count("track polled"))
        for kind in ("html", "server_error", "cut_json", "hang", "drop", "not_found"):
            box.faults.add(kind, "/api/v1/tags/*")
        eventually("it met them", lambda: not box.faults.pending())
        for kind, write in (("drop", "post"), ("html", "comment"), ("server_error", "upload")):
            box.faults.add(kind, write=write, after=True)
        post = running.asking()
        running.until_state(post, "sent")
        box.faults.add("challenge_required", "/api/v1/tags/*", count=0)
        eventually(
            "it met the challenge", lambda: "ChallengeRequired" in running.output.read_text()
        )
        assert running.stop() == 0
        stored = json.loads((running.data / "sessions" / "main.json").read_text())
        secrets = {password, seed, *session_values(stored)}
        assert len(secrets) >= 3, "the session holds some"
        texts = {running.output: running.output.read_bytes()}
        for path in running.data.rglob("*"):
            known = path.parent.name == "sessions" or path.name.startswith("tagecho.db")
            if path.is_file() and not known:
                texts[path] = path.read_bytes()
        assert any(path.name == "tagecho.jsonl" for path in texts)
        for path, text in texts.items():
            for secret in secrets:
                assert secret.encode() not in text, f"{secret[:6]}… in {path}"
            assert b"Bearer IGT" not in text
        session = running.data / "sessions" / "main.json"
        assert session.stat().st_mode & 0o077 == 0


def session_values(stored: dict[str, Any]) -> set[str]:
    """What whoever has it can act as us with."""
    found = set()
    for key, value in stored.items():
        if isinstance(value, dict):
            found |= session_values(value)
        elif key in ("sessionid", "authorization", "csrftoken", "session_id") and value:
            found.add(str(value))
    return found


def test_polls_do_not_wait_for_images(sandbox: Sandbox, tmp_path: Path) -> None:
    """Not one of them comes, and posts are stored as fast as they are found."""
    sandbox.faults.add("hang", "/m/*", count=0)
    stored = "SELECT 1 FROM posts WHERE post_id = ?"
    with service(sandbox, tmp_path / "service") as running:
        running.person("ana")
        running.start()
        for number in range(3):
            post = sandbox.world.add_post("ana", f"#sunset {number}")
            eventually("it is stored", lambda p=post: running.query(stored, str(p.pk)))
        assert running.query("SELECT DISTINCT state FROM media") == [("pending",)]
        sandbox.faults.clear()
        pending = "SELECT 1 FROM media WHERE state != 'stored'"
        eventually("the images come", lambda: not running.query(pending))


# --- the disk ----------------------------------------------------------------------------------


def test_images_that_cannot_be_stored_lose_no_post(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service") as running:
        running.data.mkdir()
        (running.data / "originals").write_text("a file where the folder should be")
        post = running.asking()
        running.start()
        eventually("it says so", lambda: running.count("worker failed", worker="images-main"))
        eventually("the post is there", lambda: running.state(post) == "queued")
        assert running.query("SELECT state FROM media") == [("pending",)]
        (running.data / "originals").unlink()
        running.until_state(post, "sent")
        assert running.query("SELECT health FROM track_states") == [("ok",)]
    assert running.published(post) == 1


def test_a_database_that_fails_for_a_while_ends_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service") as running:
        running.start()
        eventually("it polls", lambda: running.count("track polled"))
        running.change("ALTER TABLE replies RENAME TO gone")
        eventually("the main thread met it", lambda: running.count("storage failed"))
        eventually("a worker met it", lambda: running.count("worker failed"))
        running.change("ALTER TABLE gone RENAME TO replies")
        post = running.asking()
        running.until_state(post, "sent")
        assert running.stop() == 0
    assert running.published(post) == 1


# --- pictures that cost too much -----------------------------------------------------------------


def test_a_picture_that_costs_hours_stops_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """Polls and probes go on, a signal ends the service while it decodes, and once it is known it
    is not fetched again."""
    picture = served(sandbox, "endless", hostile.endless_jpeg(), (7000, 7000))
    fetched = lambda: len(sandbox.journal.requests("/m/u/endless"))  # noqa: E731
    with service(sandbox, tmp_path / "service", listen="127.0.0.1:0") as running:
        running.person("ana")
        post = sandbox.world.add_post("ana", "#sunset", pictures=[picture])
        running.start()
        eventually("the image is on its way", fetched)
        eventually("the child works", lambda: decoding(running))
        assert running.stop() == 0
        assert running.count("worker abandoned") == 0
        assert not running.query("SELECT 1 FROM media WHERE state = 'quarantined'")
        running.start()
        port = running.logged("health server started")[-1]["port"]
        state = (
            "SELECT state, reason FROM media JOIN posts ON posts.id = media.post WHERE post_id=?"
        )

        def quarantined() -> bool:
            assert not running.dead()
            assert get(port, "/healthz")[0] == 200
            rows = running.query(state, str(post.pk))
            assert not rows or rows[0][0] == "pending" or rows[0] in QUARANTINED
            return bool(rows) and rows[0] in QUARANTINED

        eventually("it is known to cost too much", quarantined)
        polls, before = running.polls(), fetched()
        assert running.stop() == 0
        running.start()
        eventually("another poll", lambda: running.polls() > polls + 1)
        assert fetched() == before


# On a busy machine two minutes are over first.
QUARANTINED = [
    ("quarantined", f"too-costly: more than {limit}")
    for limit in ("20 s of processor time", "120 s")
]


def decoding(running: Service) -> bool:
    """Whether a child of the service is at work on a picture."""
    children = Path(f"/proc/{running.process.pid}/task").glob("*/children")
    pids = {pid for one in children for pid in one.read_text("ascii").split()}
    return any(int(_stat(p)[13]) > 100 for p in pids)


def _stat(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text("utf-8").split()
