"""Notices to people, by mail or whatever services they named: the library is apprise.

Each is sent by a process of its own (`bot.net.notice_child`), so that what it may reach is bounded,
and so that the service does not keep the library in memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

TIMEOUT = 120.0  # seconds, for all services together


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one service did with a notice."""

    service: str  # as people call it: "E-Mail"
    error: str = ""  # "" when it was taken


def send(urls: Sequence[str], title: str, body: str, own: Collection[str] = ()) -> list[Delivery]:
    """Send one notice to every address, and say what came of each, in their order.

    `own`: hosts that may be on a private network, as "host" or "host:port". Raises nothing.
    """
    said = json.dumps({"urls": list(urls), "title": title, "body": body, "own": list(own)})
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TAGECHO_", "APPRISE_"))}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bot.net.notice_child"],
            input=said,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=kept,
            check=True,
        )
        return [Delivery(**one) for one in json.loads(done.stdout)]
    except subprocess.TimeoutExpired:
        return _all(urls, f"no answer within {TIMEOUT:.0f} s")
    except (OSError, ValueError, TypeError, subprocess.CalledProcessError) as error:
        return _all(urls, f"the process that sends it failed: {type(error).__name__}")


def _all(urls: Sequence[str], error: str) -> list[Delivery]:
    return [Delivery(url.partition(":")[0], error) for url in urls]
