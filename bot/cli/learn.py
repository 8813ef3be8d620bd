"""`tagecho learn`, and which of the learned networks serves."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import echo, print_json, say


def learn(
    status: Annotated[
        bool, typer.Option("--status", help="How the last runs went, and what serves.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Begin anew, even when a run was broken off.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Train on what was collected; the result serves only when it is proved to be better.

    Goes on with a run that was broken off. Replies come first: it stands still while one waits.
    """
    from bot.verbs import learn as learning

    settings = prepare(config)
    if status:
        _show(learning.status(settings), json=json)
        return
    from bot.learn.background import step_back

    step_back(settings.learn.nice)
    done = learning.learn(settings, say, fresh=new)
    if settings.models.segmenter != "learned":
        say(f'[models] segmenter is "{settings.models.segmenter}": what is promoted does not serve')
    if json:
        print_json(done)
    else:
        echo(f"{done['state'].replace('_', ' ')}: {done['version']}")


def promote(
    version: Annotated[
        str | None, typer.Argument(help='What is to serve; "embedded" is the shipped one.')
    ] = None,
    run: Annotated[int | None, typer.Option(help="The network of this run instead.")] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Put a learned network in service, on your own judgement; a running service takes it over."""
    from bot.verbs import learn as learning

    _switched(learning.promote(prepare(config), version, run), json=json)


def rollback(config: Config = CONFIG, json: Json = False) -> None:
    """Put the network before this one back in service; twice changes nothing."""
    from bot.verbs import learn as learning

    _switched(learning.rollback(prepare(config)), json=json)


def _switched(serves: dict[str, str], *, json: bool) -> None:
    if json:
        print_json(serves)
    else:
        echo(f"{serves['current']} serves; before it: {serves['previous']}")


def _show(found: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(found)
        return
    for row in found["runs"]:
        state = row["state"].replace("_", " ")
        if row["state"] == "running" and not found["running"]:
            state = "broken off"
        where = f" in {row['stage']}" if row["finished"] is None and row["stage"] else ""
        words = row["reason"] or row["progress"]
        echo(f"{row['run']:>4}  {row['started']:%Y-%m-%d %H:%M}  {state}{where}  {words}".rstrip())
        if row["version"]:
            echo(f"      {row['version']}, {row['images']} images")
    echo(f"{found['current']} serves; before it: {found['previous']}")
