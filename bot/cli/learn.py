"""`tagecho learn`, and `models promote` and `rollback`: which learned network is in service."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import echo, print_json, say


def learn(
    status: Annotated[
        bool, typer.Option("--status", help="Show the last runs and the network in service.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Start a new run, even if a run was interrupted.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Train on the collected images. The result is used only if it is proved to be better.

    It continues an interrupted run. It pauses while a reply waits to be rendered.

    Exit code 8: too few images, or all look the same. 7: the training failed (a loss that is not a
    number, a damaged checkpoint, collapsed outputs), was killed for the fifth time at one
    stage, or `time_limit` is over; the log is in `models/runs/N/log.txt` of the data folder. 1:
    a person whose images it used was forgotten; its network is deleted. After Ctrl-C (130), a
    kill (137) or a full disk (10) it continues next time, with the settings it started with.
    The network in service stays in all cases.

    \b
    Examples:
      tagecho learn
      tagecho learn --status
    """
    from bot.verbs import learn as learning

    settings = prepare(config)
    if status:
        _show(learning.status(settings), json=json)
        return
    from models.process.inside import step_back

    step_back(settings.learn.nice)
    done = learning.learn(settings, say, fresh=new)
    if settings.models.segmenter != "learned":
        say(f'[models] segmenter is "{settings.models.segmenter}": a promoted network is not used')
    if json:
        print_json(done)
    else:
        echo(f"{done['state'].replace('_', ' ')}: {done['version']}")


def promote(
    version: Annotated[
        str | None,
        typer.Argument(help='The network to put in service; "embedded" is the shipped one.'),
    ] = None,
    run: Annotated[int | None, typer.Option(help="Take the network of this run instead.")] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Put a learned network in service without a proof. A running service uses it at once.

    \b
    Examples:
      tagecho models promote --run 7
      tagecho models promote embedded
    """
    from bot.verbs import learn as learning

    _switched(learning.promote(prepare(config), version, run), json=json)


def rollback(config: Config = CONFIG, json: Json = False) -> None:
    """Put the previous network back in service. A second rollback undoes the first.

    \b
    Examples:
      tagecho models rollback
    """
    from bot.verbs import learn as learning

    _switched(learning.rollback(prepare(config)), json=json)


def _switched(serves: dict[str, str], *, json: bool) -> None:
    if json:
        print_json(serves)
    else:
        echo(f"in service: {serves['current']}; before: {serves['previous']}")


def _show(found: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(found)
        return
    for row in found["runs"]:
        state = row["state"].replace("_", " ")
        if row["state"] == "running" and not found["running"]:
            state = "interrupted"
        where = f" in {row['stage']}" if row["finished"] is None and row["stage"] else ""
        words = row["reason"] or row["progress"]
        echo(f"{row['run']:>4}  {row['started']:%Y-%m-%d %H:%M}  {state}{where}  {words}".rstrip())
        if row["version"]:
            echo(f"      {row['version']}, {row['images']} images")
    echo(f"in service: {found['current']}; before: {found['previous']}")
