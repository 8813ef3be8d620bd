"""The Bluesky network as a process of its own: `python -m bot.platforms.bluesky_sandbox`.

Prints what leads an account to it when ready (`--json`: as one line of JSON) and stops on SIGTERM
or SIGINT. Where something that it needs is missing, it says what, and ends with exit code 11.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from bot.core.errors import NotInstalled
from bot.platforms.bluesky_sandbox.boot import Booted, booted
from bot.platforms.bluesky_sandbox.people import PASSWORD, Resident, crowd, handle
from bot.platforms.bluesky_sandbox.requirements import database, home, missing, unreachable
from bot.platforms.loopback.control import Control, orders
from bot.platforms.loopback.crowd import OPT_IN, Crowd
from bot.platforms.loopback.process import announce, parser


def main(arguments: list[str] | None = None) -> int:
    """Run until asked to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    if lacking := missing(home()) or unreachable(database()):
        announce(options, {"missing": lacking}, {})
        return NotInstalled.exit_code
    bot = handle(options.bot)
    people = [bot, *map(handle, options.profile)]
    domains = sorted({".test", *("." + name.partition(".")[2] for name in people)})
    with booted(home(), database(), domains=domains) as network:
        account = Resident(network.pds, bot)
        posting = crowd(
            network.pds,
            options.dir,
            bot=account,
            opt_in=options.opt_in,
            hashtags=options.hashtag,
            profiles=options.profile,
            rate=options.rate,
            seed=options.seed,
        )
        with Control(orders(posting, account.replies)) as control:
            posting.start()
            announce(options, _addresses(network, account, posting, control), {})
            threading.Event().wait()
    return 0


def _end(*_: object) -> None:
    """What it started ends with it."""
    raise SystemExit(0)


def _addresses(network: Booted, bot: Resident, posting: Crowd, control: Control) -> dict[str, Any]:
    return {
        "platform": "bluesky",
        "profile": handle("ana-lima"),  # one of the people
        "username": bot.handle,
        "opt_in": posting.opt_in,
        "control": control.base,
        "account": {
            "username": bot.handle,
            "server": network.pds,
            "directory": network.plc,
            "events": network.events,
        },
        "pace": {},
        "secrets": {"password": PASSWORD},
    }


def _parser() -> argparse.ArgumentParser:
    found = parser("bot.platforms.bluesky_sandbox", __doc__, bot="imagebot", opt_in=OPT_IN)
    found.add_argument("--dir", type=Path, required=True, help="its folder")
    found.add_argument(
        "--secret", action="append", default=[], help="not used: there is one app password"
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
