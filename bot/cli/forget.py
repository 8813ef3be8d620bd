"""`tagecho forget`: remove a person or a post, and keep them out."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import echo, print_json, say
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, on a terminal.")] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Remove a person or one post, and keep them out. Our replies to them are deleted, too.

    On a terminal it shows what would be removed, and asks.

    \b
    Examples:
      tagecho forget PLATFORM/USER --dry-run
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
    settings = prepare(config)
    if dry_run or (not yes and sys.stdin.isatty()):
        _show(removal.forget(settings, target, dry_run=True), json=json and dry_run)
        if dry_run or not typer.confirm(f"Remove this of {target}, for ever?", err=True):
            say("nothing was removed")
            return
    _show(removal.forget(settings, target), json=json)


def _show(found: dict[str, Any], *, json: bool) -> None:
    from bot.verbs.forget import lines

    if json:
        print_json(found)
        return
    for line in lines(found):
        echo(line)
