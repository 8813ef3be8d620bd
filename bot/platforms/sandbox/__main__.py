"""The sandbox as a process of its own: `python -m bot.platforms.sandbox --dir DIR --rate 2`.

Prints its addresses when ready (`--json`: as one line of JSON) and stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bot.core.signals import until_told
from bot.platforms.loopback.process import announce, parser
from bot.platforms.sandbox.people import Habits
from bot.platforms.sandbox.server import Login, Ports, Sandbox

PACE = {"request_delay": [0, 0]}  # keys of an account that need not be patient with this network
TOTP = "JBSWY3DPEHPK3PXP"  # of the made-up account


def main(arguments: list[str] | None = None) -> int:
    """Run until asked to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    wait = until_told()
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
        announce(options, box.addresses(), _account(box))
        wait()
    return 0


def _account(box: Sandbox) -> dict[str, object]:
    return {
        "platform": "instagram",
        "profile": "ana.lima",
        "account": box.keys(),
        "pace": PACE,
        "secrets": box.secrets(),
    }


def _parser() -> argparse.ArgumentParser:
    found = parser("bot.platforms.sandbox", __doc__, bot=Login().username, opt_in=Habits().opt_in)
    add = found.add_argument
    add("--dir", type=Path, required=True, help="certificates, uploads and the journal")
    add("--empty", action="store_true", help="no people and no posts")
    add("--media", choices=("port", "cdn"), default="port", help="where image addresses lead")
    add("--password", default=Login().password)
    add("--secret", action="append", default=[], help="a secret that the account is to have")
    for name in ("proxy", "media", "control"):
        add(f"--{name}-port", type=int, default=0, help="0: any free one")
    return found


if __name__ == "__main__":
    sys.exit(main())
