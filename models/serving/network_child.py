"""The process of `models.serving.network_process`: loads one network, answers question by question.

It says that it is ready, gets the entry point, answers when the network is loaded, and then answers
each question. It ends when its input does, and when the process that started it is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO, Protocol, cast

from numpy.typing import NDArray

from models.base import WeightsError
from models.process.inside import end_with, no_core, step_back
from models.process.message import READY, Message, receive, send

Arrays = Sequence[NDArray[Any]]


class Answerer(Protocol):
    """What an entry point makes: facts and arrays in, facts and arrays out."""

    def __call__(self, facts: dict[str, Any], arrays: Arrays, /) -> tuple[dict[str, Any], Arrays]:
        """Any exception is the answer "failed" to this question; the process stays."""


def main() -> None:
    bounds, parent = json.loads(sys.argv[-2]), int(sys.argv[-1])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # whoever asked us decides when we end
    end_with(parent)
    step_back(bounds["nice"])
    no_core()
    source, target = sys.stdin.buffer, _own_output()
    target.write(READY)
    target.flush()
    first = receive(source)
    if first is None:
        return
    loaded: list[Answerer] = []

    def load() -> Message:
        loaded.append(_load(first.facts))
        return Message({})

    _reply(target, load)
    while loaded and (question := receive(source)) is not None:
        _reply(target, partial(_answer, loaded[0], question))


def _own_output() -> BinaryIO:
    """The pipe to the parent; what libraries print goes to standard error from now on."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


def _load(said: dict[str, Any]) -> Answerer:
    module, function = said["entry"].split(":")
    return cast(Answerer, getattr(import_module(module), function)(**said["arguments"]))


def _answer(answerer: Answerer, question: Message) -> Message:
    facts, arrays = answerer(question.facts, question.arrays)
    return Message(facts, tuple(arrays))


def _reply(target: BinaryIO, use: Callable[[], Message]) -> None:
    """Send what `use` gives, or why it gives nothing."""
    try:
        send(target, use())
    except (ImportError, WeightsError) as error:
        _refuse(target, "missing", error)
    except MemoryError as error:
        _refuse(target, "too-large", error)
    except Exception as error:  # noqa: BLE001 - of a library; the parent says it to a person
        _refuse(target, "failed", error)


def _refuse(target: BinaryIO, why: str, error: Exception) -> None:
    text = " ".join(str(error).split()) or type(error).__name__
    name = "" if isinstance(error, WeightsError) else f"{type(error).__name__}: "
    send(target, Message({"failed": why, "detail": f"{name}{text}"[:600]}))
