"""The console beside the service and alone, as an operator starts it."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from bot.platforms.sandbox.server import Sandbox
from tests.e2e.kit import Service, service
from tests.waiting import PATIENCE, eventually, killed_at_the_end

pytestmark = pytest.mark.slow


def opened(running: Service, *, enabled: bool) -> None:
    with running.path.open("a", encoding="utf-8") as file:
        file.write(f'\n[console]\nenabled = {str(enabled).lower()}\nlisten = "127.0.0.1:0"\n')


def printed(running: Service) -> str:
    return running.output.read_text(encoding="utf-8") if running.output.exists() else ""


def test_what_is_approved_in_the_console_is_published_once(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with service(sandbox, tmp_path / "service", approval="true") as running:
        opened(running, enabled=True)
        running.start()
        address = running.logged("console started")[0]["address"]
        post = running.asking()
        running.until_state(post, "awaiting_approval")
        with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE) as program:
            waiting = program.get("/api/replies", params={"state": "awaiting_approval"}).json()
            numbers = {"replies": [waiting["replies"][0]["id"]]}
            first = program.post("/api/replies/approve", json=numbers).json()["outcomes"][0]
            again = program.post("/api/replies/approve", json=numbers).json()["outcomes"][0]
            assert (first["done"], again["done"]) == (True, False)
            running.until_state(post, "sent")
            assert program.get("/api/state").json()["service"]["running"] is True
        assert running.published(post) == 1
        assert running.stop() == 0
        with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as program:
            program.get(address)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_alone_it_serves_until_it_is_ended(
    sandbox: Sandbox, tmp_path: Path, number: signal.Signals
) -> None:
    with service(sandbox, tmp_path / "service", by_command=True) as running:
        opened(running, enabled=False)
        process = running.spawn("console")
        with killed_at_the_end(process):
            said = eventually("its address", lambda: printed(running).partition("console: ")[2])
            with httpx.Client(trust_env=False, timeout=PATIENCE) as program:
                state = program.get(f"{said.split()[0]}api/state").json()
            assert state["service"]["running"] is False
            process.send_signal(number)
            assert process.wait(PATIENCE) == 0
