"""Teach the decoder alone, on stored lessons: the ViT and the embedding stay as they are.

python -m models.student.decoder --stored runs/student/stored --start models/embedded/segment.onnx
    --out runs/student/decoder --steps 1500

A training that was killed goes on from its last checkpoint, which `models.segment.export` reads.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.segment.network import SegmentNet
from models.segment.settle import settle
from models.segment.train import batch_iou
from models.student.stored import StoredLessons
from models.student.train import load_network, mask_loss
from models.training.loop import Ema, Progress, cosine, load_checkpoint, save_checkpoint

SETTLING = 12  # batches that the norms of an exported network get used to


@dataclass(frozen=True)
class DecoderRecipe:
    steps: int = 1500
    batch: int = 16
    side: int = 252  # that of the stored lessons
    rate: float = 2e-3
    decay: float = 0.03
    warmup: int = 40
    momentum: float = 0.995
    seed: int = 0


def order(recipe: DecoderRecipe, samples: int, step: int) -> NDArray[np.intp]:
    """The lessons of a step: all of them once, in an order of chance, before any of them again."""
    each = samples // recipe.batch
    again, place = divmod(step, each)
    shuffled = np.random.default_rng((recipe.seed, again)).permutation(samples)
    return shuffled[place * recipe.batch : (place + 1) * recipe.batch]


def lesson(stored: StoredLessons, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (B, 3, S, S), masks (B, 1, S, S), sure (B,), tokens (B, T, W), all float32."""
    images = torch.from_numpy(stored.images[rows]).permute(0, 3, 1, 2).float() / 255
    masks = torch.from_numpy(stored.masks[rows])[:, None].float() / 255
    sure = torch.from_numpy(stored.sure[rows]).float()
    return images, masks, sure, torch.from_numpy(stored.tokens[rows]).float()


def train(
    stored: StoredLessons, recipe: DecoderRecipe, network: SegmentNet, out: Path
) -> SegmentNet:
    """Train (or go on from `out`/last.pt) and return the averaged network. ValueError when there
    are fewer lessons than a batch has.
    """
    if len(stored.sure) < recipe.batch:
        raise ValueError(f"{len(stored.sure)} lessons are no batch of {recipe.batch}")
    torch.manual_seed(recipe.seed)
    network = network.train().to(memory_format=torch.channels_last)
    for held in (network.vit, network.project):
        held.requires_grad_(False)
    ema = Ema(network, recipe.momentum, young=True)
    free = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(free, lr=recipe.rate, weight_decay=recipe.decay)
    parts: dict[str, nn.Module | torch.optim.Optimizer] = {
        "network": network, "ema": ema.network, "optimiser": optimiser,
    }  # fmt: skip
    done = load_checkpoint(out / "last.pt", parts, asdict(recipe))
    progress = Progress(out / "log.jsonl", done, recipe.steps, every=10)
    for step in range(done, recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine(step, recipe.steps, recipe.rate, recipe.rate / 100, recipe.warmup)
        figures = _learn(network, lesson(stored, order(recipe, len(stored.sure), step)), optimiser)
        ema.update(network, step)
        progress(step + 1, **figures)
        if (step + 1) % 50 == 0 or step + 1 == recipe.steps:
            save_checkpoint(out / "last.pt", parts, step + 1, asdict(recipe))
    return ema.network


def _learn(
    network: SegmentNet, given: tuple[Tensor, ...], optimiser: torch.optim.Optimizer
) -> dict[str, float]:
    """One step; what it measured."""
    images, masks, sure, tokens = given
    logits, _ = network.read(images.contiguous(memory_format=torch.channels_last), tokens)
    loss = mask_loss(logits, masks, sure)
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()}")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        got = (logits > 0)[sure > 0]
        return {"mask": loss.item(), "iou": batch_iou(got, (masks > 0.5)[sure > 0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    asked = ((int, ("steps", "batch", "side", "warmup", "seed")), (float, ("rate", "momentum")))
    for kind, names in asked:
        for name in names:
            parser.add_argument(f"--{name}", type=kind, default=getattr(DecoderRecipe, name))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    chosen = {name: getattr(arguments, name) for _, names in asked for name in names}
    recipe, stored = DecoderRecipe(**chosen), StoredLessons.open(arguments.stored)
    network = load_network(arguments.start)
    if arguments.start.suffix == ".onnx":
        rows = (order(recipe, len(stored.sure), step) for step in range(SETTLING))
        settle(network, (lesson(stored, each)[0] for each in rows))
    train(stored, recipe, network, arguments.out)


if __name__ == "__main__":
    main()
