"""`tagecho caption` and `captions`: sentences and tags of images."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, Limit, prepare
from bot.cli.output import complain, echo, print_json, print_rows, say
from bot.cli.verb import Verbs

app = Verbs(no_args_is_help=True, help="Sentences and tags of images: list, accept, write.")

WIDTH = 80  # characters of a sentence in a line
Image = Annotated[int, typer.Argument(min=1, help="The image, as `captions list` numbers it.")]


def caption(
    dataset: Annotated[str, typer.Argument(help="The name of the dataset.")],
    network: Annotated[
        str,
        typer.Option(help="embedded, or an official network that was pulled (models list)."),
    ] = "embedded",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Look at so many images in this run, at most.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also look at images that this network has answered.")
    ] = False,
    report: Annotated[
        bool,
        typer.Option("--report", help="Measure the learned tags and words; store no tag."),
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Say in a sentence and tags what the images of a dataset show. Deletes nothing.

    `embedded` learns tags from the stream's own hashtags, in the stream's own languages, and gives
    each with a probability. It writes no sentence. Official networks (blip-base, florence-2-base)
    write a sentence in English, and run in a process of their own; they need tagecho[official].
    What the author wrote stays the caption of the post. A second run looks at what is new; one that
    was killed goes on. Exit code 1: some images could not be answered; the next run tries again.

    \b
    Examples:
      tagecho caption hoodies
      tagecho caption hoodies --network blip-base --limit 100
      tagecho caption hoodies --report
    """
    from bot.verbs import caption as verb

    settings = prepare(config)
    if report:
        found = verb.report(settings, dataset)
    else:
        found = verb.caption(settings, dataset, network, limit=limit, again=again)
    if json:
        print_json(found.as_dict())
    elif report:
        echo("\n".join(verb.table(found.figures)) or "nothing could be measured")
    for problem in (*found.unreadable, *found.failed):
        complain(problem)
    if not report:
        say(
            f"{found.images} images: {found.captioned} answered now by "
            f"{found.version or found.network}, {found.tagged} of them with tags, "
            f"{found.before} answered before, {found.left} left"
        )
    if found.unreadable or found.failed:
        raise typer.Exit(1)


@app.command("list")
def captions_list(
    dataset: Annotated[str, typer.Argument(help="The name of the dataset.")],
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Only those that no person accepted.")
    ] = False,
    limit: Limit = 20,
    config: Config = CONFIG,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List the newest images of a dataset that have words, with who said them.

    \b
    Examples:
      tagecho captions list hoodies --unreviewed
    """
    from bot.verbs.caption import listing

    rows = listing(prepare(config), dataset, unreviewed=unreviewed, limit=limit)
    if print_rows(rows, json=json, csv=csv):
        return
    for row in rows:
        echo(_line(row))


@app.command("accept")
def captions_accept(image: Image, config: Config = CONFIG, json: Json = False) -> None:
    """Accept the words of an image as they are: then replies use the sentence as alt text.

    \b
    Examples:
      tagecho captions accept 12
    """
    _review(image, None, None, "", config, json)


@app.command("write")
def captions_write(
    image: Image,
    sentence: Annotated[
        str | None, typer.Option(help="What is to be seen; empty: no sentence.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A tag in place of the given ones; repeatable.")
    ] = None,
    language: Annotated[str, typer.Option(help="Of the sentence, as in en or pt-BR.")] = "",
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Write the sentence or the tags of an image; what is left out is accepted as it is.

    \b
    Examples:
      tagecho captions write 12 --sentence 'A dog in a red hoodie' --language en
      tagecho captions write 12 --tag dog --tag hoodie
    """
    _review(image, sentence, tag, language, config, json)


@app.command("unreview")
def captions_unreview(image: Image, config: Config = CONFIG) -> None:
    """Take back what a person said of an image; what networks said counts again.

    \b
    Examples:
      tagecho captions unreview 12
    """
    from bot.verbs.caption import take_back

    take_back(prepare(config), image)


def _review(
    image: int,
    sentence: str | None,
    tags: list[str] | None,
    language: str,
    config: Any,
    json: bool,
) -> None:
    from bot.verbs.caption import review

    row = review(prepare(config), image, sentence=sentence, tags=tags, language=language)
    if json:
        print_json(row)
    else:
        echo(_line(row))


def _line(row: dict[str, Any]) -> str:
    text = row["sentence"]
    text = text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
    tags = " ".join(f"#{tag}" for tag, _ in row["tags"])
    by = row["sentence_by"] or row["tags_by"]
    return f"{row['image']}  {text or '(no sentence)'}  {tags}  ({by})"
