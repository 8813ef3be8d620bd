"""Teach the student: masks and features of its teachers, its last blocks free or all frozen.

python -m models.student.train --photos ROOT --targets DIR --start runs/student/start.pt
    --out runs/student/frozen --free 0 --steps 500 --batch 24
python -m models.student.train … --start models/embedded/segment.onnx --out runs/student/tuned
    --free 6 --steps 1500 --rate 0.001

A training that was killed goes on from its last checkpoint. bfloat16 where it is asked for: on
processors that compute in it, twice as fast.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, Dataset

from models.segment.network import SegmentNet
from models.segment.restore import restore
from models.segment.settle import settle
from models.segment.train import batch_iou
from models.student.features import Basis, basis_of
from models.student.photos import learning
from models.student.samples import PhotoPool, draw, load_pool
from models.student.start import GRID, SHAPE
from models.training.augment import to_batch
from models.training.loop import (
    Ema,
    Progress,
    cosine,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)

DIMENSIONS = 384
SETTLING = 12  # batches that the norms of an exported network get used to


@dataclass(frozen=True)
class StudentRecipe:
    steps: int = 500
    batch: int = 16
    side: int = 224
    free: int = 0  # of the ViT's blocks, the last ones, that learn
    rate: float = 2e-3  # of decoder and head
    vit_rate: float = 1e-4  # of the last block
    layer_decay: float = 0.8  # of the rate, from a block to the one before it
    decay: float = 0.03
    warmup: int = 40
    momentum: float = 0.995
    likeness: float = 1.0  # weight of the features' loss
    fall: int = 1  # 0: the rates stay, so that a training may be stopped at any step
    seed: int = 0


class Lessons(Dataset[tuple[Tensor, ...]]):
    """Step → pictures (B, 3, S, S), masks (B, 1, S, S), sure (B,), features (B, D), known (B,)."""

    def __init__(self, pool: PhotoPool, wanted: NDArray[np.float32], recipe: StudentRecipe) -> None:
        self.pool, self.wanted, self.recipe = pool, wanted, recipe

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng((self.recipe.seed, step))
        drawn = [draw(self.pool, rng, self.recipe.side) for _ in range(self.recipe.batch)]
        return (
            torch.from_numpy(to_batch([sample.image for sample in drawn])),
            torch.from_numpy(np.stack([sample.mask for sample in drawn])[:, None]),
            torch.tensor([float(sample.sure) for sample in drawn]),
            torch.from_numpy(self.wanted[[max(sample.feature, 0) for sample in drawn]]),
            torch.tensor([sample.feature >= 0 for sample in drawn]),
        )


def batches(lessons: Lessons, first: int, workers: int) -> Iterator[tuple[Tensor, ...]]:
    """From step `first` on, drawn ahead by `workers` other processes; 0: by this one.

    OpenCV's threads must be off before: those of a process that forked wait for ever.
    """
    yield from DataLoader(
        lessons, batch_size=None, sampler=range(first, lessons.recipe.steps), num_workers=workers,
        prefetch_factor=3 if workers else None,
    )  # fmt: skip


def mask_loss(logits: Tensor, wanted: Tensor, sure: Tensor) -> Tensor:
    """Binary cross-entropy, heavier near the object's edge, plus a soft dice loss where there is an
    object; both over the pictures whose mask is `sure` (B,).
    """
    edge = (F.avg_pool2d(wanted, 15, 1, 7) - wanted).abs()
    weight = 1 + 4 * edge
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight
    each = entropy.flatten(1).sum(1) / weight.flatten(1).sum(1)
    p, t = torch.sigmoid(logits).flatten(1), wanted.flatten(1)
    dice = 1 - (2 * (p * t).sum(1) + 1) / ((p * p).sum(1) + (t * t).sum(1) + 1)
    shown = sure * (t.sum(1) > 1).float()
    whole = (each * sure).sum() / sure.sum().clamp_min(1)
    return whole + 0.7 * (dice * shown).sum() / shown.sum().clamp_min(1)


def likeness_loss(got: Tensor, wanted: Tensor) -> Tensor:
    """(M, D) each, `wanted` of length 1: apart from what is wanted, and otherwise near each other.

    One minus the cosine, and the cross-entropy of the batch's similarities.
    """
    if len(got) < 2:
        return got.sum() * 0
    ours = F.normalize(got, dim=-1)
    apart = 1 - (ours * wanted).sum(1).mean()
    same = torch.arange(len(got))
    contrast = F.cross_entropy(ours @ wanted.T / 0.1, same)
    return apart + 0.25 * contrast


def tokens(network: SegmentNet, x: Tensor, free: int) -> Tensor:
    """The ViT's tokens, of which only the last `free` blocks are remembered for learning."""
    vit = network.vit
    held = len(vit.blocks) - free
    with torch.set_grad_enabled(held <= 0 and torch.is_grad_enabled()):
        t = vit.first(x)
        for block in vit.blocks[: max(held, 0)]:
            t = block(t)
    for block in vit.blocks[max(held, 0) :]:
        t = block(t)
    out: Tensor = vit.norm(t)
    return out


