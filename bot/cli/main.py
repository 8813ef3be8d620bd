"""The command line: options and printing; `bot.verbs` does the work.

Heavy imports stand inside the commands, so that `--help` is fast.

Data goes to stdout, messages to stderr. Exit codes are those of `bot.core.errors`.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli import (
    backup,
    caption,
    collect,
    console,
    curate,
    datasets,
    demo,
    doctor,
    forget,
    gallery,
    images,
    init,
    keys,
    label,
    labels,
    learn,
    login,
    masks,
    mine,
    networks,
    notify,
    pause,
    replies,
    run,
    search,
    status,
    tracks,
    watch,
)
from bot.cli.output import complain, echo, give_up_streams, prepare_streams
from bot.cli.verb import HELP, Quiet, Verbose, Verbs, remember
from bot.core.errors import StorageError, TagechoError, UsageError
from bot.core.voice import VOICE

# What a disk or its rights may answer to anybody; every other OSError is a mistake of ours.
DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR}
    | {errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.EFBIG}
    | {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EBUSY, errno.EADDRINUSE}
)


def show_version(wanted: bool) -> None:
    """Print it and end, without any verb."""
    if wanted:
        from importlib.metadata import version

        echo(f"tagecho {version('tagecho')}")
        raise typer.Exit


READER_GONE = 141  # as a shell says of who ends by SIGPIPE

app = Verbs(
    name="tagecho",
    no_args_is_help=True,
    context_settings=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def tagecho(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The configuration file; also behind the verb."),
    ] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Listen to hashtags and profiles, build a dataset, answer with an image.

    \b
    tagecho demo     a network on this machine, and replies within a minute
    tagecho init     write config.toml
    tagecho check    check config.toml
    tagecho run      run the service
    """
    remember(ctx, config)


for verb in (
    init.init,
    run.run,
    console.console,
    demo.demo,
    demo.rehearse,
    demo.sandbox,
    status.status,
    doctor.check,
    doctor.doctor,
    pause.pause,
    pause.resume,
    login.login,
    forget.forget,
    backup.backup,
    backup.restore,
    learn.learn,
    curate.curate,
    curate.stats,
    images.upscale,
    images.segment,
    images.compose,
    collect.collect,
    collect.suggest,
    datasets.export,
    caption.caption,
    search.search,
    watch.watch,
    label.label,
    mine.mine,
):
    app.command()(verb)
app.command("import")(datasets.import_)
app.add_typer(datasets.app, name="dataset")
app.add_typer(datasets.snapshots, name="snapshot")
app.add_typer(tracks.app, name="track")
app.add_typer(replies.app, name="replies")
app.add_typer(notify.app, name="notify")
app.add_typer(networks.models, name="models")
app.add_typer(gallery.app, name="images")
app.add_typer(labels.app, name="labels")
app.add_typer(keys.app, name="keys")
app.add_typer(masks.app, name="masks")
app.add_typer(caption.app, name="captions")


def main() -> None:
    """Entry point: turns what an operator can cause into a line on stderr and its exit code."""
    prepare_streams()
    try:
        code = _run()
    finally:
        give_up_streams()
    sys.exit(code)


def _run() -> int:
    """Do what the command line says; the exit code."""
    try:
        try:
            app(prog_name="tagecho", standalone_mode=True)
        finally:
            sys.stdout.flush()  # notices here that the reader went away
    except TagechoError as error:
        return _said(error, error.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return READER_GONE
    except SystemExit as end:
        # What was printed while the verb ran met the closed pipe in typer, which says 1 then.
        return READER_GONE if isinstance(end.__context__, BrokenPipeError) else _number(end.code)
    except Exception as error:
        known = _known(error)
        if known is None or VOICE.loudness > 0:
            raise  # -v: whoever asks for more gets the place in the code, too
        return _said(*known)
    return 0


def _known(error: Exception) -> tuple[str, int] | None:
    """The line and the code of what an operator or the machine can cause; None: our mistake."""
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        why = "an argument is not text in the encoding of this terminal"
        return why, UsageError.exit_code
    if isinstance(error, OverflowError):  # no database holds such a number
        return f"a number is too large: {error}", UsageError.exit_code
    if isinstance(error, OSError) and error.errno in DISK:
        return f"{error.filename or 'disk'}: {error.strerror}", StorageError.exit_code
    return (str(error), TagechoError.exit_code) if _of_decoder(error) else None


def _said(why: object, code: int) -> int:
    complain(why)
    return code


def _number(code: str | int | None) -> int:
    return code if isinstance(code, int) else 0 if code is None else 1


def _of_decoder(error: Exception) -> bool:
    """Whether pictures could not be read just now. Asked only when something failed: heavy."""
    from models.images.decoder import DecoderUnavailable

    return isinstance(error, DecoderUnavailable)
