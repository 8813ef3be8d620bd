"""The verbs that run, examine and steer the service."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import (
    CONFIG,
    Config,
    Json,
    load,
    log_to,
    only_account,
    prepare,
    print_json,
    say,
)
from bot.errors import UsageError


def run(config: Config = CONFIG) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    from bot.daemon import Daemon

    settings = load(config)
    log_to(settings, settings.log.level, settings.data.dir / "logs")
    Daemon(config, settings).run()


def demo(
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="Stop by itself after so many seconds.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=50, help="New posts a second.")] = 1.0,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where it keeps everything; emptied at the start.")
    ] = Path("data/demo"),
    json: Json = False,
) -> None:
    """A loopback Instagram with people who post, the service, and the replies it makes."""
    from bot.demo import demo as start

    _stop_on_sigterm()
    start(folder, seconds=seconds, rate=rate, as_json=json)


def rehearse(
    config: Config = CONFIG,
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="Stop by itself after so many seconds.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=50, help="New posts a second.")] = 1.0,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where it keeps everything; emptied at the start.")
    ] = Path("data/rehearsal"),
    approve: Annotated[
        bool, typer.Option("--approve", help="Play the person who approves every reply.")
    ] = False,
    json: Json = False,
) -> None:
    """Your own configuration against the loopback Instagram: nothing reaches the real one."""
    from bot.demo import rehearse as start

    load(config)
    _stop_on_sigterm()
    start(config, folder, seconds=seconds, rate=rate, approve=approve, as_json=json)


def check(config: Config = CONFIG, json: Json = False) -> None:
    """Is the configuration right? Names file, line and key of what is not."""
    settings = load(config)
    if json:
        print_json(
            {
                "config": str(config),
                "accounts": list(settings.accounts),
                "tracks": [track.key for track in settings.tracks],
            }
        )
    else:
        tracks = len(settings.tracks)
        say(f"{config}: fine ({len(settings.accounts)} accounts, {tracks} tracks)")


def doctor(config: Config = CONFIG, json: Json = False) -> None:
    """Look at configuration, disk, database, session, weights, clock and package identity."""
    from bot.doctor import examine

    findings = examine(config)
    if json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            print(f"{finding.mark} {finding.topic}: {finding.text}")
    worst = max((f.exit_code for f in findings if not f.fine), default=0)
    raise typer.Exit(worst)


def pause(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    config: Config = CONFIG,
) -> None:
    """The kill switch: nothing is published until `resume`. Collecting goes on."""
    from bot.status import switch_pause

    switch_pause(prepare(config), account, on=True)
    say("paused: nothing will be published")


def resume(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also end the pauses that the platform asked for.")
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Publish again, and close the circuit breakers that waited for a person."""
    from bot.status import switch_pause

    switch_pause(prepare(config), account, on=False, force=force)
    say("resumed")


def login(
    account: Annotated[
        str | None, typer.Argument(help="Which account; default: the only one.")
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Log in once and keep the session."""
    from bot.app import App

    settings = prepare(config)
    name = account or only_account(settings)
    service = App(settings)
    with service.lock(name):
        service.gate(name).resume()  # whoever types this has looked at the account
        platform = service.platform(name)
        me = platform.login()
        platform.close()
    service.close()
    say(f"logged in as {me.username} ({me.user_id})")


def forget(
    target: Annotated[
        str | None,
        typer.Argument(
            help="PLATFORM/USER (user name or user id); or a post: its address, "
            "instagram/p/SHORTCODE or PLATFORM:post:ID."
        ),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="What is still to be deleted on the network.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again to delete there what failed.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Remove everything of a person, or one post, and keep it out; our replies are deleted, too."""
    from bot import removal

    if (target is None) == (not status and not retry):
        raise UsageError("name a person or a post to forget, or ask with --status or --retry")
    if target is None:
        rows = removal.deletions(prepare(config), retry=retry)
        print_json(rows) if json else print(removal.table(rows))
        return
    found = removal.forget(prepare(config), target)
    if json:
        print_json(found)
    else:
        for line in removal.lines(found):
            print(line)


def _stop_on_sigterm() -> None:
    """Like Ctrl-C: with a report, and without leaving the two other processes behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
