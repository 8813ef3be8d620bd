"""What every loopback network does as a process of its own: its options, and what it prints."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any


def parser(module: str, about: str | None, *, bot: str, opt_in: str) -> argparse.ArgumentParser:
    """The options that all of them have. `bot`, `opt_in`: what is usual there."""
    found = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    add = found.add_argument
    add("--rate", type=float, default=0.0, help="posts per second of the demo's people")
    add("--seed", type=int, default=0, help="same seed, same people and posts")
    add("--bot", default=bot, help="name of the bot's account")
    add("--opt-in", default=opt_in, help="hashtag by which the people ask for a reply")
    add("--hashtag", action="append", default=[], help="one the people use; may be repeated")
    add("--profile", action="append", default=[], help="one of the people; may be repeated")
    add("--json", action="store_true", help="addresses and keys of an account, as one line")
    return found


def announce(options: argparse.Namespace, told: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    """Print what is told, one fact a line; for a program all of it and `more`, as one line."""
    lines = [f"{name:<12} {value}" for name, value in told.items()]
    text = json.dumps({**told, **more}) if options.json else "\n".join(lines)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
