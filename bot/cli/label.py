"""`tagecho label`: boxes and masks of objects in a dataset."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import complain, echo, print_json, say


def label(
    dataset: Annotated[str, typer.Argument(help="The dataset.")],
    classes: Annotated[
        str, typer.Option(help="What to look for, separated by commas: 'hat, red shoe'.")
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="embedded, owlv2-base, grounding-dino-tiny or rtdetr-r18; repeatable: the answers "
            "of several detectors are fused."
        ),
    ] = None,
    least: Annotated[float, typer.Option(min=0, max=1, help="The least score of an object.")] = 0.3,
    augment: Annotated[
        bool,
        typer.Option("--augment", help="Ask of the mirror image and of other sizes, too: slower."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also try again the images that failed.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Find objects of these classes in the images of a dataset: boxes and masks.

    `embedded` (the default) finds the main object, and takes its class from the words of the post,
    or of images like it. The official detectors find all objects, by their looks; they need
    `models pull` and the `official` extra; masks come from `sam-vit-b` where it was pulled. What
    people drew counts. An interrupted run goes on. `export --objects` writes what was found. Exit
    code 1: some images failed; the others have an answer, which may be that nothing is in them.

    \b
    Examples:
      tagecho label hoodies --classes "hat, shoe, dog"
      tagecho label hoodies --classes "person, dog" --by rtdetr-r18 --augment
    """
    from bot.verbs.label import label as work
    from bot.verbs.labellers import LabelOptions

    names = tuple(dict.fromkeys(filter(None, (part.strip() for part in classes.split(",")))))
    options = LabelOptions(names, tuple(by or ("embedded",)), least, augment, again)
    report = work(prepare(config), dataset, options)
    if json:
        print_json(report.as_dict())
    else:
        for name, count in report.objects.items():
            echo(f"{count:>8}  {name}")
    for sha256, why in report.failures:
        complain(f"image {sha256[:12]}: {why}")
    states = ", ".join(f"{count} {state}" for state, count in report.states.items())
    say(f"recipe {report.recipe}: {report.answered} images answered by this run; {states}")
    if report.failures:
        raise typer.Exit(1)
