"""What every verb has: -h, -v, -q, and the options that may stand before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from bot.core.voice import VOICE

BEFORE = "tagecho.config"  # key of `ctx.meta`: the --config that stands before the verb
HELP = {"help_option_names": ["-h", "--help"]}


def louder(count: int) -> int:
    """-v: show more of what a verb does. -vv shows all."""
    VOICE.loudness += count
    return count


def quieter(quiet: bool) -> bool:
    """-q: show only data, and what went wrong."""
    VOICE.loudness -= quiet
    return quiet


Verbose = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        callback=louder,
        show_default=False,
        help="Log more to stderr; -vv logs all.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", callback=quieter, help="Print only data, and what went wrong."),
]


def _both(verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Only its options count: typer makes them from the signature."""


def _shared() -> list[Any]:
    maker = typer.Typer(add_completion=False)
    maker.command()(_both)
    options = typer.main.get_command(maker).params
    for option in options:
        option.expose_value = False
    return list(options)


class Verb(TyperCommand):
    """A verb that has the shared options, too; its function is not told of them."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *SHARED]


SHARED = _shared()


class Verbs(typer.Typer):
    """A group of verbs, each of which is a `Verb`."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        return super().command(name, **{"cls": Verb, **options})


def remember(ctx: typer.Context, config: Path | None) -> None:
    """`--config` before the verb."""
    if config is not None:
        ctx.meta[BEFORE] = config


def chosen(ctx: typer.Context, config: Path | None) -> Path | None:
    """`--config` behind the verb, else the one before it, else the environment's or the default."""
    source = ctx.get_parameter_source("config")
    if source is not None and source.name == "COMMANDLINE":
        return config
    before: Path | None = ctx.meta.get(BEFORE)
    return config if before is None else before


def chosen_if_there(ctx: typer.Context, config: Path | None) -> Path | None:
    """The same for a verb that needs none: the environment may name a file that is not there."""
    found = chosen(ctx, config)
    source = ctx.get_parameter_source("config")
    said_here = source is not None and source.name == "COMMANDLINE"
    if found is None or said_here or BEFORE in ctx.meta or found.exists():
        return found
    return None
