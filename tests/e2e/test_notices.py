"""A running service tells people, by itself, what waits for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.platforms.sandbox.server import Sandbox
from tests.e2e.kit import service
from tests.unit.service.test_notices import web_server
from tests.waiting import eventually

pytestmark = pytest.mark.slow


def test_a_reply_that_waits_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    with (
        web_server() as (bodies, port),
        service(sandbox, tmp_path / "service", by_command=True, approval="true") as running,
    ):
        running.environ["TAGECHO_NOTICES__URLS"] = f"json://user:hunter2@127.0.0.1:{port}/"
        running.environ["TAGECHO_NOTICES__OWN_HOSTS"] = f"127.0.0.1:{port}"
        post = running.asking()
        running.start()
        running.until_state(post, "awaiting_approval")
        eventually("it is told", lambda: bodies or running.dead())
        eventually("and written down", lambda: running.count("notice sent", kind="replies"))
        assert running.stop() == 0
        assert b"hunter2" not in running.output.read_bytes()
    assert json.loads(bodies[0])["title"] == "tagecho: 1 reply waits for you"
    assert running.query("SELECT kind, error FROM notices") == [("replies", "")]
