"""`tagecho login`: make a session by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, only_account, prepare
from bot.cli.output import say


def login(
    account: Annotated[
        str | None, typer.Argument(help="The account; default: the only one.")
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Log in once and keep the session.

    \b
    Examples:
      tagecho login main
    """
    from bot.service.app import App

    settings = prepare(config, secrets=True)
    name = account or only_account(settings)
    service = App(settings)
    with service.lock(name):
        service.pacer(name).resume()  # the person who types this has looked at the account
        platform = service.platform(name)
        me = platform.login()
        platform.close()
    service.close()
    say(f"logged in as {me.username} ({me.user_id})")
