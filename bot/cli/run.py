"""`tagecho run`: run the service."""

from __future__ import annotations

from bot.cli.common import CONFIG, Config, load, log_to


def run(config: Config = CONFIG) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    \b
    Examples:
      tagecho run
      tagecho run -v --config live.toml
    """
    from bot.service.daemon import Daemon

    settings = load(config)
    log_to(settings, settings.log.level, settings.data.dir / "logs")
    beside = []
    if settings.console.enabled:
        from bot.console.server import serving

        beside.append(lambda app: serving(config, app))
    Daemon(config, settings, beside).run()
