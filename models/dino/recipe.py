"""What a DINO training is made of. A checkpoint holds it, and can be rebuilt from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from models.dino.vit import Shape

SIZES = {  # width, depth, heads
    "light": (192, 6, 3),
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
}


def option(default: Any, text: str, *choices: str) -> Any:
    """A field with what the command line says about it."""
    return field(default=default, metadata={"help": text, "choices": choices or None})


@dataclass(frozen=True)
class DinoRecipe:
    """Whatever decides which weights come out. ValueError for what cannot work."""

    steps: int = option(900, "optimiser steps")
    batch: int = option(48, "photos per step, over all processes")
    accumulate: int = option(1, "parts a batch is computed in, one after the other, to save memory")
    global_side: int = option(96, "side of the two large crops in px")
    local_side: int = option(48, "side of the small crops in px")
    locals: int = option(6, "small crops per photo")
    outputs: int = option(1024, "prototypes")
    hidden: int = option(512, "width of the head")
    bottleneck: int = option(128, "width of the head before its prototypes")
    head_norm: str = option("batch", "normalisation in the head", "batch", "none")
    rate: float = option(5e-4, "peak learning rate; a cosine to 1e-6")
    warmup: int = option(80, "steps of linear warm-up")
    frozen_prototypes: int = option(100, "steps before the head's last layer starts to move")
    momentum: float = option(0.99, "of the teacher; a cosine to 1")
    decay: tuple[float, float] = option((0.04, 0.4), "weight decay at first and at last; a cosine")
    clip: float = option(3.0, "largest norm of the gradient")
    teacher_temperature: float = option(0.04, "lower: more certain targets; try 0.02 on collapse")
    student_temperature: float = option(0.1, "of the student's outputs")
    centring: str = option("centre", "how the targets are kept apart", "centre", "sinkhorn")
    center_momentum: float = option(0.9, "of the centre's running mean")
    ibot: float = option(0.0, "weight of the masked patch loss; 0: none")
    patch_head: str = option(
        "own", "head of the patch loss: its own or the class token's", "own", "shared"
    )
    koleo: float = option(0.0, "weight of the KoLeo term; 0: none; 0.1 is usual")
    seed: int = option(0, "of weights, crops and masks")
    width: int = option(192, "of the ViT")
    depth: int = option(6, "blocks of the ViT")
    heads: int = option(3, "attention heads of the ViT")
    patch: int = option(16, "side of a patch in px; all sides must be multiples")
    grid: int = option(14, "positions are learned on grid x grid patches")
    eps: float = option(1e-6, "of the ViT's layer norms")
    start: str = ""  # what the ViT started from: the hash of a weight file

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "outputs", "hidden", "bottleneck", "width",
                     "depth", "heads", "patch", "grid"):  # fmt: skip
            self._demand(getattr(self, name) >= 1, f"{name} must be at least 1")
        for name in ("locals", "warmup", "frozen_prototypes", "ibot", "koleo", "rate", "seed"):
            self._demand(getattr(self, name) >= 0, f"{name} must not be negative")
        for name in ("teacher_temperature", "student_temperature", "clip", "eps"):
            self._demand(getattr(self, name) > 0, f"{name} must be above 0")
        for name in ("momentum", "center_momentum"):
            self._demand(0 <= getattr(self, name) <= 1, f"{name} must lie in 0..1")
        for name in ("global_side", "local_side"):
            side = getattr(self, name)
            fits = side >= self.patch and side % self.patch == 0
            self._demand(fits, f"{name} {side} is no multiple of the patch, {self.patch}")
        self._demand(self.width % self.heads == 0, "width must be a multiple of heads")
        self._demand(self.batch % self.accumulate == 0, "batch must be a multiple of accumulate")
        together = self.batch // self.accumulate
        alone = self.head_norm == "none" and not self.koleo
        self._demand(alone or together >= 2, "batch norm and KoLeo need 2 photos at once")
        self._demand(self.centring in {"centre", "sinkhorn"}, f"no centring {self.centring!r}")
        self._demand(self.head_norm in {"batch", "none"}, f"no head norm {self.head_norm!r}")
        self._demand(self.patch_head in {"own", "shared"}, f"no patch head {self.patch_head!r}")

    @staticmethod
    def _demand(holds: bool, message: str) -> None:
        if not holds:
            raise ValueError(message)

    @property
    def shape(self) -> Shape:
        return Shape(self.width, self.depth, self.heads, self.patch, self.grid, self.eps)

    @property
    def tokens(self) -> int:
        """Patches of a large crop."""
        return (self.global_side // self.patch) ** 2

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> DinoRecipe:
        """From a checkpoint; what an older version did not store had today's default.

        ValueError for a recipe of something else.
        """
        unknown = set(stored) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"not a recipe of DINO: {', '.join(sorted(unknown))}")
        values = dict(stored)
        if "decay" in values:
            low, high = values["decay"]
            values["decay"] = (low, high)
        return cls(**values)
