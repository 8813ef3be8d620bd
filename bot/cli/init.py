"""`tagecho init`: the first configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config
from bot.cli.output import say
from bot.cli.tracks import target_of
from bot.core.errors import UsageError
from bot.platforms.registry import FIRST, find


def init(
    username: Annotated[
        str, typer.Option(help="The user name of the bot's account; asked for on a terminal.")
    ] = "",
    track: Annotated[
        list[str] | None,
        typer.Option(help="'#hashtag' or '@profile' to collect; repeatable."),
    ] = None,
    opt_in: Annotated[
        list[str] | None, typer.Option(help="A hashtag that asks for a reply; repeatable.")
    ] = None,
    platform: Annotated[str, typer.Option(help="The platform of the account.")] = FIRST,
    account: Annotated[
        str, typer.Option(help="How this configuration calls the account: a-z, 0-9 and _.")
    ] = "main",
    force: Annotated[
        bool, typer.Option("--force", help="Replace a configuration that is there already.")
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Write a configuration that explains every key, and make a folder for secrets.

    On a terminal it asks for what is missing; elsewhere it takes the options.

    \b
    Examples:
      tagecho init
      tagecho init --username imagebot --track '#sunset' --opt-in tintme
    """
    from bot.config.initial import Beginning
    from bot.verbs.init import begin, keep_secret

    asks, password = sys.stdin.isatty() and not username, ""
    if asks:
        username = typer.prompt("User name of the bot's account", err=True)
        line = typer.prompt("Collect, such as #sunset @some.name", "", False, err=True)
        track = [*(track or []), *line.split()]
        password = typer.prompt(_secret_of(platform), "", True, err=True, show_default=False)
    if not username:
        raise UsageError("say --username: there is no terminal to ask")
    targets = [target_of(text) for text in track or ()]
    said = Beginning(username, account, platform, targets, [o.lstrip("#") for o in opt_in or ()])
    folder = begin(config, said, replace=force)
    say(f"wrote {config}, which explains every key, and the folder {folder} (mode 0700)")
    if password:
        say(f"wrote {keep_secret(folder, said, password)} (mode 0600)")
    _next(config)


def _secret_of(platform: str) -> str:
    """What the platform takes for a login, as a question."""
    found = find(platform)
    if found is not None and found.authorize is not None:
        return "Access token (empty: `tagecho login` asks the server for one)"
    return "Password (empty: later)"


def _next(config: Path) -> None:
    say("next: tagecho check" + ("" if config == CONFIG else f" --config {quote(str(config))}"))
