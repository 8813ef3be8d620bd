"""`tagecho demo` and `tagecho rehearse`: the service on a network that lasts as long as they do."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, load


def demo(
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="Stop by itself after so many seconds.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=50, help="New posts a second.")] = 1.0,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where it keeps everything; emptied at the start.")
    ] = Path("data/demo"),
    json: Json = False,
) -> None:
    """A loopback Instagram with people who post, the service, and the replies it makes."""
    from bot.verbs.demo import demo as start

    _stop_on_sigterm()
    start(folder, seconds=seconds, rate=rate, as_json=json)


def rehearse(
    config: Config = CONFIG,
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="Stop by itself after so many seconds.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=50, help="New posts a second.")] = 1.0,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where it keeps everything; emptied at the start.")
    ] = Path("data/rehearsal"),
    approve: Annotated[
        bool, typer.Option("--approve", help="Play the person who approves every reply.")
    ] = False,
    json: Json = False,
) -> None:
    """Your own configuration against the loopback Instagram: nothing reaches the real one."""
    from bot.verbs.demo import rehearse as start

    load(config)
    _stop_on_sigterm()
    start(config, folder, seconds=seconds, rate=rate, approve=approve, as_json=json)


def _stop_on_sigterm() -> None:
    """Like Ctrl-C: with a report, and without leaving the two other processes behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
