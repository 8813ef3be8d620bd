"""`tagecho replies`: the reply log, and approval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, Limit, Numbers, prepare
from bot.cli.output import echo, print_json, say

app = typer.Typer(no_args_is_help=True, help="The reply log, and approval.")


@app.command("list")
def replies_list(
    state: Annotated[str | None, typer.Option(help="Only this state.")] = None,
    limit: Limit = 50,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """The latest replies, newest first."""
    from bot.verbs.replies import reply_rows

    rows = reply_rows(prepare(config), state, limit)
    if json:
        print_json(rows)
        return
    if not rows:
        say("no replies" if state is None else f"no replies that are {state}")
        return
    echo(f"{'number':>6}  {'state':<18} source  reason")
    for row in rows:
        echo(f"{row['id']:>6}  {row['state']:<18} {row['source_url']}  {row['reason']}")


@app.command("show")
def replies_show(
    reply: Annotated[int, typer.Argument(help="Its number in the list.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """One reply: its steps, its history, its files."""
    from bot.verbs.replies import reply_details

    details = reply_details(prepare(config), reply)
    if json:
        print_json(details)
        return
    for key, value in details.items():
        if isinstance(value, list):
            echo(f"{key}:")
            for item in value:
                echo("  " + "  ".join(f"{k}={v}" for k, v in item.items() if v not in ("", None)))
        else:
            echo(f"{key}: {value}")


@app.command("approve")
def replies_approve(replies: Numbers, config: Config = CONFIG) -> None:
    """Let replies go out. One of unknown outcome is sent again: look first that it is not there."""
    from bot.verbs.replies import settle

    for reply, state in settle(prepare(config), replies, "approve"):
        say(f"reply {reply}: {state}")


@app.command("reject")
def replies_reject(
    replies: Numbers,
    why: Annotated[str, typer.Option(help="Kept in the log.")] = "",
    config: Config = CONFIG,
) -> None:
    """Replies that must not go out."""
    from bot.verbs.replies import settle

    for reply, state in settle(prepare(config), replies, "reject", why):
        say(f"reply {reply}: {state}")


@app.command("confirm")
def replies_confirm(replies: Numbers, config: Config = CONFIG) -> None:
    """Replies of unknown outcome that you saw on the network: they were sent."""
    from bot.verbs.replies import settle

    for reply, state in settle(prepare(config), replies, "confirm"):
        say(f"reply {reply}: {state}")


@app.command("html")
def replies_html(
    file: Annotated[Path, typer.Argument(help="Where to write the page.")],
    limit: Limit = 200,
    config: Config = CONFIG,
) -> None:
    """A page with before, mask and after of every reply."""
    from bot.verbs.replies import write_page_of

    count = write_page_of(prepare(config), file, limit)
    say(f"wrote {count} replies to {file}")
