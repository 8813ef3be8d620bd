"""`tagecho forget`: remove a person or a post, and keep them out."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import echo, print_json
from bot.core.errors import UsageError


def forget(
    target: Annotated[
        str | None,
        typer.Argument(
            help="A person: PLATFORM/USER, with the user name or the user id. A post: its "
            "address, or PLATFORM:post:ID."
        ),
    ] = None,
    status: Annotated[
        bool,
        typer.Option(
            "--status", help="Show which of our replies are still to be deleted on the network."
        ),
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try the failed deletions on the network again.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Remove a person or one post, and keep them out. Our replies to them are deleted, too.

    \b
    Examples:
      tagecho forget PLATFORM/USER
      tagecho forget --status
    """
    from bot.verbs import forget as removal

    if (target is None) == (not status and not retry):
        raise UsageError("name a person or a post, or give --status or --retry")
    if target is None:
        rows = removal.deletions(prepare(config), retry=retry)
        print_json(rows) if json else echo(removal.table(rows))
        return
    found = removal.forget(prepare(config), target)
    if json:
        print_json(found)
    else:
        for line in removal.lines(found):
            echo(line)
