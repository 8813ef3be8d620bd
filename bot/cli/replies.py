"""`tagecho replies`: list and show replies, and a person's word on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.common import (
    CONFIG,
    By,
    Chosen,
    Config,
    Csv,
    InState,
    Json,
    Limit,
    Numbers,
    prepare,
    ranges_of,
)
from bot.cli.output import counted, echo, print_json, print_rows, say
from bot.cli.spans import brief
from bot.cli.verb import Verbs
from bot.core.errors import NothingToDo, UsageError

Why = Annotated[str, typer.Option(help="The reason; the history of the reply keeps it.")]

app = Verbs(no_args_is_help=True, help="Replies: list, show, and decide on them.")


@app.command("list")
def replies_list(
    state: InState = None,
    author: By = None,
    limit: Limit = 50,
    config: Config = CONFIG,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List the latest replies, newest first.

    \b
    Examples:
      tagecho replies list --state awaiting_approval
      tagecho replies list --author some.name --limit 500
    """
    from bot.core.clock import utc_now
    from bot.verbs.replies import Asked, reply_rows

    rows, total = reply_rows(prepare(config), Asked((), state, author), limit)
    printed = print_rows(rows, json=json, csv=csv)
    if rows and not printed:
        echo(
            f"{'number':>6}  {'state':<17}  {'age':>6}  {'author':<16}  {'style':<9}  "
            f"{'trigger':<8}  conf"
        )
        for row in rows:
            for line in _row(row, utc_now()):
                echo(line)
    if total > len(rows):
        say(f"{len(rows)} of {total}: --limit {total} lists all")
    elif not rows and not printed:
        say("no replies" if state is None else f"no replies in state {state}")


def _row(row: dict[str, Any], now: datetime) -> Iterator[str]:
    """A line of 80 columns, and one below it where something is to be said."""
    conf = "" if row["confidence"] is None else f"{row['confidence']:.2f}"
    author = _cut(row["author"], 16)
    yield (
        f"{row['id']:>6}  {row['state']:<17}  {brief(now - row['created']):>6}  {author:<16}  "
        f"{row['style']:<9}  {row['trigger']:<8}  {conf}"
    ).rstrip()
    if row["reason"] and row["state"] not in ("awaiting_approval", "sent"):
        yield f"        {row['reason']}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


