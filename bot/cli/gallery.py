"""`tagecho images`: the stored images, and a person's word on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, Limit, prepare, ranges_of
from bot.cli.output import counted, echo, print_json, print_rows, say
from bot.cli.verb import Verbs

WIDTH = 40  # characters of a caption in a line

app = Verbs(no_args_is_help=True, help="Stored images: list, accept, reject.")
Images = Annotated[
    list[str],
    typer.Argument(
        help="The numbers of the images, as `images list` shows them: 7, 10-40. "
        "Of a range, those that are stored."
    ),
]


@app.command("list")
def images_list(
    text: Annotated[str, typer.Argument(help="Words, as `tagecho search` takes them.")] = "",
    hashtag: Annotated[
        list[str] | None, typer.Option(help="Of posts with this hashtag; repeatable.")
    ] = None,
    author: Annotated[str, typer.Option(help="Of this person: NAME or PLATFORM/NAME.")] = "",
    dataset: Annotated[str, typer.Option(help="That tracks of this dataset found.")] = "",
    check: Annotated[
        list[str] | None, typer.Option(help="With this verdict; repeatable.", metavar="CHECK")
    ] = None,
    label: Annotated[
        str, typer.Option(help="Of which people said: accepted, rejected, or unlabelled.")
    ] = "",
    doubt: Annotated[
        float | None, typer.Option(min=0, max=1, help="A hashtag fits at most so probably.")
    ] = None,
    limit: Limit = 50,
    config: Config = CONFIG,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List stored images with their verdicts and what people said of them, newest first.

    \b
    Examples:
      tagecho images list --check blur --label unlabelled
      tagecho images list sunset --hashtag beach --csv
    """
    from bot.verbs.gallery import listing
    from bot.verbs.search import SearchQuery

    wanted = SearchQuery(
        text=text,
        hashtags=tuple(hashtag or ()),
        author=author,
        dataset=dataset,
        checks=tuple(check or ()),
        label=label,
        doubt=doubt,
    )
    rows = listing(prepare(config), wanted, limit)
    printed = print_rows(rows, json=json, csv=csv)
    for row in [] if printed else rows:
        echo(_line(row))
    if not rows:
        say("no images")


def _line(row: dict[str, Any]) -> str:
    words = " ".join(row["caption"].split())
    words = words if len(words) <= WIDTH else f"{words[: WIDTH - 1]}…"
    judged = " ".join([row["label"], *row["verdicts"]]).strip() or "-"
    when = f"{row['taken_at']:%Y-%m-%d}"
    return f"{row['media']:>7}  post {row['post']:<7} {when}  @{row['author']}  {judged}  {words}"


@app.command("accept")
def images_accept(images: Images, config: Config = CONFIG, json: Json = False) -> None:
    """Accept images: they have no verdict from now on, whatever was measured.

    \b
    Examples:
      tagecho images accept 17 20-25
    """
    _say(config, images, True, "", json)


@app.command("reject")
def images_reject(
    images: Images,
    why: Annotated[str, typer.Option(help="The reason; the verdict says it.")] = "",
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Reject images: datasets and training leave them out (verdict `rejected`).

    \b
    Examples:
      tagecho images reject 18 --why "a toy"
    """
    _say(config, images, False, why, json)


@app.command("undo")
def images_undo(images: Images, config: Config = CONFIG, json: Json = False) -> None:
    """Take back what a person said of images: what was measured counts again.

    \b
    Examples:
      tagecho images undo 18
    """
    _say(config, images, None, "", json)


def _say(config: Path, images: list[str], accepted: bool | None, why: str, json: bool) -> None:
    from bot.verbs.gallery import say_of_images

    said, missing = say_of_images(prepare(config), ranges_of(images), accepted, why)
    if json:
        print_json({"images": said, "left_out": missing})
    word = {True: "accepted", False: "rejected", None: "taken back"}[accepted]
    left = f"; {counted(missing, 'number')} of no stored image left out" if missing else ""
    say(f"{word}: {counted(len(said), 'image')}{left}")
