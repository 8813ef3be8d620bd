"""The sandbox as a process of its own: `python -m bot.platforms.sandbox --dir DIR --rate 2`.

Prints its addresses when ready (`--json`: as one line of JSON) and stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import json
import queue
import signal
import sys
from pathlib import Path

from bot.platforms.sandbox.people import Habits
from bot.platforms.sandbox.server import Login, Ports, Sandbox

PACE = {"request_delay": [0, 0]}  # keys of an account that need not be patient with this network
TOTP = "JBSWY3DPEHPK3PXP"  # of the made-up account


def main(arguments: list[str] | None = None) -> int:
    """Run until asked to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Not an Event: a handler that interrupts the waiting for one may wait for its lock, for ever.
    stop: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.put(number))
    box = Sandbox(
        options.dir,
        bot=Login(options.bot, options.password, TOTP if "totp_secret" in options.secret else ""),
        habits=Habits(options.opt_in, options.hashtag, options.profile, options.rate),
        seed=options.seed,
        media=options.media,
        ports=Ports(options.proxy_port, options.media_port, options.control_port),
    )
    if not options.empty:
        box.crowd.populate()
    with box:
        _announce(box, as_json=options.json)
        stop.get()
    return 0


def _announce(box: Sandbox, *, as_json: bool) -> None:
    addresses = box.addresses()
    lines = [f"{name:<12} {value}" for name, value in addresses.items()]
    own = {
        "platform": "instagram",
        "profile": "ana.lima",
        "account": box.keys(),
        "pace": PACE,
        "secrets": box.secrets(),
    }
    told = addresses | own
    sys.stdout.write((json.dumps(told) if as_json else "\n".join(lines)) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot.platforms.sandbox", description=__doc__)
    add = parser.add_argument
    add("--dir", type=Path, required=True, help="certificates, uploads and the journal")
    add("--rate", type=float, default=0.0, help="posts per second of the demo's people")
    add("--seed", type=int, default=0, help="same seed, same people and posts")
    add("--empty", action="store_true", help="no people and no posts")
    add("--media", choices=("port", "cdn"), default="port", help="where image addresses lead")
    add("--bot", default=Login().username, help="user name of the bot's account")
    add("--password", default=Login().password)
    add("--secret", action="append", default=[], help="a secret that the account is to have")
    add("--opt-in", default=Habits().opt_in, help="hashtag by which the people ask for a reply")
    add("--hashtag", action="append", default=[], help="one the people use; may be repeated")
    add("--profile", action="append", default=[], help="one of the people; may be repeated")
    for name in ("proxy", "media", "control"):
        add(f"--{name}-port", type=int, default=0, help="0: any free one")
    add("--json", action="store_true", help="addresses and keys of an account, as one line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
