"""`tagecho login`: make a session by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, only_account, prepare
from bot.cli.output import say


def login(
    account: Annotated[
        str | None, typer.Argument(help="The account; default: the only one.")
    ] = None,
    cookies: Annotated[
        Path | None,
        typer.Option(help="Take the session from a browser's cookies.txt (Netscape's format)."),
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Log in once and keep the session.

    On a terminal, an account without a secret whose platform gives one for a code (Mastodon) is
    taken through that first: open the address, allow it, type the code.

    \b
    Examples:
      tagecho login main
      tagecho login main --cookies cookies.txt
    """
    from bot.config.source import SECRETS
    from bot.verbs.login import authorize, lacks_secret, log_in, remarks_of

    settings = prepare(config, secrets="all" if cookies is None else "none")
    name = account or only_account(settings)
    if sys.stdin.isatty() and cookies is None and lacks_secret(settings, name):
        path = authorize(settings, name, config.absolute().parent / SECRETS, _code)
        say(f"wrote {path} (mode 0600)")
        settings = prepare(config, secrets="all")
    me = log_in(settings, name, cookies)
    say(f"logged in as {me.username} ({me.user_id})")
    for remark in remarks_of(settings, name):
        say(f"{me.username} {remark}")


def _code(address: str) -> str:
    """Asks for what the page shows. It is not echoed: whoever has it first has the account."""
    say(f"open this address, allow tagecho, and type the code that it shows:\n  {address}")
    return str(typer.prompt("Code", hide_input=True, err=True))
