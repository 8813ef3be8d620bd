"""What other networks say of the photos the student learns from: computed once, kept in a folder.

python -m models.student.targets --photos ROOT --masks u2netp.onnx --out DIR
    [--features clip.onnx] [--part 0/2 --count 4000]

The mask teacher is U²-Net in rembg's ONNX layout (320², ImageNet's mean and deviation, its first
output stretched to 0..1); that of the embedding is CLIP's image tower (224², CLIP's mean and
deviation). One NPZ per photo under its name, of the photo squeezed to a square: `mask` (320, 320)
uint8, and where there is a teacher of features, `feature` (512,) float16 of length 1. A photo that
is there already is passed over.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from models.base import Image
from models.serving.runtime import Runtime
from models.student.photos import Photo, learning

Floats = NDArray[np.float32]

MASK_SIDE, FEATURE_SIDE = 320, 224
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


class Teachers:
    """(H, W, 3) uint8 → soft mask and feature."""

    def __init__(self, masks: Path, features: Path | None, threads: int = 1) -> None:
        self.masks, self.features = masks, features
        self.runtime = Runtime(threads=threads)

    def mask(self, image: Image) -> NDArray[np.uint8]:
        """(320, 320) uint8: 255 is sure."""
        found = self.runtime.run_first(self.masks, squeezed(image, MASK_SIDE, IMAGENET))[0, 0]
        stretched = (found - found.min()) / max(float(np.ptp(found)), 1e-6)
        return np.rint(stretched * 255).astype(np.uint8)

    def targets(self, image: Image) -> dict[str, NDArray[Any]]:
        """By the name in the file."""
        found: dict[str, NDArray[Any]] = {"mask": self.mask(image)}
        if self.features is not None:
            found["feature"] = self.feature(image)
        return found

    def feature(self, image: Image) -> NDArray[np.float16]:
        """(512,) float16 of length 1. ValueError without a teacher of features."""
        if self.features is None:
            raise ValueError("no network gives features")
        found = self.runtime.run_first(self.features, squeezed(image, FEATURE_SIDE, CLIP))[0]
        return (found / np.linalg.norm(found)).astype(np.float16)


def squeezed(image: Image, side: int, norm: tuple[tuple[float, ...], tuple[float, ...]]) -> Floats:
    """(1, 3, side, side) float32, normalised."""
    square = Pil.fromarray(image).resize((side, side), Pil.Resampling.BICUBIC)
    mean, deviation = (np.array(part, np.float32) for part in norm)
    x = (np.asarray(square, np.float32) / np.float32(255) - mean) / deviation
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def target_path(out: Path, photo: Photo) -> Path:
    return out / f"{photo.name}.npz"


def make(photos: list[Photo], teachers: Teachers, out: Path) -> int:
    """Targets of those photos that have none yet; returns how many were made."""
    made, started = 0, time.monotonic()
    for number, photo in enumerate(photos, start=1):
        path = target_path(out, photo)
        if path.exists():
            continue
        with Pil.open(photo.path) as opened:
            image = np.asarray(opened.convert("RGB"))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **teachers.targets(image))
        partial.replace(path)
        made += 1
        if made % 100 == 0:
            each = (time.monotonic() - started) / made
            sys.stderr.write(f"{number}/{len(photos)}, {each:.2f} s each\n")
            sys.stderr.flush()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--part", default="0/1", help="which of how many processes this one is")
    arguments = parser.parse_args()
    part, parts = (int(number) for number in arguments.part.split("/"))
    photos = learning(arguments.photos)[: arguments.count]
    teachers = Teachers(arguments.masks, arguments.features)
    made = make(photos[part::parts], teachers, arguments.out)
    sys.stderr.write(f"{made} made\n")


if __name__ == "__main__":
    main()
