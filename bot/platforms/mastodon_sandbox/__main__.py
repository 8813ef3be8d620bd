"""The loopback Mastodon as a process of its own: `python -m bot.platforms.mastodon_sandbox`.

Prints what leads an account to it when ready (`--json`: as one line of JSON) and stops on SIGTERM
or SIGINT.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from bot.platforms.loopback.control import Control, orders
from bot.platforms.loopback.crowd import OPT_IN, Crowd
from bot.platforms.mastodon_sandbox.people import crowd as people
from bot.platforms.mastodon_sandbox.server import BOT, Mastodon


def main(arguments: list[str] | None = None) -> int:
    """Run until asked to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    network = Mastodon(bot=options.bot.partition("@")[0])
    crowd = people(
        network.world,
        options.dir,
        bot=network.username,
        opt_in=options.opt_in,
        hashtags=options.hashtag,
        profiles=options.profile,
        rate=options.rate,
        seed=options.seed,
    )
    known = orders(crowd, lambda: network.world.replies_of(network.username))
    with network, Control(known) as control:
        crowd.start()
        told = _addresses(network, crowd, control)
        lines = [f"{name:<12} {value}" for name, value in told.items()]
        sys.stdout.write((json.dumps(told) if options.json else "\n".join(lines)) + "\n")
        sys.stdout.flush()
        stop.wait()
        crowd.stop()
    return 0


def _addresses(network: Mastodon, crowd: Crowd, control: Control) -> dict[str, Any]:
    return {
        "platform": "mastodon",
        "profile": "ana_lima",  # one of the people
        "username": network.username,
        "opt_in": crowd.opt_in,
        "control": control.base,
        "account": {"server": network.server},
        "pace": {},
        "secrets": {"token": network.token},
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot.platforms.mastodon_sandbox", description=__doc__
    )
    add = parser.add_argument
    add("--dir", type=Path, required=True, help="its folder")
    add("--rate", type=float, default=0.0, help="posts per second of the demo's people")
    add("--seed", type=int, default=0, help="same seed, same people and posts")
    add("--bot", default=BOT, help="user name of the bot's account")
    add("--secret", action="append", default=[], help="not used: a token is all that it takes")
    add("--opt-in", default=OPT_IN, help="hashtag by which the people ask for a reply")
    add("--hashtag", action="append", default=[], help="one the people use; may be repeated")
    add("--profile", action="append", default=[], help="one of the people; may be repeated")
    add("--json", action="store_true", help="addresses and keys of an account, as one line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
