"""The process that decodes strangers' bytes for `models.images.decoder`; it knows nothing else.

First it says on standard output that it is ready; what ends it before was no picture.
On standard input, again and again: two lengths, a JSON object (the arguments of `codec.decode`) and
the bytes. On standard output: two lengths, a JSON object, and the pixels (and the alpha) as bytes.
It ends when its input does, and by a signal when a picture takes more processor time than allowed.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

from models.base import ImageRejected
from models.images.codec import Decoded, decode

LENGTHS = struct.Struct("<QQ")  # of the JSON, of what follows it
READY = b"+"
_OOM_FIRST = "800"  # of 1000: before the service, which can start another child


def main() -> None:
    seconds, memory = (int(text) for text in sys.argv[-2:])
    # A stop of the whole service reaches us as well; whoever asked us decides when we end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _bound_memory(memory)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    target.write(READY)
    target.flush()
    while head := source.read(LENGTHS.size):
        options, size = LENGTHS.unpack(head)
        arguments = json.loads(source.read(options))
        _bound_time(seconds)
        _answer(target, source.read(size), arguments)


def _answer(target: BinaryIO, data: bytes, arguments: dict[str, Any]) -> None:
    try:
        found = decode(data, **arguments)
    except ImageRejected as error:
        _say(target, {"rejected": error.reason, "detail": error.detail}, b"")
    else:
        _say(target, _facts(found), found.pixels.data, found.alpha)


def _facts(found: Decoded) -> dict[str, Any]:
    return {
        "shape": found.pixels.shape,
        "alpha": found.alpha is not None,
        "format": found.format,
        "frames": found.frames,
        "notes": found.notes,
    }


def _say(target: BinaryIO, facts: dict[str, Any], pixels: Any, alpha: Any = None) -> None:
    text = json.dumps(facts).encode()
    parts = [pixels] if alpha is None else [pixels, alpha.data]
    target.write(LENGTHS.pack(len(text), sum(memoryview(part).nbytes for part in parts)) + text)
    for part in parts:
        target.write(part)
    target.flush()


def _bound_memory(more: int) -> None:
    """So many bytes on top of what the libraries take."""
    with contextlib.suppress(OSError, ValueError):  # no Linux: processor time is the only limit
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        Path("/proc/self/oom_score_adj").write_text(_OOM_FIRST, encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _bound_time(seconds: int) -> None:
    """From now on; the kernel counts the whole life of the process, in whole seconds."""
    spent = sum(os.times()[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + 1 + seconds, hard))
