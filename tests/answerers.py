"""Networks for `models.serving.network_process` that misbehave; loaded in its process by name."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Any


def doubling(marks: str = "") -> Any:
    """Doubles arrays; its facts can ask it to fail in any of the ways below."""
    if marks:  # one line for each start
        with Path(marks).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
    print("a library that prints what nobody asked for")

    def answer(facts: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        _WAYS[facts.get("how", "well")]()
        print("and again")
        return {"seen": facts, "nice": os.getpriority(os.PRIO_PROCESS, 0)}, [a * 2 for a in arrays]

    return answer


def _crash() -> None:
    print("the last words", file=sys.stderr)
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang() -> None:
    threading.Event().wait()


def _grow() -> None:
    held = []
    while True:
        held.append(np.ones(4 << 20, np.uint8))  # touched, so it is resident


def _raise() -> None:
    raise RuntimeError("the network\ndoes not like it")


def _import() -> None:
    import a_package_that_is_not_there  # noqa: F401


_WAYS = {
    "well": lambda: None,
    "crash": _crash,
    "hang": _hang,
    "grow": _grow,
    "raise": _raise,
    "import": _import,
    "exit": lambda: os._exit(3),
}


def never(how: str) -> Any:
    """Fails while it is loaded."""
    _WAYS[how]()
    raise RuntimeError("no network here")


def damaged() -> Any:
    from models.base import WeightsError

    raise WeightsError("weights are damaged")


def detector(kind: str, folder: str, threads: int) -> Any:
    """A box near the upper left corner, of the last class; or what TAGECHO_TEST_DETECTOR says."""
    how = os.environ["TAGECHO_TEST_DETECTOR"]
    if how == "import":
        _import()
    asked = []

    def answer(facts: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        if not arrays:
            return {"known": ["person", "dog"]}, ()
        asked.append(1)
        if how == "crash on the second" and len(asked) == 2:
            _crash()
        scale = arrays[0].shape[1] / 80
        corners = np.array([[8.0, 8.0, 40.0, 32.0]]) * scale
        return {}, (np.array([0.9]), corners, np.array([len(facts["classes"]) - 1]))

    return answer


def captioner(folder: str, threads: int) -> Any:
    """What a captioner answers, or what TAGECHO_TEST_CAPTIONER says."""
    how = os.environ["TAGECHO_TEST_CAPTIONER"]
    if how == "import":
        _import()
    asked = []

    def answer(facts: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        asked.append(1)
        if how == "raise":
            _raise()
        if how == "crash on the third" and len(asked) == 3:
            _crash()
        return {"sentence": f"a picture of {arrays[0].shape[1]} px", "score": 0.5, "tags": []}, ()

    return answer
