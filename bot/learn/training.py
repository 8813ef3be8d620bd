"""The trainings as command lines; only this module knows how to call them.

They need the [learn] extra and run in their own processes; nothing here imports torch.
"""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bot.core.errors import NotInstalled
from bot.learn.photos import HARD, HELD_OUT, POSTS, START, TRAIN

IN_SERVICE, SCRATCH = "in-service", "scratch"  # the network from which a run starts
HARD_WEIGHT = 0.5  # of photos that are like failures, beside all photos: a third of the draws
NEEDED = ("torch", "onnx", "cv2", "matplotlib", "safetensors")
# For a trained network, a fifth of the rates for random weights (5e-4; 1.5e-3 and 5e-4): a new
# head must not destroy what the backbone knows; the proof asks if neighbours are still found.
DINO_RATE, HEAD_RATE, BACKBONE_RATE = 1e-4, 3e-4, 1e-4
Command = tuple[str, list[str]]  # module, arguments


@dataclass(frozen=True, slots=True)
class LearningRecipe:
    """The settings of a run, stored with it, so that it continues with the same settings."""

    leave_out: tuple[str, ...] = ("all",)
    least_images: int = 500
    most_images: int = 4000
    dino_steps: int = 300
    batch: int = 48  # photos in a step of DINO
    mask_steps: int = 600
    threads: int = 1
    seed: int = 0
    start: str = IN_SERVICE

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, said: dict[str, Any]) -> Self:
        """From the row of a run. A run of an older version has no `start`: random weights."""
        return cls(**{"start": SCRATCH, **said, "leave_out": tuple(said["leave_out"])})


@dataclass(frozen=True, slots=True)
class Teacher:
    """Whose masks a run learns from."""

    network: Path  # folder of a network of ours: segment.onnx and its manifest
    pack: str = ""  # an official pack beside it; empty without one
    home: Path | None = None  # the folder of official packs


def check_installed() -> None:
    """Raises NotInstalled without the [learn] extra."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise NotInstalled(
            f"learning needs {', '.join(missing)}: pip install 'tagecho[learn]' (serving does not)"
        )


def commands(
    stage: str, folder: Path, recipe: LearningRecipe, teacher: Teacher | None = None
) -> list[Command]:
    """The commands of a stage, in order. `dino` and `head` continue from their checkpoints.

    With START in the folder, the run starts from that network. `teacher`: for `masks`, and for
    `export`, which gives the new network the limits of the one it learned from.
    """
    photos, masks, start = folder / "photos", folder / "masks", folder / START
    selection = ["--posts", folder / POSTS] if (folder / POSTS).exists() else []
    dino_start, head_start = [], []
    if start.exists():
        dino_start = ["--start", start, "--rate", DINO_RATE]
        head_start = ["--start", start, "--rate", HEAD_RATE, "--vit-rate", BACKBONE_RATE]
    hard: list[object] = []
    if (folder / HARD).exists():
        hard = ["--set", folder / HARD / "photos", folder / HARD / "masks", HARD_WEIGHT]
    asked: list[object] = []
    limits: list[object] = []
    if teacher is not None:
        asked = ["--network", teacher.network, "--threads", recipe.threads]
        limits = ["--limits-of", teacher.network]
        if teacher.pack:
            asked += ["--pack", teacher.pack, "--home", teacher.home]
    common = ["--seed", str(recipe.seed), "--threads", str(recipe.threads)]
    plans: dict[str, list[tuple[str, list[object]]]] = {
        "start": [("models.segment.restore", ["--network", start])],
        "dino": [
            (
                "models.dino.train",
                ["--photos", photos / TRAIN, "--out", folder / "dino",
                 "--steps", recipe.dino_steps, "--batch", recipe.batch, *common,
                 *selection, *dino_start],
            ),
        ],
        "masks": [
            ("models.segment.teacher", ["--photos", photos / part, "--out", masks / part, *asked])
            for part in (TRAIN, HELD_OUT)
        ],
        "head": [
            (
                "models.segment.train",
                ["--set", photos / TRAIN, masks / TRAIN, 1, *hard, "--out", folder / "head",
                 "--backbone", _backbone(folder / "dino"),
                 "--steps", recipe.mask_steps, *common, *head_start],
            ),
        ],
        "export": [
            (
                "models.segment.export",
                ["--checkpoint", folder / "head" / "last.pt", "--to", folder / "export", *limits],
            ),
        ],
    }  # fmt: skip
    return [(module, [str(a) for a in arguments]) for module, arguments in plans[stage]]


def _backbone(dino: Path) -> Path:
    """The best checkpoint if hashtags could choose it, else the last one."""
    best = dino / "best.pt"
    return best if best.exists() else dino / "last.pt"
