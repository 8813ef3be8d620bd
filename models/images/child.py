"""The process that decodes strangers' bytes for `models.images.decoder`; it knows nothing else.

First it says on standard output that it is ready; what ends it before was no picture.
On standard input, again and again: a message with the arguments of `codec.decode` and the bytes as
its array. On standard output: a message with what was found, the pixels (and the alpha).
It ends when its input does, and by a signal when a picture takes more processor time than allowed.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from models.base import ImageRejected
from models.images.codec import Decoded, decode
from models.process.inside import bound_memory, bound_time, die_first, no_core
from models.process.message import READY, Message, receive, send


def main() -> None:
    seconds, memory = (int(text) for text in sys.argv[-2:])
    # A stop of the whole service reaches us as well; whoever asked us decides when we end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    bound_memory(memory)
    die_first()
    no_core()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    target.write(READY)
    target.flush()
    while (question := receive(source)) is not None:
        bound_time(seconds)
        send(target, _answer(question))


def _answer(question: Message) -> Message:
    [data] = question.arrays
    try:
        found = decode(data.tobytes(), **question.facts)
    except ImageRejected as error:
        return Message({"rejected": error.reason, "detail": error.detail})
    alpha = () if found.alpha is None else (found.alpha,)
    return Message(_facts(found), (found.pixels, *alpha))


def _facts(found: Decoded) -> dict[str, Any]:
    return {"format": found.format, "frames": found.frames, "notes": found.notes}
