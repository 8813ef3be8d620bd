"""The loopback Mastodon as a process of its own: `python -m bot.platforms.mastodon_sandbox`.

Prints what leads an account to it when ready (`--json`: as one line of JSON) and stops on SIGTERM
or SIGINT.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from bot.core.signals import until_told
from bot.platforms.loopback.control import Control, orders
from bot.platforms.loopback.crowd import OPT_IN, Crowd
from bot.platforms.loopback.process import announce, parser
from bot.platforms.mastodon_sandbox.people import crowd as people
from bot.platforms.mastodon_sandbox.server import BOT, Mastodon


def main(arguments: list[str] | None = None) -> int:
    """Run until asked to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    wait = until_told()
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
        announce(options, _addresses(network, crowd, control), {})
        wait()
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
    found = parser("bot.platforms.mastodon_sandbox", __doc__, bot=BOT, opt_in=OPT_IN)
    found.add_argument("--dir", type=Path, required=True, help="its folder")
    found.add_argument(
        "--secret", action="append", default=[], help="not used: a token is all that it takes"
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
