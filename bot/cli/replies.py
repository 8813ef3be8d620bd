"""`tagecho replies`: list, show, approve, reject and confirm replies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Json, Limit, Numbers, numbers_of, prepare
from bot.cli.output import counted, echo, print_json, say
from bot.cli.verb import Verbs

app = Verbs(no_args_is_help=True, help="Replies: list, show, approve, reject, confirm.")


@app.command("list")
def replies_list(
    state: Annotated[str | None, typer.Option(help="Show only replies in this state.")] = None,
    limit: Limit = 50,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """List the latest replies, newest first.

    \b
    Examples:
      tagecho replies list --state awaiting_approval
    """
    from bot.verbs.replies import reply_rows

    rows = reply_rows(prepare(config), state, limit)
    if json:
        print_json(rows)
        return
    if not rows:
        say("no replies" if state is None else f"no replies in state {state}")
        return
    echo(f"{'number':>6}  {'state':<18} source  reason")
    for row in rows:
        echo(f"{row['id']:>6}  {row['state']:<18} {row['source_url']}  {row['reason']}")


@app.command("show")
def replies_show(
    reply: Annotated[
        int, typer.Argument(help="The number of the reply, as `replies list` shows it.")
    ],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Show one reply: its steps, its history and its files.

    \b
    Examples:
      tagecho replies show 17
    """
    from bot.verbs.replies import reply_details

    details = reply_details(prepare(config), reply)
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
def replies_approve(replies: Numbers, config: Config = CONFIG) -> None:
    """Approve replies, so that the service sends them.

    A reply in state `unknown` is sent again: look on the network first that it is not there.

    \b
    Examples:
      tagecho replies approve 17 20-25
    """
    from bot.verbs.replies import settle

    for reply, state in settle(prepare(config), numbers_of(replies), "approve"):
        say(f"reply {reply}: {state}")


@app.command("reject")
def replies_reject(
    replies: Numbers,
    why: Annotated[str, typer.Option(help="The reason; the history of the reply keeps it.")] = "",
    config: Config = CONFIG,
) -> None:
    """Reject replies, so that they are never sent.

    \b
    Examples:
      tagecho replies reject 20 --why 'too dark'
    """
    from bot.verbs.replies import settle

    for reply, state in settle(prepare(config), numbers_of(replies), "reject", why):
        say(f"reply {reply}: {state}")


@app.command("confirm")
def replies_confirm(replies: Numbers, config: Config = CONFIG) -> None:
    """Confirm that replies in state `unknown` were sent, because you see them on the network.

    \b
    Examples:
      tagecho replies confirm 21
    """
    from bot.verbs.replies import settle

    for reply, state in settle(prepare(config), numbers_of(replies), "confirm"):
        say(f"reply {reply}: {state}")


@app.command("html")
def replies_html(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    limit: Limit = 200,
    config: Config = CONFIG,
) -> None:
    """Write a page with the original, the mask and the image of every reply.

    \b
    Examples:
      tagecho replies html replies.html
    """
    from bot.verbs.replies import write_page_of

    count = write_page_of(prepare(config), file, limit)
    say(f"wrote {counted(count, 'reply')} to {file}")
