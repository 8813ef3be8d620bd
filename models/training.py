"""What every training loop here needs: checkpoints, averages, schedules, progress (torch)."""

from __future__ import annotations

import copy
import json
import math
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
    """Write all parts at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: part.state_dict() for name, part in parts.items()}
    partial = path.with_suffix(".part")
    torch.save({"step": step, "recipe": dict(recipe), "parts": state}, partial)
    partial.replace(path)


def load_checkpoint(path: Path, parts: Mapping[str, Any], recipe: Mapping[str, Any]) -> int:
    """Fill the parts and return the number of steps already done; 0 when there is no file.

    Raises ValueError when the file is no checkpoint or one of another recipe; nothing is changed
    then.
    """
    if not path.exists():
        return 0
    state = read_checkpoint(path)
    if state["recipe"] != dict(recipe):
        raise ValueError(f"{path} was made with another recipe: {state['recipe']}")
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    return int(state["step"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """`step`, `recipe` and `parts` of a checkpoint. Raises ValueError when it is none."""
    try:
        state = torch.load(path, weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} cannot be read as a checkpoint: {error}") from error
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
        with self.log.open("a") as log:
            log.write(json.dumps({"step": step, "seconds": round(spent, 1), **means}) + "\n")
        words = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        sys.stderr.write(f"{step}/{self.steps}  {words}  {left / 60:.1f} min left\n")
        sys.stderr.flush()
