"""The Bluesky network as a process of its own: `python -m bot.platforms.bluesky_sandbox`.

Prints what leads an account to it when ready (`--json`: as one line of JSON) and stops on SIGTERM
or SIGINT. Where something that it needs is missing, it says what, and ends with exit code 11.
"""

from __future__ import annotations

import argparse
import json
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


def main(arguments: list[str] | None = None) -> int:
    """Run until asked to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    if lacking := missing(home()) or unreachable(database()):
        _say(options, {"missing": lacking})
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
            _say(options, _addresses(network, account, posting, control))
            threading.Event().wait()
    return 0


def _end(*_: object) -> None:
    """What it started ends with it."""
    raise SystemExit(0)


def _say(options: argparse.Namespace, told: dict[str, Any]) -> None:
    lines = [f"{name:<12} {value}" for name, value in told.items()]
    sys.stdout.write((json.dumps(told) if options.json else "\n".join(lines)) + "\n")
    sys.stdout.flush()


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
    parser = argparse.ArgumentParser(
        prog="python -m bot.platforms.bluesky_sandbox", description=__doc__
    )
    add = parser.add_argument
    add("--dir", type=Path, required=True, help="its folder")
    add("--rate", type=float, default=0.0, help="posts per second of the demo's people")
    add("--seed", type=int, default=0, help="same seed, same people and posts")
    add("--bot", default="imagebot", help="handle of the bot's account")
    add("--secret", action="append", default=[], help="not used: there is one app password")
    add("--opt-in", default=OPT_IN, help="hashtag by which the people ask for a reply")
    add("--hashtag", action="append", default=[], help="one the people use; may be repeated")
    add("--profile", action="append", default=[], help="one of the people; may be repeated")
    add("--json", action="store_true", help="addresses and keys of an account, as one line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
