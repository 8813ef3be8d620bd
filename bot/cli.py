"""The command line: verbs only, the work is behind them. Heavy imports stand inside the commands.

Data goes to stdout, messages to stderr. Exit codes are those of `bot.errors`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.errors import TagechoError, UsageError

app = typer.Typer(
    name="tagecho",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Listen to hashtags and profiles, build a dataset, answer with an image.

    \b
    tagecho demo     a whole network on this machine, replies in a minute
    tagecho check    is config.toml right?
    tagecho run      the service itself
    """,
)
track_app = typer.Typer(no_args_is_help=True, help="The tracked hashtags and profiles.")
replies_app = typer.Typer(no_args_is_help=True, help="The reply log, and approval.")
app.add_typer(track_app, name="track")
app.add_typer(replies_app, name="replies")
models_app = typer.Typer(no_args_is_help=True, help="The networks: which, whole, how good.")
labels_app = typer.Typer(no_args_is_help=True, help="How well hashtags fit their images.")
app.add_typer(models_app, name="models")
app.add_typer(labels_app, name="labels")

Config = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", envvar="TAGECHO_CONFIG")
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many, the newest.")]
Numbers = Annotated[list[int], typer.Argument(help="Their numbers in the list.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
CONFIG = Path("config.toml")


@app.command()
def run(config: Config = CONFIG) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    from bot.daemon import Daemon

    settings = _load(config)
    _log(settings, settings.log.level, settings.data.dir / "logs")
    Daemon(config, settings).run()


@app.command()
def demo(
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="Stop by itself after so many seconds.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=50, help="New posts a second.")] = 1.0,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where it keeps everything; emptied at the start.")
    ] = Path("data/demo"),
    json: Json = False,
) -> None:
    """A loopback Instagram with people who post, the service, and the replies it makes."""
    from bot.demo import demo as start

    _stop_on_sigterm()
    start(folder, seconds=seconds, rate=rate, as_json=json)


@app.command()
def rehearse(
    config: Config = CONFIG,
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="Stop by itself after so many seconds.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=50, help="New posts a second.")] = 1.0,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where it keeps everything; emptied at the start.")
    ] = Path("data/rehearsal"),
    approve: Annotated[
        bool, typer.Option("--approve", help="Play the person who approves every reply.")
    ] = False,
    json: Json = False,
) -> None:
    """Your own configuration against the loopback Instagram: nothing reaches the real one."""
    from bot.demo import rehearse as start

    _load(config)
    _stop_on_sigterm()
    start(config, folder, seconds=seconds, rate=rate, approve=approve, as_json=json)


@app.command()
def check(config: Config = CONFIG, json: Json = False) -> None:
    """Is the configuration right? Names file, line and key of what is not."""
    settings = _load(config)
    if json:
        _print_json(
            {
                "config": str(config),
                "accounts": list(settings.accounts),
                "tracks": [track.key for track in settings.tracks],
            }
        )
    else:
        tracks = len(settings.tracks)
        _say(f"{config}: fine ({len(settings.accounts)} accounts, {tracks} tracks)")


@app.command()
def doctor(config: Config = CONFIG, json: Json = False) -> None:
    """Look at configuration, disk, database, session, weights, clock and package identity."""
    from bot.doctor import examine

    findings = examine(config)
    if json:
        _print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            print(f"{finding.mark} {finding.topic}: {finding.text}")
    worst = max((f.exit_code for f in findings if not f.fine), default=0)
    raise typer.Exit(worst)


@track_app.command("list")
def track_list(config: Config = CONFIG, json: Json = False) -> None:
    """Tracks and their health."""
    from bot.status import track_rows

    rows = track_rows(_prepare(config))
    if json:
        _print_json(rows)
        return
    for row in rows:
        print(f"{row['track']}  every {row['every']}  {row['health']}")


@track_app.command("add")
def track_add(
    target: Annotated[str, typer.Argument(help="'#hashtag' or '@profile'.")],
    account: Annotated[str | None, typer.Option(help="Which account listens.")] = None,
    every: Annotated[str, typer.Option(help="How often, as in 15m.")] = "15m",
    dataset: Annotated[str | None, typer.Option(help="Its dataset; default: the name.")] = None,
    reply: Annotated[str | None, typer.Option(help="A style: its posts become triggers.")] = None,
    config: Config = CONFIG,
) -> None:
    """Add a track to the file, keeping its comments. A running service adopts it."""
    from bot.config import STYLES
    from bot.config.tracks import add_track

    kind, name = _target(target)
    add_track(
        config,
        kind,
        name,
        account=account,
        every=every,
        dataset=dataset,
        reply=reply,
        styles=STYLES,
    )
    _say(f"added {target} to {config}")


@track_app.command("remove")
def track_remove(
    target: Annotated[str, typer.Argument(help="'#hashtag' or '@profile'.")],
    account: Annotated[str | None, typer.Option(help="Whose track.")] = None,
    config: Config = CONFIG,
) -> None:
    """Take a track out of the file. What it collected stays."""
    from bot.config.tracks import remove_track

    kind, name = _target(target)
    remove_track(config, kind, name, account=account)
    _say(f"removed {target} from {config}")


