"""`tagecho collect` as a user runs it: killed on the way, run again, beside the service."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Details
from tests.e2e.kit import Service
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow


def test_killed_and_run_again_nothing_is_missing_or_fetched_twice(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.world.add_user("ana")
    begin = time.time() - 3600 * 300
    for number in range(120):
        sandbox.world.add_post(
            "ana", f"#sunset {number}", details=Details(at=begin + 3600 * number)
        )
    service = Service(sandbox, tmp_path / "service", by_command=True)
    try:
        sandbox.faults.add("hang", "*/tags/sunset/sections/", skip=2)  # here it is killed
        service.spawn("collect", "#sunset", "--json")
        eventually(
            "two pages are stored",
            lambda: service.query("SELECT 1 FROM collections WHERE seen >= 54") or service.dead(),
        )
        service.kill()
        sandbox.faults.clear()
        before = service.query("SELECT count(*) FROM posts")[0][0]
        assert 54 <= before < 120, "it was killed on the way"
        service.spawn("collect", "#sunset", "--json")
        assert service.process.wait(PATIENCE) == 0, service.output.read_text()[-2000:]
    finally:
        service.close()
    assert service.query("SELECT count(*) FROM posts")[0][0] == 120
    assert service.query("SELECT count(*) FROM media WHERE state = 'stored'")[0][0] == 120
    assert service.query("SELECT complete FROM collections")[0][0] == 1
    assert '"complete": true' in service.output.read_text()
    images = [line["path"] for line in sandbox.journal.requests("/m/")]
    twice = len(images) - len(set(images))
    assert twice <= 16, "at most the batch that was in the air"


def test_beside_the_service_which_is_killed(sandbox: Sandbox, tmp_path: Path) -> None:
    """The service is asked, is killed on the way, and whoever asked goes on by itself."""
    sandbox.world.add_user("ana")
    begin = time.time() - 3600 * 300
    for number in range(120):
        sandbox.world.add_post("ana", f"#dawn {number}", details=Details(at=begin + 3600 * number))
    service = Service(sandbox, tmp_path / "service")
    try:
        service.start()
        sandbox.faults.add("hang", "*/tags/dawn/sections/", skip=2)  # here it is killed
        asking = service.spawn("collect", "#dawn", "--json")
        eventually(
            "the service works on it",
            lambda: service.query("SELECT 1 FROM collections WHERE seen >= 54"),
        )
        assert service.query("SELECT state FROM collect_requests") == [("running",)]
        assert asking.poll() is None
        service._running[0].kill()
        service._running[0].wait()
        sandbox.faults.clear()
        assert asking.wait(PATIENCE) == 0, service.output.read_text()[-2000:]
    finally:
        service.close()
    assert service.query("SELECT state FROM collect_requests") == [("cancelled",)]
    assert service.query("SELECT count(*) FROM posts")[0][0] == 120
    assert "the service ended" in service.output.read_text()
    assert '"complete": true' in service.output.read_text()
