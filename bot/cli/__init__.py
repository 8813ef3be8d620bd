"""The command line: options and printing; `bot.verbs` does the work.

Heavy imports stand inside the commands, so that `--help` is fast.

Data goes to stdout, messages to stderr. Exit codes are those of `bot.core.errors`.
"""

from __future__ import annotations

import errno
import os
import sys

import typer

from bot.cli import (
    collect,
    curate,
    datasets,
    demo,
    doctor,
    forget,
    images,
    learn,
    login,
    networks,
    pause,
    replies,
    run,
    search,
    tracks,
)
from bot.cli.output import prepare_streams, say
from bot.core.errors import StorageError, TagechoError, UsageError

# What a disk or its rights may answer to anybody; every other OSError is a mistake of ours.
DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR}
    | {errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.EFBIG}
)

app = typer.Typer(
    name="tagecho",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Listen to hashtags and profiles, build a dataset, answer with an image.

    \b
    tagecho demo     a network on this machine, and replies within a minute
    tagecho check    check config.toml
    tagecho run      run the service
    """,
)
for verb in (
    run.run,
    demo.demo,
    demo.rehearse,
    doctor.check,
    doctor.doctor,
    pause.pause,
    pause.resume,
    login.login,
    forget.forget,
    learn.learn,
    curate.curate,
    curate.stats,
    images.upscale,
    images.segment,
    images.compose,
    collect.collect,
    collect.suggest,
    datasets.export,
    search.search,
):
    app.command()(verb)
app.command("import")(datasets.import_)
app.add_typer(datasets.app, name="dataset")
app.add_typer(datasets.snapshots, name="snapshot")
app.add_typer(tracks.app, name="track")
app.add_typer(replies.app, name="replies")
app.add_typer(networks.models, name="models")
app.add_typer(networks.labels, name="labels")


def main() -> None:
    """Entry point: turns what an operator can cause into a line on stderr and its exit code."""
    prepare_streams()
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()  # notices here that the reader went away
    except TagechoError as error:
        say(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Python flushes again when it ends; without this it would print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except UnicodeEncodeError as error:
        if error.reason != "surrogates not allowed":
            raise
        say("an argument is not text in the encoding of this terminal")
        sys.exit(UsageError.exit_code)
    except OSError as error:
        if error.errno not in DISK:
            raise
        say(f"{error.filename or 'disk'}: {error.strerror}")
        sys.exit(StorageError.exit_code)
