"""`tagecho check` and `tagecho doctor`: find what is wrong."""

from __future__ import annotations

import typer

from bot.cli.common import CONFIG, Config, Json, load
from bot.cli.output import complain, counted, echo, print_json, say


def check(config: Config = CONFIG, json: Json = False) -> None:
    """Check the configuration. Every mistake is named with its file, line and key.

    What is legal and unwise is a warning, which does not change the exit code.

    \b
    Examples:
      tagecho check
      tagecho check --config live.toml --json
    """
    from bot.config.unwise import unwise

    settings = load(config, disk=True)
    warnings = unwise(config, settings)
    if json:
        print_json(
            {
                "config": str(config),
                "accounts": list(settings.accounts),
                "tracks": [track.key for track in settings.tracks],
                "warnings": [one.text(str(config)) for one in warnings],
            }
        )
    else:
        for one in warnings:
            complain(f"warning: {one.text(str(config))}")
        accounts = counted(len(settings.accounts), "account")
        say(f"{config}: correct ({accounts}, {counted(len(settings.tracks), 'track')})")


def doctor(config: Config = CONFIG, json: Json = False) -> None:
    """Examine configuration, disk, database, sessions, weights, clock and installed packages.

    \b
    Examples:
      tagecho doctor
    """
    from bot.verbs.doctor import examine

    findings = examine(config)
    if json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            echo(f"{finding.mark} {finding.topic}: {finding.text}")
    worst = max((f.exit_code for f in findings if f.fine is False), default=0)
    raise typer.Exit(worst)
