"""What a run of the proof may spend: the same for every arm."""

from __future__ import annotations

from dataclasses import dataclass

from models.dino.recipe import DinoRecipe
from models.segment.train import SegmentRecipe


@dataclass(frozen=True)
class Budget:
    """Of a run without an accelerator: the same for every arm."""

    side: int = 64
    patch: int = 8
    width: int = 128
    depth: int = 4
    heads: int = 2
    steps: int = 200  # of pre-training
    batch: int = 48
    locals: int = 4
    tune_steps: int = 300
    tune_batch: int = 16
    head_steps: int = 400
    look: float = 1.5  # raw NCut and the frozen head see the picture this much larger

    def __str__(self) -> str:
        return (
            f"ViT {self.width}x{self.depth}, patch {self.patch}, {self.side} px; pre-training "
            f"{self.steps} steps of {self.batch} photos (2 large and {self.locals} small crops); "
            f"fine-tuning {self.tune_steps} steps of {self.tune_batch}; frozen head "
            f"{self.head_steps} steps; one CPU core, no accelerator. The threshold of each network "
            "was chosen on the 100 selection ids, the figures are of the others."
        )

    @property
    def grid(self) -> int:
        return round(self.side * self.look) // self.patch

    def distillation(self, seed: int) -> DinoRecipe:
        return DinoRecipe(
            steps=self.steps, batch=self.batch, global_side=self.side,
            local_side=self.side // 2, locals=self.locals, rate=7e-4,
            warmup=max(1, self.steps // 10), frozen_prototypes=self.steps // 10, seed=seed,
            width=self.width, depth=self.depth, heads=self.heads, patch=self.patch,
            grid=self.side // self.patch,
        )  # fmt: skip

    def tuning(self, seed: int) -> SegmentRecipe:
        return SegmentRecipe(
            steps=self.tune_steps, batch=self.tune_batch, side=self.side,
            warmup=max(1, self.tune_steps // 15), momentum=0.99, seed=seed,
        )  # fmt: skip
