"""`tagecho pause` and `tagecho resume`: stop all publishing, and start it again."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, prepare
from bot.cli.output import say


def pause(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    config: Config = CONFIG,
) -> None:
    """Stop all publishing until `tagecho resume`: the kill switch. Collecting continues.

    \b
    Examples:
      tagecho pause
      tagecho pause --account main
    """
    from bot.verbs.pause import switch_pause

    switch_pause(prepare(config), account, on=True)
    say("paused: nothing will be published")


def resume(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also end the pauses that the platform asked for.")
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Publish again, and close the circuit breakers that wait for a person.

    \b
    Examples:
      tagecho resume
    """
    from bot.verbs.pause import switch_pause

    switch_pause(prepare(config), account, on=False, force=force)
    say("resumed")
