"""The first thing anybody sees: `tagecho demo`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.platforms.sandbox.journal import Journal
from tests.e2e.forked import Forked
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "bot", "demo", "--rate", "1")


def journal(folder: Path) -> Journal:
    path = folder / "network" / "journal.jsonl"
    return Journal.read(path) if path.exists() else Journal(None)


def test_the_demo_answers_and_at_ctrl_c_reports(tmp_path: Path, no_foreign_ca: None) -> None:
    """How much it does in a time is not looked at: that says how busy the machine is."""
    folder, output, errors = tmp_path / "demo", tmp_path / "output", tmp_path / "errors"
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [*COMMAND, "--json", "--dir", str(folder)], stdout=out, stderr=err
        )
    try:
        eventually("something is published", lambda: journal(folder).replies_by_source())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, errors.read_text()[-2000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    summary = json.loads(output.read_text())
    assert set(summary) == {
        "posts_stored", "triggers", "replies", "duplicate_replies", "latency_s", "peak_rss_mb",
    }  # fmt: skip
    assert summary["duplicate_replies"] == 0
    assert summary["posts_stored"] > 0 and summary["peak_rss_mb"] > 0
    replies = summary["replies"]
    assert summary["triggers"] == sum(replies.values())
    assert replies["sent"] >= 1 and replies["unknown"] == replies["failed"] == 0
    latency = summary["latency_s"]
    assert 0 < latency["p50"] <= latency["p95"]

    seen = journal(folder).replies_by_source("imagebot")
    assert set(seen.values()) == {1} and len(seen) == replies["sent"]
    page = (folder / "replies.html").read_text()
    for word in ("before", "mask", "after"):
        assert word in page.lower()
    told = " ".join(errors.read_text().split())
    assert "approval is off" in told and "replies.html" in told.replace(" ", "")
    assert "Traceback" not in told + (folder / "daemon.log").read_text()
    assert not left_behind(folder), "a process of the demo lives on"


def test_ctrl_c_while_the_demo_starts(tmp_path: Path, no_foreign_ca: None) -> None:
    folder, output = tmp_path / "demo", tmp_path / "output"
    with output.open("wb") as out:
        process = subprocess.Popen([*COMMAND, "--dir", str(folder)], stdout=out, stderr=out)
    try:
        eventually("the network starts", (folder / "network").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in output.read_text()
    assert not left_behind(folder)


def test_the_demo_of_mastodon_runs_to_its_end(tmp_path: Path) -> None:
    """As long as it takes until a reply was asked for: how long that is says the machine."""
    for seconds in (20, 80, 320, 1280):
        folder = tmp_path / str(seconds)
        summary = ran(folder, "--platform", "mastodon", "--for", str(seconds), "--rate", "0.2")
        if summary["replies"]["sent"]:
            break
    replies = summary["replies"]
    assert replies["sent"] >= 1 and summary["triggers"] == sum(replies.values())
    assert replies["unknown"] == replies["failed"] == summary["duplicate_replies"] == 0
    assert summary["posts_stored"] >= summary["triggers"]
    assert 0 < summary["latency_s"]["p50"] <= summary["latency_s"]["p95"]
    assert "before" in (folder / "replies.html").read_text().lower()
    assert not left_behind(folder)


def ran(folder: Path, *words: str) -> dict[str, Any]:
    """A demo, forked; its summary. What it prints besides goes into the same file."""
    output = folder.with_suffix(".output")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TAGECHO_")}
    process = Forked(("demo", "--json", "--dir", str(folder), *words), environ, output)
    try:
        code = process.wait(PATIENCE * 2)
    finally:
        process.kill()
    text = output.read_text()
    assert code == 0 and "Traceback" not in text + (folder / "daemon.log").read_text(), text
    (line,) = [line for line in text.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(line)
    return found


def left_behind(folder: Path) -> list[str]:
    """Processes that were started for this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue  # it ended while we looked
            if str(folder) in command:
                found.append(command.replace("\0", " "))
    return found
