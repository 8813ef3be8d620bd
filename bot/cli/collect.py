"""`tagecho collect` and `tagecho suggest`: collect older posts; suggest what to collect."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, day, only_account, prepare
from bot.cli.output import complain, echo, print_json, print_rows, say
from bot.cli.tracks import label, target_of
from bot.core.errors import TagechoError, UsageError

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.service.collecting import Target
    from bot.verbs.collect import Wish


def collect(
    targets: Annotated[
        list[str] | None, typer.Argument(help="'#hashtag' or '@profile'; several of them.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="A file with one target a line; - for standard input."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Stop when so many posts of a target are stored.")
    ] = None,
    since: Annotated[str, typer.Option(help="Collect nothing older: 2026-01-31.")] = "",
    where: Annotated[
        str,
        typer.Option(help="Store only posts that match: 'likes >= 10 and \"cap\" in hashtags'."),
    ] = "",
    comments: Annotated[int, typer.Option(min=0, help="Also store so many comments per post.")] = 0,
    account: Annotated[str | None, typer.Option(help="The account that reads.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The dataset of the posts; default: the name.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until the running service is done.")
    ] = True,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Collect hashtags or profiles backwards in time. Run it again to continue or to update.

    A service that runs is asked to do it, between its other work.

    `--where` compares `author`, `caption`, `comments`, `hashtags`, `images`, `likes`, `mentions`,
    `pinned`, `place`, `taken` and `url` by `== != < <= > >= in not in`, joined by `and or not`. A
    value that the post does not show, such as hidden likes, never matches.

    \b
    Examples:
      tagecho collect '#hoodie' --limit 2000
      tagecho collect @some.name '#beanie' --since 2026-01-01
      tagecho collect --from targets.txt --no-wait
    """
    from bot.config.tracks import target_name
    from bot.dataset.lookup import check_name
    from bot.service.collecting import Target
    from bot.verbs.collect import Wish

    said = [target_of(text) for text in [*(targets or []), *_lines_of(file)]]
    wanted = [(kind, target_name(kind, name)) for kind, name in said]
    if not wanted:
        raise UsageError("say what to collect: '#hashtag', '@profile', or --from FILE")
    settings = prepare(config)
    if dataset is not None:
        check_name(dataset)
    wish = Wish(limit, day(since, "--since"), where, comments)
    reader = account or only_account(settings)

    def log_in() -> Settings:  # a service that runs needs no secret of ours
        return prepare(config, secrets="all")

    found: list[dict[str, Any]] = []
    codes: list[int] = []
    for kind, name in dict.fromkeys(wanted):
        try:
            target = Target(reader, kind, name, dataset)
            found.append(_collected(settings, target, wish, wait=wait, with_secrets=log_in))
        except TagechoError as error:
            if len(wanted) == 1:
                raise
            complain(f"{label(kind, name)}: {error}")
            codes.append(error.exit_code)
    if json:
        print_json(found[0] if len(wanted) == 1 else found)
    if codes:
        raise typer.Exit(codes[0] if len(set(codes)) == 1 else TagechoError.exit_code)


def _collected(
    settings: Settings,
    target: Target,
    wish: Wish,
    *,
    wait: bool,
    with_secrets: Callable[[], Settings],
) -> dict[str, Any]:
    """One target, and a line about it."""
    from bot.verbs.collect import collect as run

    name = label(target.kind, target.name)
    done = run(settings, target, wish, wait=wait, tell=say, with_secrets=with_secrets)
    if done.request is not None:
        say(f"{name}: the service was asked for it (request {done.request})")
    else:
        n = done.figures
        say(
            f"{name}: {n['listed']} listed, {n['matched']} wanted, {n['new']} new, "
            f"{n['comments']} comments"
        )
    return {"target": name, **done.as_dict()}


def _lines_of(file: Path | None) -> list[str]:
    """The targets of a file. Empty lines and lines that begin with `# ` say nothing."""
    if file is None:
        return []
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"--from {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--from {file}: is not UTF-8 text") from None
    lines = map(str.strip, text.splitlines())
    return [line for line in lines if line and line != "#" and not line.startswith("# ")]


def suggest(
    seeds: Annotated[
        list[str] | None,
        typer.Argument(help="Hashtags to start from; default: those of the tracks."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many of each kind.")] = 10,
    config: Config = CONFIG,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Suggest hashtags and profiles that often appear together with the collected ones.

    \b
    Examples:
      tagecho suggest '#hoodie'
    """
    from bot.verbs.suggest import suggest as find

    found = find(prepare(config), seeds or [], limit)
    rows = [suggestion.as_dict() for suggestion in found]
    if print_rows(rows, json=json, csv=csv):
        return
    for suggestion in found:
        echo(f"{suggestion.score:.3f}  {suggestion.posts:>6}  {suggestion.target}")
