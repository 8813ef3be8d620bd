"""`tagecho backup` and `tagecho restore`: all data in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import counted, echo, print_json, say

if TYPE_CHECKING:
    from bot.verbs.backup import Backup


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, such as backup.tar.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Write all data into one file, and verify it. The service may run meanwhile.

    The file has the sessions in it: it is as secret as a password, and of mode 0600. The
    configuration and the folder of secrets are not in it. PostgreSQL needs pg_dump.

    \b
    Examples:
      tagecho backup backup.tar
    """
    from bot.verbs.backup import backup as write

    _tell(write(prepare(config), file), json)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `tagecho backup` wrote.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Make the data folder and the database from a backup. No data may be there.

    A damaged file changes nothing. PostgreSQL needs pg_restore and an empty database.

    \b
    Examples:
      tagecho restore backup.tar
    """
    from bot.verbs.backup import restore as read

    _tell(read(prepare(config), file), json)
    say("next: tagecho doctor; then `tagecho forget` again who was forgotten after the backup")


def _tell(done: Backup, json: bool) -> None:
    if json:
        print_json({"file": done.path, "files": done.files, "bytes": done.bytes})
        return
    echo(done.path)
    say(f"verified: {counted(done.files, 'file')}, {done.bytes / 1e6:.1f} MB")
