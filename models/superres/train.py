"""Train a super-resolution network on photos.

python -m models.superres.train --photos DIR [DIR ...] --scale 4 --out runs/x4
    [--start FILE.onnx: start from an exported network] [--depth 12: deeper than usual]
    [--clean 0.3: share of inputs that are only reduced] [--harsh: the others get more damage]

The batch of a step is a function of (seed, step), so a run that was killed and resumed ends with
the same weights as an uninterrupted one.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pil
from torch import Tensor

from models.base import Image
from models.images.opacity import on_white
from models.superres.degrade import HARSH, USUAL, degrade
from models.superres.network import Compact, shape_of
from models.superres.start import started
from models.training.loop import (
    Ema,
    Progress,
    cosine,
    load_checkpoint,
    photo_paths,
    save_checkpoint,
)


@dataclass(frozen=True)
class SuperresRecipe:
    scale: int
    steps: int = 6000
    batch: int = 16
    patch: int = 32  # low-resolution pixels
    rate: float = 6e-4
    warmup: int = 100
    seed: int = 0
    clean: float = 0.35  # share of the inputs that are only reduced
    depth: int | None = None  # hidden convolutions; None: as in SHAPES
    harsh: bool = False  # heavy noise, blur and JPEG, too
    start: str = ""  # SHA-256 of the exported network at the start; empty: random weights
    knee: float = 1e-3  # of the loss: smaller errors count squared, larger ones linearly


def load_targets(paths: Iterable[Path], smallest: int) -> list[Image]:
    """Photos halved (JPEG traces vanish), but never below `smallest` + 16 px on the short side."""
    images = []
    for path in paths:
        with Pil.open(path) as photo:
            photo.draft("RGB", photo.size)
            rgb = on_white(photo)
        short = min(rgb.size)
        factor = max(0.5, (smallest + 16) / short)
        if factor < 0.75:  # less reduction than that would keep the traces
            size = (round(rgb.width * factor), round(rgb.height * factor))
            images.append(np.asarray(rgb.resize(size, Pil.Resampling.LANCZOS)))
    if not images:
        raise ValueError(f"no photo has a short side of {round((smallest + 16) / 0.75)} px")
    return images


def draw_batch(images: list[Image], recipe: SuperresRecipe, step: int) -> tuple[Tensor, Tensor]:
    """(B, 3, patch, patch) inputs and (B, 3, patch·scale, patch·scale) targets in [0, 1]."""
    rng = np.random.default_rng((recipe.seed, step))
    side = recipe.patch * recipe.scale
    worst = HARSH if recipe.harsh else USUAL
    inputs, targets = [], []
    for _ in range(recipe.batch):
        image = images[rng.integers(len(images))]
        top = rng.integers(image.shape[0] - side + 1)
        left = rng.integers(image.shape[1] - side + 1)
        target = np.rot90(image[top : top + side, left : left + side], int(rng.integers(4)))
        target = np.ascontiguousarray(target[:, ::-1] if rng.random() < 0.5 else target)
        inputs.append(degrade(target, recipe.scale, rng, recipe.clean, worst))
        targets.append(target)
    return to_tensor(inputs), to_tensor(targets)


def to_tensor(images: list[Image]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def charbonnier(got: Tensor, wanted: Tensor, knee: float) -> Tensor:
    return torch.sqrt((got - wanted) ** 2 + knee**2).mean()


def train(
    images: list[Image],
    recipe: SuperresRecipe,
    out: Path,
    *,
    start: Compact | None = None,
    save_every: int = 250,
) -> Compact:
    """Train `start` or a new network, or continue `out`/last.pt. Returns the averaged network."""
    torch.manual_seed(recipe.seed)
    network = start or Compact(recipe.scale, shape_of(recipe.scale, recipe.depth))
    network = network.to(memory_format=torch.channels_last)
    ema = Ema(network, 0.999, young=True)
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))
    parts = {"network": network, "ema": ema.network, "optimiser": optimiser}
    done = load_checkpoint(out / "last.pt", parts, asdict(recipe))
    progress = Progress(out / "log.jsonl", done, recipe.steps)
    for step in range(done, recipe.steps):
        rate = cosine(step, recipe.steps, recipe.rate, 1e-6, recipe.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
        inputs, targets = draw_batch(images, recipe, step)
        got = network(inputs.contiguous(memory_format=torch.channels_last))
        loss = charbonnier(got, targets, recipe.knee)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {step}: the loss is {loss.item()}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimiser.step()
        ema.update(network, step)
        progress(step + 1, loss=loss.item(), rate=rate)
        if (step + 1) % save_every == 0 or step + 1 == recipe.steps:
            save_checkpoint(out / "last.pt", parts, step + 1, asdict(recipe))
    return ema.network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--scale", type=int, choices=(2, 4), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--clean", type=float, default=SuperresRecipe.clean)
    parser.add_argument("--harsh", action="store_true")
    parser.add_argument("--depth", type=int)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--rate", type=float, default=SuperresRecipe.rate)
    parser.add_argument("--knee", type=float, default=SuperresRecipe.knee)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = SuperresRecipe(
        arguments.scale, steps=arguments.steps, patch=arguments.patch, seed=arguments.seed,
        clean=arguments.clean, depth=arguments.depth, rate=arguments.rate, knee=arguments.knee,
        harsh=arguments.harsh, start=_sha256(arguments.start),
    )  # fmt: skip
    begun = time.monotonic()
    images = load_targets(photo_paths(arguments.photos), recipe.patch * recipe.scale)
    sys.stderr.write(f"{len(images)} photos in {time.monotonic() - begun:.0f} s\n")
    start = arguments.start and started(arguments.start, recipe.scale, recipe.depth)
    train(images, recipe, arguments.out, start=start)


def _sha256(path: Path | None) -> str:
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
