"""`tagecho init`: a configuration, and a folder for secrets that only its owner may enter."""

from __future__ import annotations

from pathlib import Path

from bot import config
from bot.config.initial import Beginning, initial
from bot.config.source import SECRETS
from bot.core.errors import ConfigError, StorageError, UsageError
from bot.core.files import replacing, write_open
from bot.core.folders import keep_private, private_folder
from bot.platforms import registry


def begin(path: Path, said: Beginning, *, replace: bool = False) -> Path:
    """Write the configuration, and make the folder for secrets beside it, which is returned.

    `replace`: also over a file that is there. Raises UsageError where what was said is wrong,
    StorageError where it cannot be written.
    """
    if path.exists() and not replace:
        raise UsageError(
            f"{path} is there already: name another one with --config, or give --force"
        )
    text = initial(said)
    try:
        config.parse(text, path, {}, styles=config.STYLES, secrets="none")
    except ConfigError as error:
        raise UsageError(f"this makes no configuration: {error}") from None
    folder = path.absolute().parent / SECRETS
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        private_folder(folder)
        keep_private(folder)
        write_open(path.absolute(), text.encode())
    except OSError as error:
        raise StorageError(f"{error.filename or path}: {error.strerror}") from error
    return folder


def keep_secret(folder: Path, said: Beginning, secret: str) -> Path:
    """The secret for a login in a file of mode 0600. Raises StorageError."""
    platform = registry.find(said.platform)
    key = platform.secrets[0] if platform and platform.secrets else "password"
    path = folder / f"{said.account}.{key}"
    try:
        with replacing(path) as file:
            file.write(f"{secret}\n".encode())
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    return path
