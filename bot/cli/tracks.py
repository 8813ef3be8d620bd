"""`tagecho track`: list, add, pause and remove tracks."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, prepare
from bot.cli.output import echo, print_rows, say
from bot.cli.status import track_table
from bot.cli.verb import Verbs
from bot.core.errors import UsageError
from bot.core.events import TrackKind

Target = Annotated[str, typer.Argument(help="'#hashtag' or '@profile'.")]
OfAccount = Annotated[str | None, typer.Option(help="The account of the track.")]

app = Verbs(no_args_is_help=True, help="The tracked hashtags and profiles.")


@app.command("list")
def track_list(config: Config = CONFIG, json: Json = False, csv: Csv = False) -> None:
    """List the tracks: health, last and next poll, as `tagecho status` knows them.

    \b
    Examples:
      tagecho track list
    """
    from bot.verbs.tracks import readable_state, track_rows

    state = readable_state(prepare(config))
    if print_rows(track_rows(state), json=json, csv=csv):
        return
    for line in track_table(state):
        echo(line)


@app.command("add")
def track_add(
    target: Target,
    account: Annotated[str | None, typer.Option(help="The account that listens.")] = None,
    every: Annotated[str, typer.Option(help="How often to look: 15m, 1h …")] = "15m",
    dataset: Annotated[
        str | None, typer.Option(help="The dataset of its posts; default: the name.")
    ] = None,
    reply: Annotated[
        str | None, typer.Option(help="A style: every post of the track is answered with it.")
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Add a track to the configuration file; comments stay. A running service adopts it.

    \b
    Examples:
      tagecho track add '#dawn' --every 30m
      tagecho track add @some.name --reply auto
    """
    from bot.config import STYLES
    from bot.config.tracks import NewTrack, add_track

    kind, name = target_of(target)
    add_track(config, NewTrack(kind, name, account, every, dataset, reply), styles=STYLES)
    say(f"added {target} to {config}")


@app.command("remove")
def track_remove(
    target: Target,
    account: OfAccount = None,
    config: Config = CONFIG,
) -> None:
    """Remove a track from the configuration file. Its collected posts stay.

    \b
    Examples:
      tagecho track remove '#dawn'
    """
    from bot.config.tracks import remove_track

    kind, name = target_of(target)
    remove_track(config, kind, name, account=account)
    say(f"removed {target} from {config}")


@app.command("pause")
def track_pause(
    target: Target,
    account: OfAccount = None,
    config: Config = CONFIG,
) -> None:
    """Pause a track in the configuration file: it is not polled. What it found stays.

    \b
    Examples:
      tagecho track pause '#dawn'
    """
    from bot.config.tracks import pause_track

    kind, name = target_of(target)
    pause_track(config, kind, name, paused=True, account=account)
    say(f"paused {target} in {config}")


@app.command("resume")
def track_resume(
    target: Target,
    account: OfAccount = None,
    config: Config = CONFIG,
) -> None:
    """Poll a track again that was paused.

    \b
    Examples:
      tagecho track resume '#dawn'
    """
    from bot.config.tracks import pause_track

    kind, name = target_of(target)
    pause_track(config, kind, name, paused=False, account=account)
    say(f"resumed {target} in {config}")


@app.command("accept")
def track_accept(
    target: Annotated[str, typer.Argument(help="'@profile'.")], config: Config = CONFIG
) -> None:
    """Follow the person who has this name now, after it changed hands.

    \b
    Examples:
      tagecho track accept @some.name
    """
    from bot.core.events import TrackKind
    from bot.verbs.tracks import accept

    kind, name = target_of(target)
    if kind is not TrackKind.PROFILE:
        raise UsageError(f"{target!r}: only a profile changes hands; write '@name'")
    for key in accept(prepare(config), name):
        say(f"{key} follows who is {target} now")


def label(kind: TrackKind, name: str) -> str:
    """As `target_of` reads it."""
    return f"{'#' if kind is TrackKind.HASHTAG else '@'}{name}"


def target_of(text: str) -> tuple[TrackKind, str]:
    if text.startswith("#"):
        return TrackKind.HASHTAG, text[1:]
    if text.startswith("@"):
        return TrackKind.PROFILE, text[1:]
    raise UsageError(f"{text!r}: write '#name' for a hashtag or '@name' for a profile")
