"""Lessons drawn once, with what the frozen ViT makes of them: a decoder learns faster from them.

python -m models.student.stored --photos ROOT --targets DIR --start models/embedded/segment.onnx
    --side 252 --samples 4000 --out runs/student/stored

One NPY file for each array of `StoredLessons`, mapped into memory. A run that was killed goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import cv2
import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from models.segment.network import SegmentNet
from models.student.photos import learning
from models.student.samples import PhotoPool, draw, load_pool
from models.student.train import load_network
from models.training.augment import to_batch

SEED = 1


@dataclass(frozen=True, slots=True)
class StoredLessons:
    """N lessons, S px a side, T tokens of W values."""

    images: NDArray[np.uint8]  # (N, S, S, 3)
    masks: NDArray[np.uint8]  # (N, S, S): 255 is sure
    sure: NDArray[np.bool_]  # (N,): whether the mask is to be learned
    tokens: NDArray[np.float16]  # (N, T, W), after the ViT's last norm

    @classmethod
    def open(cls, folder: Path, mode: Literal["r", "r+"] = "r") -> Self:
        """Raises OSError or ValueError when there is none."""
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode=mode) for name in cls.__slots__))

    @classmethod
    def create(cls, folder: Path, samples: int, side: int, network: SegmentNet) -> Self:
        shape = network.vit.shape
        square = (samples, side, side)
        sizes: dict[str, tuple[tuple[int, ...], Any]] = {
            "images": ((*square, 3), np.uint8),
            "masks": (square, np.uint8),
            "sure": ((samples,), np.bool_),
            "tokens": ((samples, 1 + (side // shape.patch) ** 2, shape.width), np.float16),
        }
        folder.mkdir(parents=True, exist_ok=True)
        return cls(
            *(
                open_memmap(folder / f"{name}.npy", "w+", dtype, size)
                for name, (size, dtype) in sizes.items()
            )
        )


@torch.no_grad()
def store(
    pool: PhotoPool, network: SegmentNet, folder: Path, samples: int, side: int, batch: int = 8
) -> StoredLessons:
    """Draw `samples` lessons into `folder`, or go on where it ended. The network is frozen."""
    network.eval()
    progress = folder / "done.json"
    done = int(json.loads(progress.read_text())) if progress.exists() else 0
    stored = (
        StoredLessons.open(folder, "r+")
        if done
        else StoredLessons.create(folder, samples, side, network)
    )
    for first in range(done, len(stored.sure), batch):
        places = range(first, min(first + batch, len(stored.sure)))
        drawn = [draw(pool, np.random.default_rng((SEED, place)), side) for place in places]
        images = np.stack([sample.image for sample in drawn])
        part = slice(places.start, places.stop)
        stored.images[part] = images
        stored.masks[part] = np.rint(np.stack([sample.mask for sample in drawn]) * 255)
        stored.sure[part] = [sample.sure for sample in drawn]
        stored.tokens[part] = network.vit(torch.from_numpy(to_batch(list(images)))).numpy()
        progress.write_text(json.dumps(places.stop))
        if first // batch % 25 == 0:
            sys.stderr.write(f"{places.stop}/{len(stored.sure)}\n")
            sys.stderr.flush()
    return stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--targets", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--side", type=int, default=252)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    pool = load_pool(learning(arguments.photos), arguments.targets)
    network = load_network(arguments.start)
    store(pool, network, arguments.out, arguments.samples, arguments.side)


if __name__ == "__main__":
    main()
