"""What `tagecho status` says of a real service: running, cut off, challenged, killed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.platforms.sandbox.server import Sandbox
from bot.service.state import ServiceState, look
from storage.database import Database
from tests.e2e.kit import Service, service
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def watched(running: Service) -> Iterator[ServiceState]:
    database = Database(running.settings.data.database_url)
    try:
        yield look(running.settings, database, datetime.now(UTC))
    finally:
        database.close()


def seen(running: Service) -> ServiceState:
    with watched(running) as state:
        return state


def healths(running: Service) -> tuple[str, str]:
    """Of the account and of the track."""
    state = seen(running)
    return state.accounts[0].health, state.tracks[0].health


def ready(running: Service) -> tuple[int, dict[str, object]]:
    port = running.logged("health server started")[-1]["port"]
    try:
        url = f"http://127.0.0.1:{port}/readyz"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_network_dies_and_the_service_is_killed(sandbox: Sandbox, tmp_path: Path) -> None:
    with service(sandbox, tmp_path / "service", listen="127.0.0.1:0", timeout="2s") as running:
        running.start()
        eventually("all is well", lambda: healths(running) == ("logged_in", "ok"))
        state = seen(running)
        assert state.fine and state.service.pid == running.process.pid
        assert state.tracks[0].next_poll is not None
        eventually("and it says so itself", lambda: ready(running)[0] == 200)
        sandbox.faults.add("drop", "*", count=0)  # the network is dead
        eventually("that is seen", lambda: healths(running)[1] == "failing")
        failing = seen(running)
        assert not failing.fine
        assert failing.last_error is not None and failing.last_error.topic == "#sunset"
        running.kill()
        assert healths(running) == ("not_running", "not_polled")
        running.start()
        eventually("it cannot log in", lambda: healths(running)[0] == "login_failed")
        assert healths(running)[1] == "not_polled", "polled just now, by the one before"
        status, body = ready(running)
        assert (status, body["logged_in"]) == (503, {"main": False})
        command = [sys.executable, "-m", "bot", "status", "--config", str(running.path)]
        said = subprocess.run(
            command, env=running.environ, capture_output=True, text=True, check=False
        )
        assert said.returncode == 5, said.stderr
        assert "login failed" in said.stdout
        assert max(map(len, said.stdout.splitlines())) <= 80, said.stdout


def test_a_challenge(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    with service(sandbox, folder, by_command=True, listen="127.0.0.1:0") as running:
        running.start()
        eventually("all is well", lambda: healths(running) == ("logged_in", "ok"))
        sandbox.faults.add("challenge_required", "/api/v1/tags/*", count=0)
        eventually("it waits", lambda: healths(running) == ("waits_for_person", "not_polled"))
        assert seen(running).accounts[0].do == "confirm in the app, then: tagecho resume"
        assert ready(running)[0] == 503
        running.stop()
        assert healths(running)[0] == "waits_for_person"