@replies_app.command("list")
def replies_list(
    state: Annotated[str | None, typer.Option(help="Only this state.")] = None,
    limit: Limit = 50,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """The latest replies, newest first."""
    from bot.status import reply_rows

    rows = reply_rows(_prepare(config), state, limit)
    if json:
        _print_json(rows)
        return
    if not rows:
        _say("no replies" if state is None else f"no replies that are {state}")
        return
    print(f"{'number':>6}  {'state':<18} source  reason")
    for row in rows:
        print(f"{row['id']:>6}  {row['state']:<18} {row['source_url']}  {row['reason']}")


@replies_app.command("show")
def replies_show(
    reply: Annotated[int, typer.Argument(help="Its number in the list.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """One reply: its steps, its history, its files."""
    from bot.status import reply_details

    details = reply_details(_prepare(config), reply)
    if json:
        _print_json(details)
        return
    for key, value in details.items():
        if isinstance(value, list):
            print(f"{key}:")
            for item in value:
                print("  " + "  ".join(f"{k}={v}" for k, v in item.items() if v not in ("", None)))
        else:
            print(f"{key}: {value}")


@replies_app.command("approve")
def replies_approve(replies: Numbers, config: Config = CONFIG) -> None:
    """Let replies go out. One of unknown outcome is sent again: look first that it is not there."""
    from bot.status import settle

    for reply, state in settle(_prepare(config), replies, "approve"):
        _say(f"reply {reply}: {state}")


@replies_app.command("reject")
def replies_reject(
    replies: Numbers,
    why: Annotated[str, typer.Option(help="Kept in the log.")] = "",
    config: Config = CONFIG,
) -> None:
    """Replies that must not go out."""
    from bot.status import settle

    for reply, state in settle(_prepare(config), replies, "reject", why):
        _say(f"reply {reply}: {state}")


@replies_app.command("confirm")
def replies_confirm(replies: Numbers, config: Config = CONFIG) -> None:
    """Replies of unknown outcome that you saw on the network: they were sent."""
    from bot.status import settle

    for reply, state in settle(_prepare(config), replies, "confirm"):
        _say(f"reply {reply}: {state}")


@replies_app.command("html")
def replies_html(
    file: Annotated[Path, typer.Argument(help="Where to write the page.")],
    limit: Limit = 200,
    config: Config = CONFIG,
) -> None:
    """A page with before, mask and after of every reply."""
    from bot.status import write_page_of

    count = write_page_of(_prepare(config), file, limit)
    _say(f"wrote {count} replies to {file}")


@app.command()
def pause(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    config: Config = CONFIG,
) -> None:
    """The kill switch: nothing is published until `resume`. Collecting goes on."""
    from bot.status import switch_pause

    switch_pause(_prepare(config), account, on=True)
    _say("paused: nothing will be published")


@app.command()
def resume(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also end the pauses that the platform asked for.")
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Publish again, and close the circuit breakers that waited for a person."""
    from bot.status import switch_pause

    switch_pause(_prepare(config), account, on=False, force=force)
    _say("resumed")


@app.command()
def login(
    account: Annotated[
        str | None, typer.Argument(help="Which account; default: the only one.")
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Log in once and keep the session."""
    from bot.app import App

    settings = _prepare(config)
    name = account or _only_account(settings)
    service = App(settings)
    with service.lock(name):
        service.gate(name).resume()  # whoever types this has looked at the account
        platform = service.platform(name)
        me = platform.login()
        platform.close()
    service.close()
    _say(f"logged in as {me.username} ({me.user_id})")


@app.command()
def forget(
    person: Annotated[str, typer.Argument(help="PLATFORM/USER: user name or user id.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Remove everything of a person and keep them out."""
    from bot.flow.forget import forget as run_forget
    from bot.status import opened

    platform, _, user = person.partition("/")
    if not platform or not user:
        raise UsageError("name a person as PLATFORM/USER, for example instagram/somebody")
    with opened(_prepare(config)) as service:
        counts = run_forget(service, platform, user.removeprefix("@"))
    if json:
        _print_json(counts)
    else:
        _say("forgot " + ", ".join(f"{n} {what}" for what, n in counts.items()))


Paths = Annotated[list[Path], typer.Argument(help="Image files or folders.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
Networks = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Whose [models] and [limits]; default: config.toml."),
]


@app.command()
def upscale(
    paths: Paths,
    out: Out,
    scale: Annotated[int, typer.Option(help="2 or 4.")] = 4,
    config: Networks = None,
) -> None:
    """Enlarge images; writes NAME.png."""
    from bot import files

    if scale not in (2, 4):
        raise UsageError("--scale is 2 or 4")
    _finish(files.upscale(paths, out, scale, _models(config)))


@app.command()
def segment(paths: Paths, out: Out, config: Networks = None) -> None:
    """Find the main object; writes NAME.png, 0 or 255, of the input's size."""
    from bot import files

    _finish(files.segment(paths, out, _models(config)))


@app.command()
def compose(
    paths: Paths,
    out: Out,
    style: Annotated[str, typer.Option(help="One of the overlay styles.")] = "tint",
    seed: Annotated[int, typer.Option(help="Another number, another variant.")] = 0,
    config: Networks = None,
) -> None:
    """Super-resolve, segment and overlay; writes NAME.jpg as a reply would be."""
    from bot import files

    _finish(files.compose(paths, out, style, seed, _models(config)))


@models_app.command("list")
def models_list(config: Networks = None, json: Json = False) -> None:
    """The shipped networks: stage, licence, size, and which are in service."""
    from bot.weights import listing

    rows = listing(_models(config))
    if json:
        _print_json(rows)
        return
    for row in rows:
        serves = "in service" if row["in_service"] else ""
        size = f"{row['bytes'] / 1e6:.1f} MB"
        print(
            f"{row['name']:<12} {row['stage']:<10} {row['licence']:<12} {size:>8}  "
            f"{row['sha256'][:12]}  {serves}"
        )


@models_app.command("verify")
def models_verify(config: Networks = None, json: Json = False) -> None:
    """Are the weights in service what was shipped? Exit code 7 when one is damaged."""
    from bot.errors import ModelError
    from bot.weights import verify

    rows = verify(_models(config))
    if json:
        _print_json(rows)
    else:
        for row in rows:
            print(
                f"{'FAIL' if row['problem'] else 'ok  '} {row['name']}  {row['problem']}".rstrip()
            )
    if any(row["problem"] for row in rows):
        raise typer.Exit(ModelError.exit_code)


@models_app.command("evaluate")
def models_evaluate(
    masks: Annotated[
        Path | None, typer.Option(help="A folder with photos/ID.jpg and labels/ID.png.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Lines of id, author, hashtag; photos/ beside the file.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many photos of each.")
    ] = None,
    selection: Annotated[
        bool, typer.Option("--selection", help="The 100 masks for choosing, not for reporting.")
    ] = False,
    config: Networks = None,
    json: Json = False,
) -> None:
    """How good the networks in service are: masks, and finding hashtags that do not fit."""
    from bot.evaluate import evaluate, table

    found = evaluate(_models(config), masks, labels, limit=limit, selection=selection)
    if json:
        _print_json(found.as_dict())
    else:
        print("\n".join(table(found)))


@labels_app.command("score")
def labels_score(config: Config = CONFIG, json: Json = False) -> None:
    """How probable it is that each hashtag fits its post; a second run computes what is new."""
    from bot.labels import score

    summary = score(_prepare(config))
    if json:
        _print_json(summary.as_dict())
    else:
        for row in summary.least_likely:
            print(f"{row['probability']:.3f}  #{row['hashtag']}  {row['url']}")
    for problem in summary.unreadable:
        _say(problem)
    _say(
        f"{summary.scores} scores of {summary.hashtags} hashtags on {summary.posts} posts by "
        f"{summary.model}; {summary.embedded} of {summary.images} images were new"
    )
    if summary.unreadable:
        raise typer.Exit(1)


def main() -> None:
    """Entry point: turns our errors into a line on stderr and their exit code."""
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()  # a reader that went away is noticed here, not after the last line
    except TagechoError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Python flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _stop_on_sigterm() -> None:
    """Like Ctrl-C: with a report, and without leaving the two other processes behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _load(path: Path) -> Any:
    from bot import config

    return config.load(path, styles=config.STYLES)


def _models(path: Path | None) -> Any:
    """Settings for the image verbs: the named file, else ./config.toml, else the defaults."""
    from bot.config import Settings

    if path is None and not CONFIG.exists():
        return Settings()
    return _load(path or CONFIG)


def _prepare(path: Path) -> Any:
    """Settings for a verb that opens the database: what it logs goes to stderr."""
    settings = _load(path)
    _log(settings, "warning")
    return settings


def _log(settings: Any, level: str, folder: Path | None = None) -> None:
    from bot.app import secrets_of
    from bot.observe import configure_logs

    configure_logs(level, settings.log.format, secrets=secrets_of(settings), folder=folder)


def _target(text: str) -> tuple[Any, str]:
    from bot.events import TrackKind

    if text.startswith("#"):
        return TrackKind.HASHTAG, text[1:]
    if text.startswith("@"):
        return TrackKind.PROFILE, text[1:]
    raise UsageError(f"{text!r}: write '#name' for a hashtag or '@name' for a profile")


def _only_account(settings: Any) -> str:
    names = list(settings.accounts)
    if len(names) != 1:
        raise UsageError(f"say which account: --account {' | '.join(names) or '(none configured)'}")
    return str(names[0])


def _finish(report: Any) -> None:
    """Say what was written and fail when anything was not."""
    for path in report.written:
        print(path)
    for path, why in report.failed:
        _say(f"{path}: {why}")
    if report.failed:
        raise typer.Exit(1)


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
