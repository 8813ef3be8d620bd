"""The trainings as command lines: the one place that knows how they are called.

They need the [learn] extra and run in processes of their own; nothing here imports torch.
"""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bot.errors import ModelError
from bot.flow.photos import HELD_OUT, TRAIN

NEEDED = ("torch", "onnx", "cv2", "matplotlib", "safetensors")
Command = tuple[str, list[str]]  # module, arguments


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run learns. It is kept with the run: one that goes on does so as it began."""

    leave_out: tuple[str, ...] = ("all",)
    least_images: int = 500
    most_images: int = 4000
    dino_steps: int = 900
    batch: int = 48  # photos in a step of DINO
    mask_steps: int = 2500
    threads: int = 1
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, said: dict[str, Any]) -> Self:
        return cls(**{**said, "leave_out": tuple(said["leave_out"])})


def check_installed() -> None:
    """Raises ModelError without the [learn] extra."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(
            f"learning needs {', '.join(missing)}: pip install 'tagecho[learn]' (serving does not)"
        )


def commands(stage: str, folder: Path, recipe: Recipe) -> list[Command]:
    """What a stage runs, one after the other. `dino` and `head` go on from their checkpoints."""
    photos, masks = folder / "photos", folder / "masks"
    common = ["--seed", str(recipe.seed), "--threads", str(recipe.threads)]
    plans: dict[str, list[tuple[str, list[object]]]] = {
        "dino": [
            (
                "models.dino.train",
                ["--photos", photos / TRAIN, "--out", folder / "dino",
                 "--steps", recipe.dino_steps, "--batch", recipe.batch, *common],
            ),
        ],
        "masks": [
            ("models.segment.teacher", ["--photos", photos / part, "--out", masks / part])
            for part in (TRAIN, HELD_OUT)
        ],
        "head": [
            (
                "models.segment.train",
                ["--set", photos / TRAIN, masks / TRAIN, 1, "--out", folder / "head",
                 "--backbone", folder / "dino" / "last.pt",
                 "--steps", recipe.mask_steps, *common],
            ),
        ],
        "export": [
            (
                "models.segment.export",
                ["--checkpoint", folder / "head" / "last.pt", "--to", folder / "export"],
            ),
        ],
    }  # fmt: skip
    return [(module, [str(a) for a in arguments]) for module, arguments in plans[stage]]