@app.command("show")
def replies_show(
    reply: Annotated[
        int, typer.Argument(help="The number of the reply, as `replies list` shows it.")
    ],
    files: Annotated[
        Path | None,
        typer.Option(help="Write its pictures into this folder, with extensions.", file_okay=False),
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Show one reply: its steps, its history and its files.

    In the data folder pictures have no extension: `--files` writes them as 17-before.jpg,
    17-mask.png and 17-after.jpg, and shows these paths.

    \b
    Examples:
      tagecho replies show 17
      tagecho replies show 17 --files look/
    """
    from bot.verbs.replies import reply_details, write_pictures

    settings = prepare(config)
    details = reply_details(settings, reply)
    if files is not None:
        written = write_pictures(settings, reply, files)
        details |= {name: str(path) for name, path in written.items()}
    if json:
        print_json(details)
        return
    for line in _lines(details):
        echo(line)


def _lines(details: dict[str, Any]) -> Iterator[str]:
    """For people: what is known, one fact a line; what is empty is left out."""
    lists = {key: value for key, value in details.items() if isinstance(value, list)}
    for key, value in details.items():
        if key not in lists and value not in ("", None):
            yield f"{key.replace('_', ' ') + ':':<14}{_words(value)}"
    for key, items in lists.items():
        yield f"{key}:"
        for item in items:
            yield "  " + "  ".join(_words(v) for v in item.values() if v not in ("", None, [], {}))


def _words(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value)


@app.command("approve")
def replies_approve(
    replies: Chosen = None, state: InState = None, author: By = None, config: Config = CONFIG
) -> None:
    """Approve replies, so that the service sends them.

    A reply in state `unknown` is sent again, and only if its number or state is named: look on the
    network first that it is not there.

    \b
    Examples:
      tagecho replies approve 17 20-25
      tagecho replies approve --state awaiting_approval --author some.name
    """
    _settle(config, "approve", replies, state, author)


@app.command("reject")
def replies_reject(
    replies: Chosen = None,
    state: InState = None,
    author: By = None,
    why: Why = "",
    config: Config = CONFIG,
) -> None:
    """Reject replies, so that they are never sent.

    \b
    Examples:
      tagecho replies reject 18 --why "too dark"
      tagecho replies reject --state awaiting_approval --author some.name
    """
    _settle(config, "reject", replies, state, author, why)


@app.command("redo")
def replies_redo(
    replies: Chosen = None,
    style: Annotated[str, typer.Option(help="The style to make them in.")] = "",
    text: Annotated[
        str | None,
        typer.Option(help="Their caption, in place of the one of [replies]; '': that one."),
    ] = None,
    state: InState = None,
    author: By = None,
    config: Config = CONFIG,
) -> None:
    """Make replies again in another style or text. They need a new approval, and keep their time.

    \b
    Examples:
      tagecho replies redo 18 --style poster
      tagecho replies redo 18 --style poster --text "Look at this, @{author}"
    """
    from models.compose.styles import styles

    if style not in styles():
        said = f"no style {style!r}" if style else "say the style"
        raise UsageError(f"{said}: --style {' | '.join(styles())}")
    _settle(config, "redo", replies, state, author, style, text)


@app.command("cancel")
def replies_cancel(
    replies: Chosen = None,
    state: InState = None,
    author: By = None,
    why: Why = "",
    config: Config = CONFIG,
) -> None:
    """Cancel replies, made already or not, so that their posts get none.

    \b
    Examples:
      tagecho replies cancel 19
      tagecho replies cancel --state queued --author some.name
    """
    _settle(config, "cancel", replies, state, author, why)


@app.command("retry")
def replies_retry(
    replies: Chosen = None, state: InState = None, author: By = None, config: Config = CONFIG
) -> None:
    """Try replies that failed again, unless people see a part of them.

    \b
    Examples:
      tagecho replies retry 22
      tagecho replies retry --state failed
    """
    _settle(config, "retry", replies, state, author)


@app.command("undo")
def replies_undo(replies: Numbers, config: Config = CONFIG) -> None:
    """Take back an approval or a rejection of yours, unless the reply was begun to be sent.

    \b
    Examples:
      tagecho replies undo 18
    """
    _settle(config, "undo", replies, None, None)


@app.command("confirm")
def replies_confirm(replies: Numbers, config: Config = CONFIG) -> None:
    """Confirm that replies in state `unknown` were sent, because you see them on the network.

    \b
    Examples:
      tagecho replies confirm 21
    """
    _settle(config, "confirm", replies, None, None)


def _settle(
    config: Path,
    verb: str,
    numbers: list[str] | None,
    state: str | None,
    author: str | None,
    what: str = "",
    text: str | None = None,
) -> None:
    from bot.verbs.replies import Asked, settle

    asked = Asked(ranges_of(numbers or []), state, author)
    settled = settle(prepare(config), asked, verb, what, text)
    for reply, now in settled.moved:
        say(f"reply {reply}: {now}")
    left = [f"{n} {old.replace('_', ' ') or 'not there'}" for old, n in settled.left_out.items()]
    if left:
        say(f"left out: {', '.join(left)}")
    if not settled.moved:
        raise NothingToDo(f"there is nothing to {verb}")


@app.command("html")
def replies_html(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    state: InState = None,
    author: By = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Show at most so many; the pictures of more are smaller.")
    ] = 200,
    config: Config = CONFIG,
) -> None:
    """Write a page with the original, the mask and the image of every reply.

    What waits for you comes first, what has no picture yet comes last.

    \b
    Examples:
      tagecho replies html replies.html
      tagecho replies html waiting.html --state awaiting_approval --limit 500
    """
    from bot.verbs.replies import Asked, write_page_of

    asked = Asked((), state, author)
    shown, total = write_page_of(prepare(config), file, limit, asked=asked)
    if shown < total:
        say(f"wrote {shown} of {total} replies to {file}: --limit {total} writes all")
    else:
        say(f"wrote {counted(shown, 'reply')} to {file}")
