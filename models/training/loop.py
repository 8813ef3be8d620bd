"""What every training loop here needs: checkpoints, averages, schedules, progress (torch)."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

Net = TypeVar("Net", bound=nn.Module)


def photo_paths(folders: Iterable[Path]) -> list[Path]:
    """All JPEG and PNG files below the folders, sorted. Raises ValueError when there is none."""
    kinds = {".jpg", ".jpeg", ".png"}
    paths = [p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in kinds]
    if not paths:
        raise ValueError("no photos in " + ", ".join(map(str, folders)))
    return sorted(paths)


class Ema(Generic[Net]):
    """A network whose weights are a running average of another's.

    With `young`, the average is short at first, so that it soon forgets the untrained weights.
    """

    def __init__(self, network: Net, momentum: float, *, young: bool = False) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.momentum, self.young = momentum, young

    @torch.no_grad()
    def update(self, network: Net, step: int = 0) -> None:
        momentum = min(self.momentum, (1 + step) / (10 + step)) if self.young else self.momentum
        for mean, new in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(new, 1 - momentum)
        for kept, new in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(new)


def cosine(step: int, steps: int, start: float, end: float, warmup: int = 0) -> float:
    """From 0 to `start` over `warmup` steps, then along a half cosine to `end`."""
    if step < warmup:
        return start * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def save_checkpoint(
    path: Path, parts: Mapping[str, Any], step: int, recipe: Mapping[str, Any]
) -> None:
    """Write all parts at once or not at all; OSError when there is no room for them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: part.state_dict() for name, part in parts.items()}
    partial = path.with_suffix(".part")
    try:
        with partial.open("wb") as file:
            torch.save({"step": step, "recipe": dict(recipe), "parts": state}, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch hides some of the system's errors
        partial.unlink(missing_ok=True)
        cause = error if isinstance(error, OSError) else error.__context__ or error
        kept = f"; {path.name} of an earlier step is whole" if path.exists() else ""
        raise OSError(f"{path} cannot be written: {cause}{kept}") from error
    partial.replace(path)


def load_checkpoint(
    path: Path,
    parts: Mapping[str, Any],
    recipe: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
) -> int:
    """Fill the parts and return the number of steps already done; 0 when there is no file.

    Raises ValueError when the file is no checkpoint or one of another recipe; nothing is changed
    then. What an older version did not store in its recipe is not compared. `state`: what the file
    holds, when it was read already.
    """
    if state is None:
        if not path.exists():
            return 0
        state = read_checkpoint(path)
    stored, wanted = state["recipe"], dict(recipe)
    differing = [
        f"{name} {value!r}, not {wanted.get(name)!r}"
        for name, value in stored.items()
        if name not in wanted or value != wanted[name]
    ]
    if differing:
        raise ValueError(f"{path} was made with another recipe: {'; '.join(differing)}")
    missing = set(parts) - set(state["parts"])
    if missing:
        raise ValueError(f"{path} holds no {', '.join(sorted(missing))}")
    try:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} does not fit this network: {reason}") from error
    return int(state["step"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """`step`, `recipe` and `parts` of a checkpoint, on the CPU. ValueError when it is none."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as a checkpoint: {reason}") from error
    if not isinstance(state, dict) or not {"step", "recipe", "parts"} <= set(state):
        raise ValueError(f"{path} is not a checkpoint of this project")
    return state


class Progress:
    """Means of what was measured, as JSON lines and, now and then, for a person to read."""

    def __init__(self, log: Path, done: int, steps: int, every: int = 50) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log, self.first, self.steps, self.every = log, done, steps, every
        self.started = time.monotonic()
        self.sums: dict[str, float] = {}
        self.count = 0
        self._forget_after(done)

    def note(self, step: int, **figures: float) -> None:
        """A line for something that is measured now and then, at once."""
        self._write({"step": step, **figures})
        words = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        sys.stderr.write(f"{step}/{self.steps}  {words}\n")
        sys.stderr.flush()

    def _write(self, row: dict[str, float]) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

    def _forget_after(self, done: int) -> None:
        """Steps after the checkpoint are done again, so their lines, a torn one too, are."""
        if not self.log.exists():
            return
        kept = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            try:
                if done and json.loads(line)["step"] <= done:
                    kept.append(line + "\n")
            except (ValueError, KeyError, TypeError):
                continue
        partial = self.log.with_suffix(".part")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(self.log)

    def __call__(self, step: int, **figures: float) -> None:
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1
        if step % self.every and step != self.steps:
            return
        means = {name: round(total / self.count, 6) for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        spent = time.monotonic() - self.started
        left = spent / (step - self.first) * (self.steps - step)
        self._write({"step": step, "seconds": round(spent, 1), **means})
        words = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        sys.stderr.write(f"{step}/{self.steps}  {words}  {left / 60:.1f} min left\n")
        sys.stderr.flush()
