"""`tagecho search`: find collected posts by words, by an image, by filters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, Limit, day, prepare
from bot.cli.output import complain, counted, echo, print_json, print_rows, say
from bot.core.errors import UsageError

WIDTH = 60  # characters of a caption in a line


def search(
    text: Annotated[
        str,
        typer.Argument(help='Words, "a phrase", word*, #tag, -without. The post has all of them.'),
    ] = "",
    image: Annotated[
        Path | None, typer.Option(help="Find images similar to this one, most similar first.")
    ] = None,
    hashtag: Annotated[
        list[str] | None, typer.Option(help="Posts with this hashtag; repeatable.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="With an image that got this tag (caption); repeatable."),
    ] = None,
    author: Annotated[str, typer.Option(help="Posts of this person: NAME or PLATFORM/NAME.")] = "",
    platform: Annotated[str, typer.Option(help="Posts of this platform.")] = "",
    dataset: Annotated[str, typer.Option(help="Posts that tracks of this dataset found.")] = "",
    since: Annotated[str, typer.Option(help="Posted on or after this day, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Posted before this day, UTC.")] = "",
    fit: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Hashtags fit with at least this probability (labels score)."
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Both sides have at least so many pixels.")
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Only images without any verdict (curate).")
    ] = False,
    best: Annotated[
        bool, typer.Option("--best", help="Show the best match first, not the newest.")
    ] = False,
    by: Annotated[
        str,
        typer.Option(
            help="Look for the words in images, too: embedded (words that were learned here), "
            "siglip2-base (pulled), or text: not at all."
        ),
    ] = "embedded",
    why: Annotated[
        bool, typer.Option("--why", help="Show the place of each post in every ranking.")
    ] = False,
    limit: Limit = 20,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Build both indexes again; compute missing vectors; learn the words.",
        ),
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Find collected posts by words, by an image and by filters, newest first.

    A post matches if it has all words, in its caption, hashtags, author's names, place or datasets,
    or in a sentence or tag of its images (caption). Once words were learned (`--rebuild`, caption),
    they are looked for in the images as well, and both rankings are fused: best first, and what
    nobody wrote about is found. `--why` and JSON say why a post is there.
    Upper and lower case, full and half width are the same. `word*` needs two characters at least.
    Scripts without spaces are found by any part of a word. `--best` sorts the 10,000 newest
    matches. No query is an error. `--image` leaves out images that are no more similar than two
    random ones.

    \b
    Examples:
      tagecho search 'sunset -rain' --since 2026-01-01
      tagecho search 'red hoodie on grass' --why
      tagecho search --image photo.jpg --hashtag sunset
    """
    from bot.verbs.search import SearchQuery, find, settle

    if rebuild:
        _rebuild(config, json, by)
        return
    wanted = SearchQuery(
        text=text,
        image=image,
        hashtags=tuple(hashtag or ()),
        tags=tuple(tag or ()),
        author=author,
        platform=platform,
        dataset=dataset,
        since=day(since, "--since"),
        until=day(until, "--until"),
        fit=fit,
        size=size,
        clean=clean,
        limit=limit,
        best=best,
        by=by,
    )
    if wanted == SearchQuery(limit=limit, best=best, by=by):
        raise UsageError("give words, --image or a filter")
    settings = prepare(config)
    found = find(settings, wanted)
    printed = print_rows(found.rows, json=json, csv=csv)
    for row in [] if printed else found.rows:
        echo(_line(row, scored=image is not None))
        if why and "why" in row:
            echo(_reason(row["why"]))
    for remark in found.remarks:
        say(remark)
    if not found.rows:
        say("nothing found")
    if image is not None and settle(settings):
        say("built an index of the vectors for the next search")


def _rebuild(config: Path, json: bool, by: str) -> None:
    from dataclasses import asdict

    from bot.verbs.search import rebuild

    done = rebuild(prepare(config), by)
    if json:
        print_json(asdict(done))
    for problem in done.unreadable:
        complain(problem)
    say(
        f"{counted(done.posts, 'post')} and {counted(done.images, 'image')} indexed; "
        f"{counted(done.embedded, 'vector')} new"
    )
    if done.unreadable:
        raise typer.Exit(1)


def _reason(why: dict[str, Any]) -> str:
    words = " ".join(why["words"])
    text, seen = why["text_rank"], why["seen_rank"]
    parts = [f"texts: {text or 'not found'}"]
    parts += [f"images: {seen} by {words} ({why['seen_score']})" if seen else "images: not found"]
    return f"    {', '.join(parts)}"


def _line(row: dict[str, Any], scored: bool) -> str:
    caption = " ".join(row["caption"].split())
    caption = caption if len(caption) <= WIDTH else caption[: WIDTH - 1] + "…"
    score = f"{row['score']:.3f}  " if scored else ""
    when = f"{row['taken_at']:%Y-%m-%d %H:%M}"
    gone = "  (deleted at the source)" if row["deleted_at"] else ""
    return f"{score}{when}  @{row['author']}  {row['url']}  {caption}{gone}"
