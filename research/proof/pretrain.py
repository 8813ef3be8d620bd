"""Backbones of the arms: by self-distillation, as the product does it, on the tags as they are, or
towards the features of another network.

The supervised control, and the one that learns features, see the same large crops in the same
number of steps, with the same optimiser and schedule. They get no small crops: a tag says nothing
of a corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.base import Image
from models.dino.crops import draw
from models.dino.model import load_teacher, parameter_groups
from models.dino.recipe import DinoRecipe
from models.dino.train import train as distil
from models.dino.vit import ViT
from models.student.train import likeness_loss
from models.training.loop import Progress, cosine, load_checkpoint, read_checkpoint, save_checkpoint


def untrained(recipe: DinoRecipe) -> ViT:
    """The weights that the other arms start from."""
    torch.manual_seed(recipe.seed)
    return ViT(recipe.shape).eval()


def distilled(images: list[Image], recipe: DinoRecipe, out: Path) -> ViT:
    """DINO on the images: what `out`/last.pt holds once it has all its steps."""
    if not finished(out, recipe.steps):
        distil(images, recipe, out)
    return load_teacher(out / "last.pt").eval()


def finished(out: Path, steps: int) -> bool:
    path = out / "last.pt"
    return path.exists() and int(read_checkpoint(path)["step"]) >= steps


class Supervised(nn.Module):
    """Cross-entropy with the tags, shared equally among a post's own."""

    targets: Tensor

    def __init__(self, recipe: DinoRecipe, tags: Sequence[tuple[str, ...]]) -> None:
        super().__init__()
        names = sorted({tag for own in tags for tag in own})
        if not names:
            raise ValueError("no tags to learn from")
        targets = torch.zeros(len(tags), len(names))
        for place, own in enumerate(tags):
            for tag in own:
                targets[place, names.index(tag)] = 1 / len(own)
        self.register_buffer("targets", targets, persistent=False)
        self.vit = ViT(recipe.shape)
        self.classes = nn.Linear(recipe.width, len(names))

    def forward(self, crops: Tensor, chosen: Tensor) -> Tensor:
        """Loss of crops (N, 3, H, W) of the photos `chosen` (N,)."""
        return F.cross_entropy(self.classes(self.vit(crops)[:, 0]), self.targets[chosen])


def supervised(
    images: list[Image],
    tags: Sequence[tuple[str, ...]],
    recipe: DinoRecipe,
    out: Path,
    *,
    save_every: int = 50,
) -> ViT:
    """Train on the tags, one tuple per image, or go on from `out`/last.pt.

    ValueError without tags; FloatingPointError when the loss is no number.
    """
    torch.manual_seed(recipe.seed)
    return fitted(Supervised(recipe, tags), images, recipe, out, save_every=save_every)


class Taught(nn.Module):
    """Towards the features of another network, by a head that is thrown away."""

    wanted: Tensor

    def __init__(self, recipe: DinoRecipe, wanted: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("wanted", torch.from_numpy(wanted), persistent=False)
        self.vit = ViT(recipe.shape)
        self.head = nn.Linear(recipe.width, wanted.shape[1])

    def forward(self, crops: Tensor, chosen: Tensor) -> Tensor:
        """Loss of crops (N, 3, H, W) of the photos `chosen` (N,)."""
        return likeness_loss(self.head(self.vit(crops)[:, 0]), self.wanted[chosen])


def taught(images: list[Image], wanted: NDArray[np.float32], recipe: DinoRecipe, out: Path) -> ViT:
    """Train towards `wanted` (N, D), of length 1, one row per image, or go on from `out`/last.pt.

    FloatingPointError when the loss is no number.
    """
    torch.manual_seed(recipe.seed)
    return fitted(Taught(recipe, wanted), images, recipe, out)


def fitted(
    model: Supervised | Taught,
    images: list[Image],
    recipe: DinoRecipe,
    out: Path,
    *,
    save_every: int = 50,
) -> ViT:
    """The ViT of a model that learns from large crops; goes on from `out`/last.pt."""
    recipe = replace(recipe, locals=0)
    optimiser = torch.optim.AdamW(parameter_groups(model))
    parts = {"model": model, "optimiser": optimiser}
    done = load_checkpoint(out / "last.pt", parts, asdict(recipe))
    progress = Progress(out / "log.jsonl", done, recipe.steps)
    for step in range(done, recipe.steps):
        rate = cosine(step, recipe.steps, recipe.rate, 1e-6, recipe.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
            if group.get("decays"):
                group["weight_decay"] = cosine(step, recipe.steps, *recipe.decay)
        crops = draw(images, recipe, step).large.flatten(0, 1)
        loss = model(crops, torch.from_numpy(np.tile(drawn(len(images), recipe, step), 2)))
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {step}: the loss is {loss.item()}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimiser.step()
        progress(step + 1, loss=loss.item(), rate=rate)
        if (step + 1) % save_every == 0 or step + 1 == recipe.steps:
            save_checkpoint(out / "last.pt", parts, step + 1, asdict(recipe))
    return model.vit.eval()


def drawn(count: int, recipe: DinoRecipe, step: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Which photos `draw` takes in a step."""
    return np.random.default_rng((recipe.seed, step)).integers(count, size=recipe.batch)
