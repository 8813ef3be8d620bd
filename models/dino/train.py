"""DINO: a student learns to say of any crop what its own running average says of large ones.

python -m models.dino.train --photos DIR [DIR ...] --out runs/dino
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image as Pil
from torch import Tensor, nn

from models.augment import blurred, greyed, jitter, random_crop, solarised, to_batch
from models.base import Image
from models.dino.loss import CollapseWatch, DinoLoss, Head, spread
from models.dino.vit import Shape, ViT
from models.training import Ema, Progress, cosine, load_checkpoint, photo_paths, save_checkpoint


@dataclass(frozen=True)
class Recipe:
    steps: int = 900
    batch: int = 48
    global_side: int = 96
    local_side: int = 48
    locals: int = 6
    outputs: int = 1024
    rate: float = 5e-4
    warmup: int = 80
    frozen_prototypes: int = 100  # steps before the head's last layer starts to move
    momentum: float = 0.99  # of the teacher, rising to 1
    decay: tuple[float, float] = (0.04, 0.4)
    seed: int = 0
    depth: int = 6


class Model(nn.Module):
    """ViT and head: (B, 3, H, W) in [0, 1] → (B, outputs) logits."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.vit = ViT(Shape(depth=recipe.depth))
        self.head = Head(self.vit.shape.width, recipe.outputs)

    def forward(self, *crops: Tensor) -> Tensor:
        """Crops of several sizes; the head sees them together, as one batch."""
        features = [self.vit(crop)[:, 0] for crop in crops]
        out: Tensor = self.head(torch.cat(features))
        return out


def load_photos(paths: Iterable[Path], short_side: int = 144) -> list[Image]:
    images = []
    for path in paths:
        with Pil.open(path) as photo:
            rgb = photo.convert("RGB")
        factor = min(1.0, short_side / min(rgb.size))
        size = (round(rgb.width * factor), round(rgb.height * factor))
        images.append(np.asarray(rgb.resize(size, Pil.Resampling.BILINEAR)))
    return images


def distort(image: Image, rng: np.random.Generator, blur: float, solarise: float) -> Image:
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
    if rng.random() < 0.8:
        image = jitter(image, rng)
    if rng.random() < 0.2:
        image = greyed(image)
    if rng.random() < blur:
        image = blurred(image, rng.uniform(0.1, 1.5))
    if rng.random() < solarise:
        image = solarised(image)
    return image


def draw_batch(images: list[Image], recipe: Recipe, step: int) -> tuple[Tensor, Tensor]:
    """Global crops (2·B, 3, G, G) and local ones (L·B, 3, S, S), crop by crop, then image."""
    rng = np.random.default_rng((recipe.seed, step))
    chosen = [images[i] for i in rng.integers(len(images), size=recipe.batch)]
    large = [
        distort(random_crop(image, rng, recipe.global_side, (0.35, 1.0)), rng, *chances)
        for chances in ((1.0, 0.0), (0.1, 0.2))
        for image in chosen
    ]
    small = [
        distort(random_crop(image, rng, recipe.local_side, (0.08, 0.35)), rng, 0.5, 0.0)
        for _ in range(recipe.locals)
        for image in chosen
    ]
    return torch.from_numpy(to_batch(large)), torch.from_numpy(to_batch(small))


def parameter_groups(model: nn.Module) -> list[dict[str, object]]:
    """Weights decay; biases, norms and positions do not."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    plain = [p for n, p in named if p.ndim < 2 or "position" in n or "cls" in n]
    kept = {id(p) for p in plain}
    heavy = [p for _, p in named if id(p) not in kept]
    return [{"params": heavy, "decays": True}, {"params": plain, "weight_decay": 0.0}]


def train(images: list[Image], recipe: Recipe, out: Path, *, save_every: int = 50) -> ViT:
    """Train (or go on from `out`/last.pt) and return the teacher's ViT. Raises Collapsed."""
    if len(images) < 2:
        raise ValueError(f"DINO needs several different photos, not {len(images)}")
    torch.manual_seed(recipe.seed)
    student = Model(recipe)
    ema = Ema(student, recipe.momentum)
    teacher = ema.network.train()  # its batch norms see the batch, as the student's do
    loss_of = DinoLoss(recipe.outputs)
    optimiser = torch.optim.AdamW(parameter_groups(student))
    parts = {"student": student, "teacher": teacher, "loss": loss_of, "optimiser": optimiser}
    done = load_checkpoint(out / "last.pt", parts, asdict(recipe))
    progress, watch = (
        Progress(out / "log.jsonl", done, recipe.steps, 10),
        CollapseWatch(recipe.outputs),
    )
    for step in range(done, recipe.steps):
        rate = cosine(step, recipe.steps, recipe.rate, 1e-6, recipe.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
            if group.get("decays"):
                group["weight_decay"] = cosine(step, recipe.steps, *recipe.decay)
        large, small = draw_batch(images, recipe, step)
        with torch.no_grad():
            wanted = teacher(large).view(2, recipe.batch, -1)
        got = student(large, small).view(2 + recipe.locals, recipe.batch, -1)
        entropy, mean_entropy = spread(loss_of.targets(wanted).flatten(0, 1))
        loss = loss_of(got, wanted)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {step}: the loss is {loss.item()}")
        watch(entropy, mean_entropy)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if step < recipe.frozen_prototypes:
            student.head.prototypes.grad = None
        nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimiser.step()
        ema.momentum = cosine(step, recipe.steps, recipe.momentum, 1.0)
        ema.update(student)
        progress(step + 1, loss=loss.item(), entropy=entropy, mean_entropy=mean_entropy, rate=rate)
        if (step + 1) % save_every == 0 or step + 1 == recipe.steps:
            save_checkpoint(out / "last.pt", parts, step + 1, asdict(recipe))
    return teacher.vit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    recipe = Recipe(steps=arguments.steps, batch=arguments.batch, seed=arguments.seed)
    train(load_photos(photo_paths(arguments.photos)), recipe, arguments.out)


if __name__ == "__main__":
    main()
