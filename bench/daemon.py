"""Memory of the real daemon, and trigger to published: the demo, then quiet until eviction."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.table import Row, rss_mb, show

SECONDS = 60
IDLE = "5s"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "demo"
        command = [
            sys.executable,
            "-m",
            "bot",
            "demo",
            "--for",
            str(SECONDS),
            "--rate",
            "1",
            "--json",
            "--dir",
            str(folder),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        summary = json.loads(done.stdout)
        latency = summary["latency_s"]
        sent = summary["replies"]["sent"]
        print(f"\n{SECONDS} s of the demo: {json.dumps(summary)}")
        show(
            "Trigger seen to reply published (demo, client sleeps off)",
            [
                Row(f"p50 of {sent} replies", [latency["p50"]], unit="s"),
                Row(f"p95 of {sent} replies", [latency["p95"]], unit="s"),
            ],
        )
        idle = idle_memory(folder)
        show(
            "Resident memory of the daemon",
            [
                Row("peak under load", [summary["peak_rss_mb"]], unit="MB", target="≤ 450 MB"),
                Row("idle after eviction", [idle], unit="MB", target="≤ 200 MB"),
            ],
        )


def idle_memory(folder: Path) -> float:
    """The daemon on the demo's data once more: it renders what is forced on it, then rests."""
    path = folder / "config.toml"
    path.write_text(
        path.read_text(encoding="utf-8") + f'\n[models]\nidle = "{IDLE}"\n', encoding="utf-8"
    )
    environ = os.environ | {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": "unused"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "run", "--config", str(path)],
        env=environ,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(30)  # the network is gone: polls fail, nothing renders, sessions time out
        return rss_mb(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


main()
