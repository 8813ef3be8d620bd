"""`tagecho notify`: notices by mail and other services."""

from __future__ import annotations

import typer

from bot.cli.common import CONFIG, Config, prepare
from bot.cli.output import complain, echo
from bot.cli.verb import Verbs
from bot.core.errors import ConfigError, NetworkError

app = Verbs(no_args_is_help=True, help="Notices by mail, webhooks and chat services.")


@app.command("test")
def notify_test(config: Config = CONFIG) -> None:
    """Send a notice to every service now, and say what each did with it.

    \b
    Examples:
      tagecho notify test
    """
    from bot.net.notices import send

    said = prepare(config, secrets="sections").notices
    if not said.services:
        raise ConfigError(
            f"{config}: notices.urls: is not set; write addresses into secrets/notices.urls, one a "
            "line, or set TAGECHO_NOTICES__URLS_FILE"
        )
    body = "This is a test: notices of tagecho reach you."
    done = send(said.services, "tagecho: a test", body, said.own_hosts)
    for each in done:
        (complain if each.error else echo)(f"{each.service}: {each.error or 'sent'}")
    if any(each.error for each in done):
        raise typer.Exit(NetworkError.exit_code)
