"""Fine-tune ViT and decoder, end to end, on masks no person drew, soft or hard.

python -m models.segment.train --set PHOTOS MASKS WEIGHT [--set ...] --out runs/segment
    [--backbone runs/dino/last.pt] [--start runs/earlier/last.pt --side 224]

--start with an ONNX file goes on from a network that was exported.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.dino.exported import Exported
from models.dino.model import load_teacher
from models.dino.start import EXPORTED
from models.dino.vit import ViT
from models.segment.network import SegmentNet, network_of
from models.segment.restore import restore
from models.segment.samples import Pool, build_pool, draw
from models.segment.settle import settle
from models.training.augment import to_batch
from models.training.loop import (
    Ema,
    Progress,
    cosine,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)

SETTLING = 8  # batches


@dataclass(frozen=True)
class SegmentRecipe:
    steps: int = 2500
    batch: int = 16
    side: int = 128
    rate: float = 1.5e-3  # of the decoder
    vit_rate: float = 5e-4
    decay: float = 0.03
    warmup: int = 100
    momentum: float = 0.995
    seed: int = 0


def draw_batch(pool: Pool, recipe: SegmentRecipe, step: int) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, side, side) in [0, 1] and masks (B, 1, side, side) in [0, 1]."""
    rng = np.random.default_rng((recipe.seed, step))
    pairs = [draw(pool, rng, recipe.side) for _ in range(recipe.batch)]
    images = torch.from_numpy(to_batch([image for image, _ in pairs]))
    return images, torch.from_numpy(np.stack([mask for _, mask in pairs])[:, None])


def mask_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy plus half a dice loss over the pictures that show an object."""
    entropy = F.binary_cross_entropy_with_logits(logits, wanted)
    p, t = torch.sigmoid(logits).flatten(1), wanted.flatten(1)
    dice = 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)
    shown = (t.sum(1) > 0).float()
    return entropy + 0.5 * (dice * shown).sum() / shown.sum().clamp_min(1)


def train(
    pool: Pool,
    recipe: SegmentRecipe,
    out: Path,
    *,
    start: SegmentNet | None = None,
    backbone: ViT | None = None,
    anchor: SegmentNet | None = None,
    save_every: int = 100,
) -> SegmentNet:
    """Train (or go on from `out`/last.pt) and return the averaged network.

    `anchor`: whose embedding is kept to, where masks alone would not teach the head of it.
    """
    torch.manual_seed(recipe.seed)
    network = start or SegmentNet()
    if backbone is not None:
        network.vit.load_state_dict(backbone.state_dict())
    network = network.train().to(memory_format=torch.channels_last)
    ema = Ema(network, recipe.momentum, young=True)
    inner = {id(parameter) for parameter in network.vit.parameters()}
    head = [parameter for parameter in network.parameters() if id(parameter) not in inner]
    optimiser = torch.optim.AdamW(
        [{"params": head}, {"params": list(network.vit.parameters())}], weight_decay=recipe.decay
    )
    parts = {"network": network, "ema": ema.network, "optimiser": optimiser}
    done = load_checkpoint(out / "last.pt", parts, asdict(recipe))
    progress = Progress(out / "log.jsonl", done, recipe.steps)
    for step in range(done, recipe.steps):
        share = cosine(step, recipe.steps, 1.0, 0.002, recipe.warmup)
        for group, rate in zip(optimiser.param_groups, (recipe.rate, recipe.vit_rate), strict=True):
            group["lr"] = share * rate
        images, wanted = draw_batch(pool, recipe, step)
        logits, embedding = network(images.contiguous(memory_format=torch.channels_last))
        loss = mask_loss(logits, wanted)
        if anchor is not None:
            loss = loss + apart(embedding, anchor, images)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {step}: the loss is {loss.item()}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        ema.update(network, step)
        with torch.no_grad():
            iou = batch_iou(logits > 0, wanted > 0.5)
        progress(step + 1, loss=loss.item(), iou=iou, rate=share * recipe.rate)
        if (step + 1) % save_every == 0 or step + 1 == recipe.steps:
            save_checkpoint(out / "last.pt", parts, step + 1, asdict(recipe))
    return ema.network


def apart(embedding: Tensor, anchor: SegmentNet, images: Tensor) -> Tensor:
    """One minus the cosine between what two networks make of the same pictures."""
    with torch.no_grad():
        wanted = anchor.eval()(images)[1]
    return 1 - F.cosine_similarity(embedding, wanted, dim=-1).mean()


def batch_iou(got: Tensor, wanted: Tensor) -> float:
    both, either = (got & wanted).flatten(1).sum(1), (got | wanted).flatten(1).sum(1)
    return float((both / either.clamp_min(1))[wanted.flatten(1).any(1)].mean())


def load_network(checkpoint: Path) -> SegmentNet:
    """The averaged network of a segmentation checkpoint."""
    return network_of(read_checkpoint(checkpoint)["parts"]["ema"])


def load_start(path: Path, backbone: ViT | None, pictures: Iterable[Tensor]) -> SegmentNet:
    """The network of a checkpoint or an ONNX file, with this backbone. ValueError.

    `pictures` (B, 3, H, W): what a network without statistics of its own gets them from.
    """
    exported = path.suffix == EXPORTED
    network = restore(path) if exported else load_network(path)
    if backbone is not None:
        network.vit.load_state_dict(backbone.state_dict())
    if exported:
        settle(network, pictures)
    return network


def side_of(start: Path | None) -> int:
    """Of the pictures that a start was trained on. ValueError."""
    if start is None:
        return SegmentRecipe.side
    if start.suffix == EXPORTED:
        return Exported(start).side
    return int(read_checkpoint(start)["recipe"]["side"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", nargs=3, action="append", required=True, dest="sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backbone", type=Path, help="checkpoint of models.dino.train")
    parser.add_argument("--start", type=Path, help="checkpoint of this module, or segment.onnx")
    parser.add_argument("--steps", type=int, default=SegmentRecipe.steps)
    parser.add_argument("--side", type=int, help="default: that of the start")
    parser.add_argument("--rate", type=float, default=SegmentRecipe.rate)
    parser.add_argument("--vit-rate", type=float, default=SegmentRecipe.vit_rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    side = arguments.side or side_of(arguments.start)
    recipe = SegmentRecipe(
        steps=arguments.steps, side=side, rate=arguments.rate,
        vit_rate=arguments.vit_rate, seed=arguments.seed,
    )  # fmt: skip
    pool = build_pool((Path(p), Path(m), float(w)) for p, m, w in arguments.sets)
    backbone = load_teacher(arguments.backbone) if arguments.backbone else None
    start = anchor = None
    if arguments.start:
        later = range(recipe.steps, recipe.steps + SETTLING)  # batches that no step learns from
        pictures = (draw_batch(pool, recipe, step)[0] for step in later)
        start = load_start(arguments.start, backbone, pictures)
        if arguments.start.suffix == EXPORTED and not isinstance(start.project, nn.Identity):
            anchor = restore(arguments.start)
    train(pool, recipe, arguments.out, start=start, backbone=backbone, anchor=anchor)


if __name__ == "__main__":
    main()
