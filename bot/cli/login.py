"""`tagecho login`: make a session by hand."""

from __future__ import annotations

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

    \b
    Examples:
      tagecho login main
      tagecho login main --cookies cookies.txt
    """
    from bot.verbs.login import log_in, remarks_of

    settings = prepare(config, secrets="all" if cookies is None else "none")
    name = account or only_account(settings)
    me = log_in(settings, name, cookies)
    say(f"logged in as {me.username} ({me.user_id})")
    for remark in remarks_of(settings, name):
        say(f"{me.username} {remark}")
