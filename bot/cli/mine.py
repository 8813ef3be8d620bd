"""`tagecho mine`: pictures like those on which a network failed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import complain, counted, echo, print_json, say
from bot.core.errors import UsageError


def mine(
    failures: Annotated[
        Path | None,
        typer.Argument(
            help="Pictures on which the masks are wrong; or a folder with photos/ and labels/ "
            "(masks of the same names: what is not black is object)."
        ),
    ] = None,
    object_: Annotated[
        float, typer.Option("--object", min=0, help="How much a similar object counts.")
    ] = 1.0,
    background: Annotated[
        float, typer.Option(min=0, help="How much a similar background counts.")
    ] = 0.5,
    light: Annotated[float, typer.Option(min=0, help="How much similar light counts.")] = 0.25,
    each: Annotated[int, typer.Option(min=1, help="So many images for each failure.")] = 20,
    gain: Annotated[
        bool, typer.Option("--gain", help="Show what the last `learn` gained, on these and on all.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Find images like those on which the network failed; the next `learn` sees them more often.

    Images are taken from the collected ones that may be learned from. The teacher of `learn` labels
    them, and what it is not sure of is left out. The failures themselves are never learned from:
    `learn` measures the gain on them. A new call takes the place of the former one.

    \b
    Examples:
      tagecho mine failures/ --background 1 --light 0
      tagecho mine --gain
    """
    from bot.verbs import mine as work
    from models.segment.hard_examples import BACKGROUND, LIGHT, OBJECT

    settings = prepare(config)
    if gain:
        _show_gain(work.gain(settings), json=json)
        return
    if failures is None:
        raise UsageError("name a folder of pictures, or --gain")
    weights = {OBJECT: object_, BACKGROUND: background, LIGHT: light}
    report = work.mine(settings, failures, work.MineOptions(weights, each))
    if json:
        print_json(report.as_dict())
    for row in [] if json else report.images:
        parts = f"object {row['object']:.2f}, background {row['background']:.2f}"
        doubt = f"  left out: {row['doubt']}" if row["doubt"] else ""
        name = Path(row["failure"]).name
        echo(f"{row['score']:.2f}  {name}  {row['path']}  {parts}, light {row['light']:.2f}{doubt}")
    for problem in report.unreadable:
        complain(problem)
    say(
        f"{counted(report.failures, 'failure')}, {report.measured} with a mask; "
        f"{counted(report.searched, 'image')} searched, {report.mined} mined; "
        f"{report.teacher} is sure of {report.sure}: the next `tagecho learn` sees them"
    )
    if report.unreadable:
        raise typer.Exit(1)


def _show_gain(found: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(found)
        return
    echo(f"run {found['run']}: {found['state'].replace('_', ' ')}; {found['hard']} images mined")
    for name in ("failures", "all", "corrected"):
        one = found[name]
        if one is None:
            echo(f"{name:<10} not measured")
            continue
        echo(
            f"{name:<10} IoU {one['old']:.3f} → {one['new']:.3f} ({one['new'] - one['old']:+.3f}, "
            f"95 % {one['low']:+.3f} to {one['high']:+.3f}, n = {one['count']})"
        )