def parameter_groups(network: SegmentNet, recipe: StudentRecipe) -> list[dict[str, object]]:
    """Each with its share of the rates; what is frozen is in none."""
    inner = {id(parameter) for parameter in network.vit.parameters()}
    head = [parameter for parameter in network.parameters() if id(parameter) not in inner]
    groups: list[dict[str, object]] = [{"params": head, "base": recipe.rate}]
    if recipe.free:
        groups.append({"params": list(network.vit.norm.parameters()), "base": recipe.vit_rate})
    blocks = list(network.vit.blocks)
    for depth in range(min(recipe.free, len(blocks))):
        base = recipe.vit_rate * recipe.layer_decay**depth
        groups.append({"params": list(blocks[-1 - depth].parameters()), "base": base})
    return groups


@dataclass(frozen=True, slots=True)
class Host:
    """How it is trained here; no figure depends on it but by rounding."""

    save_every: int = 50  # steps
    bfloat16: bool = False
    workers: int = 0  # processes that prepare lessons


def train(
    pool: PhotoPool,
    basis: Basis,
    recipe: StudentRecipe,
    network: SegmentNet,
    out: Path,
    machine: Host = Host(),
) -> SegmentNet:
    """Train (or go on from `out`/last.pt) and return the averaged network."""
    torch.manual_seed(recipe.seed)
    network = network.train().to(memory_format=torch.channels_last)
    ema = Ema(network, recipe.momentum, young=True)
    groups = parameter_groups(network, recipe)
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.decay)
    parts: dict[str, nn.Module | torch.optim.Optimizer] = {
        "network": network, "ema": ema.network, "optimiser": optimiser,
    }  # fmt: skip
    done = load_checkpoint(out / "last.pt", parts, asdict(recipe))
    progress = Progress(out / "log.jsonl", done, recipe.steps, every=10)
    lessons = Lessons(pool, basis.wanted(pool.features), recipe)
    for step, batch in enumerate(batches(lessons, done, machine.workers), start=done):
        share = cosine(step, recipe.steps, 1.0, 0.01 if recipe.fall else 1.0, recipe.warmup)
        for group in optimiser.param_groups:
            group["lr"] = share * group["base"]
        figures = _learn(network, batch, recipe, optimiser, bfloat16=machine.bfloat16)
        ema.update(network, step)
        progress(step + 1, **figures)
        if (step + 1) % machine.save_every == 0 or step + 1 == recipe.steps:
            save_checkpoint(out / "last.pt", parts, step + 1, asdict(recipe))
    return ema.network


def _learn(
    network: SegmentNet,
    batch: tuple[Tensor, ...],
    recipe: StudentRecipe,
    optimiser: torch.optim.Optimizer,
    *,
    bfloat16: bool,
) -> dict[str, float]:
    """One step; what it measured."""
    images, masks, sure, features, known = batch
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits, embedding = network.read(images, tokens(network, images, recipe.free))
    logits, embedding = logits.float(), embedding.float()
    mask = mask_loss(logits, masks, sure)
    like = likeness_loss(embedding[known], features[known])
    loss = mask + recipe.likeness * like
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()}")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        got = (logits > 0)[sure > 0]
        iou = batch_iou(got, (masks > 0.5)[sure > 0])
        cosines = F.normalize(embedding[known], dim=-1) * features[known]
    return {"mask": mask.item(), "like": like.item(), "iou": iou,
            "cosine": float(cosines.sum(1).mean())}  # fmt: skip


def fresh(state: dict[str, Tensor] | None = None) -> SegmentNet:
    """The student's architecture; with the start's weights in its ViT when given."""
    network = SegmentNet(SHAPE._replace(grid=GRID), DIMENSIONS, light=True)
    if state is not None:
        network.vit.load_state_dict(state)
    return network


def load_network(path: Path) -> SegmentNet:
    """Of a checkpoint, averaged; of an exported ONNX file; or with the ViT of
    `models.student.start`. ValueError.

    The batch norms of an exported one must be settled before it learns.
    """
    if path.suffix == ".onnx":
        return restore(path)
    stored = torch.load(path, weights_only=True, map_location="cpu")
    if "parts" not in stored:
        return fresh(stored)
    network = fresh()
    network.load_state_dict(read_checkpoint(path)["parts"]["ema"])
    return network


def settled(network: SegmentNet, lessons: Lessons) -> None:
    """Get the norms of an exported network used to what it will be shown."""
    settle(network, (lessons[step][0] for step in range(SETTLING)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--targets", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--most", type=int, help="photos, the first of the list")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    asked = (
        ("steps", "batch", "side", "free", "fall", "seed", "warmup"),
        ("rate", "vit_rate", "momentum", "likeness"),
    )
    for kind, names in zip((int, float), asked, strict=True):
        for name in names:
            option = "--" + name.replace("_", "-")
            parser.add_argument(option, type=kind, default=getattr(StudentRecipe, name))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    chosen = {name: getattr(arguments, name) for names in asked for name in names}
    recipe = StudentRecipe(**chosen)
    pool = load_pool(learning(arguments.photos)[: arguments.most], arguments.targets)
    basis = basis_of(arguments.targets / "basis.npz", pool.features)
    network = load_network(arguments.start)
    if arguments.start.suffix == ".onnx":
        settled(network, Lessons(pool, basis.wanted(pool.features), recipe))
    machine = Host(bfloat16=arguments.bfloat16, workers=1)
    train(pool, basis, recipe, network, arguments.out, machine)


if __name__ == "__main__":
    main()
