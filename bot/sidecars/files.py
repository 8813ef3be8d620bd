"""Reading an untrusted folder: no links, no devices, no decompression bombs."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

MOST_JSON = 4_000_000  # bytes of one sidecar, unpacked
DEEPEST = 64  # levels of nesting
_XZ_MEMORY = 64_000_000


class Unusable(Exception):
    """This file cannot be used; the message says why."""


def walk(root: Path) -> Iterator[Path]:
    """Files below `root` in a fixed order; folders that are links are not entered."""
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(names):
            yield Path(folder) / name


def read(path: Path, most: int, sha256: str | None = None) -> bytes:
    """The bytes of a regular file: at most `most`, with this hash. Raises Unusable."""
    with opened(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Unusable(f"larger than {most} bytes")
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise Unusable("not the file that was exported")
    return data


def opened(path: Path) -> IO[bytes]:
    """A regular file. Raises Unusable, for links too."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise Unusable(getattr(error, "strerror", None) or str(error)) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unusable("not a regular file")
    return os.fdopen(handle, "rb")


def inside(root: Path, folder: Path, name: Any) -> Path:
    """The file that `name` in a sidecar of `folder` means. Raises Unusable when it leads out of
    `root`, or through a link."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise Unusable("names no file")
    path = Path(os.path.normpath(folder / name))
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:
        raise Unusable(f"file_name: {error}") from None
    if not path.is_relative_to(root) or real != path:
        raise Unusable("file_name leads out of the folder")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The object in a .json or .json.xz. Raises Unusable."""
    data = read(path, MOST_JSON)
    if path.suffix == ".xz":
        try:
            unpack = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            data = unpack.decompress(data, max_length=MOST_JSON + 1)
        except (lzma.LZMAError, EOFError) as error:
            raise Unusable(f"not xz: {error}") from None
        if len(data) > MOST_JSON:
            raise Unusable(f"larger than {MOST_JSON} bytes when unpacked")
    return parse(data)


def parse(data: bytes) -> dict[str, Any]:
    """An object of bounded depth. Raises Unusable."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise Unusable("nested too deeply") from None
    except ValueError as error:
        raise Unusable(f"not JSON: {str(error)[:80]}") from None
    if not isinstance(value, dict):
        raise Unusable("no JSON object")
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, dict | list)
        ]
        if not level:
            return value
    raise Unusable("nested too deeply")


def shown(path: Path, root: Path) -> str:
    """A path for a message, always on one line."""
    text = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
