"""`tagecho console`: the web application, alone."""

from __future__ import annotations

from bot.cli.common import CONFIG, Config, load, log_to
from bot.cli.output import say


def console(config: Config = CONFIG) -> None:
    """Serve the console until Ctrl-C: look, decide, search. The service may run beside it.

    \b
    Examples:
      tagecho console
      tagecho console --config live.toml
    """
    from bot.console.server import serving
    from bot.core.signals import until_told
    from bot.service.app import opened

    settings = load(config, secrets="sections")
    log_to(settings, "warning")
    wait = until_told()
    with opened(settings) as app, serving(config, app) as address:
        say(f"console: {address}")
        wait()
