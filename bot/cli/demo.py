"""`tagecho demo` and `tagecho rehearse`: the service against a loopback network."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json
from bot.platforms.registry import FIRST

Seconds = Annotated[
    float | None,
    typer.Option("--for", min=1, help="Stop after so many seconds; default: at Ctrl-C."),
]
Rate = Annotated[float, typer.Option(min=0.1, max=50, help="New posts per second.")]
Folder = Annotated[
    Path, typer.Option("--dir", help="The folder for all its data; emptied at the start.")
]


def demo(
    seconds: Seconds = None,
    rate: Rate = 1.0,
    platform: Annotated[str, typer.Option(help="The platform whose network it is.")] = FIRST,
    folder: Folder = Path("data/demo"),
    json: Json = False,
) -> None:
    """Run the service against a loopback network with people who post, and show its replies.

    \b
    Examples:
      tagecho demo --for 60
      tagecho demo --platform mastodon --for 60
    """
    from bot.verbs.demo.demonstration import demo as start

    _stop_on_sigterm()
    start(folder, platform, seconds=seconds, rate=rate, as_json=json)


def rehearse(
    config: Config = CONFIG,
    seconds: Seconds = None,
    rate: Rate = 1.0,
    folder: Folder = Path("data/rehearsal"),
    approve: Annotated[bool, typer.Option("--approve", help="Approve every reply.")] = False,
    json: Json = False,
) -> None:
    """Run your own configuration against a loopback network. Nothing reaches the real one.

    \b
    Examples:
      tagecho rehearse --for 120 --approve
    """
    from bot.verbs.demo.rehearsal import rehearse as start

    _stop_on_sigterm()
    start(config, folder, seconds=seconds, rate=rate, approve=approve, as_json=json)


def sandbox(
    rate: Rate = 0.2,
    folder: Annotated[
        Path, typer.Option("--dir", help="The folder for all its data; emptied at the start.")
    ] = Path("sandbox"),
    config: Config = CONFIG,
) -> None:
    """Run a network on this machine until Ctrl-C, to try the service by hand.

    It writes a configuration into its folder that leads there: yours (or one that is made up), with
    other addresses, secrets and data, no quiet hours and rates, and a look every 10 s. Give that
    file to the other verbs.

    \b
    Examples:
      tagecho sandbox
      tagecho sandbox --config live.toml --rate 1
    """
    from bot.verbs.demo.lasting import sandbox as start

    _stop_on_sigterm()
    made_up = config == CONFIG and not config.exists()
    start(None if made_up else config, folder, rate=rate)


def _stop_on_sigterm() -> None:
    """Treat SIGTERM like Ctrl-C: print the report and end the two other processes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
