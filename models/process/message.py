"""What passes through the pipes: a JSON object and arrays.

A head of two lengths, the JSON (the facts, and the type and shape of each array), then the bytes of
the arrays one behind the other. Nothing is pickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

READY = b"+"  # what a child says first: what ends it before is no question's fault
HEAD = struct.Struct("<QQ")  # bytes of the JSON, bytes of all arrays
_KINDS = "buif"  # of NumPy types: no objects, no text


@dataclass(frozen=True, slots=True)
class Message:
    facts: dict[str, Any]
    arrays: tuple[NDArray[Any], ...] = field(default=())


def encoded(message: Message) -> Iterator[bytes | memoryview]:
    """The parts to write, in order. ValueError for an array that is no array of numbers."""
    arrays = [np.asarray(array, order="C") for array in message.arrays]
    if odd := [str(array.dtype) for array in arrays if array.dtype.kind not in _KINDS]:
        raise ValueError(f"arrays of {', '.join(odd)} cannot be passed on")
    shapes = [[array.dtype.str, list(array.shape)] for array in arrays]
    text = json.dumps({"facts": message.facts, "arrays": shapes}).encode()
    yield HEAD.pack(len(text), sum(array.nbytes for array in arrays)) + text
    for array in arrays:
        if array.size:
            yield array.data.cast("B")


def empty_arrays(shapes: list[Any]) -> tuple[NDArray[Any], ...]:
    """Arrays of the types and shapes that a head tells, to be filled. ValueError if it is wrong."""
    found = []
    for dtype, shape in shapes:
        kind = np.dtype(str(dtype))
        if kind.kind not in _KINDS or min(shape, default=0) < 0:
            raise ValueError(f"no array of numbers: {dtype} {shape}")
        found.append(np.empty([int(side) for side in shape], kind))
    return tuple(found)


def send(stream: BinaryIO, message: Message) -> None:
    for part in encoded(message):
        stream.write(part)
    stream.flush()


def receive(stream: BinaryIO) -> Message | None:
    """The next message; None when the other side has gone."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    length, rest = HEAD.unpack(head)
    said = json.loads(stream.read(length))
    arrays = empty_arrays(said["arrays"])
    if sum(array.nbytes for array in arrays) != rest:
        raise ValueError("a message whose lengths do not fit each other")
    for array in arrays:
        if array.size:
            view = array.data.cast("B")
            while view:
                count = stream.readinto(view)  # type: ignore[attr-defined]  # of a buffered reader
                if not count:
                    return None
                view = view[count:]
    return Message(said["facts"], arrays)
