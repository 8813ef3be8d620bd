"""PSNR and SSIM of the shipped upscalers against bicubic interpolation, on luma.

python -m models.superres.evaluate --sets DIR [DIR ...] [--weights models/embedded] [--json]

Each folder holds high-resolution references. They are reduced: `clean` by antialiased bicubic;
`light`, `degraded` and `heavy` by blur, bicubic, noise and JPEG of fixed strengths, `real-world` by
strengths drawn from wide ranges; see `models.superres.degrade`. As usual, `scale` pixels are cut
from each border.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from skimage.metrics import structural_similarity

from models.base import Image, Upscaler
from models.images.opacity import on_white
from models.serving.packs import EMBEDDED
from models.serving.runtime import Runtime
from models.superres.degrade import REAL_WORLD, STRENGTHS, degrade_for_benchmark, shrink
from models.superres.upscaler import embedded

INPUTS = ("clean", *STRENGTHS, REAL_WORLD)
Plane = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScaleFigures:
    set: str
    scale: int
    input: str
    images: int
    psnr_bicubic: float
    psnr: float
    ssim_bicubic: float
    ssim: float

    @property
    def gain(self) -> float:
        return self.psnr - self.psnr_bicubic


def luma(image: Image) -> Plane:
    """ITU-R BT.601 Y of (H, W, 3) uint8, 16..235."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    plane: Plane = image.astype(np.float64) @ weights + 16
    return plane


def psnr(got: Plane, wanted: Plane) -> float:
    """In dB, for a peak of 255."""
    error = float(((got - wanted) ** 2).mean())
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(got: Plane, wanted: Plane) -> float:
    return float(
        structural_similarity(
            got,
            wanted,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def bicubic(image: Image, scale: int) -> Image:
    size = (image.shape[1] * scale, image.shape[0] * scale)
    return np.asarray(Pil.fromarray(image).resize(size, Pil.Resampling.BICUBIC))


def references(folder: Path, scale: int) -> list[Image]:
    images = []
    for path in sorted(folder.glob("*.png")):
        with Pil.open(path) as opened:
            image = np.asarray(on_white(opened))
        height, width = (side // scale * scale for side in image.shape[:2])
        images.append(np.ascontiguousarray(image[:height, :width]))
    if not images:
        raise ValueError(f"no PNG files in {folder}")
    return images


def compare(folder: Path, upscaler: Upscaler, reduce: str) -> ScaleFigures:
    scale = upscaler.scale
    figures = []
    images = references(folder, scale)
    for seed, image in enumerate(images):
        if reduce == "clean":
            small = shrink(image, scale)
        else:
            small = degrade_for_benchmark(image, scale, seed, reduce)
        inner = np.s_[scale:-scale, scale:-scale]
        wanted = luma(image)[inner]
        plain, ours = luma(bicubic(small, scale))[inner], luma(upscaler(small))[inner]
        figures.append(
            (psnr(plain, wanted), psnr(ours, wanted), ssim(plain, wanted), ssim(ours, wanted))
        )
    means = [round(float(value), 4) for value in np.mean(figures, axis=0)]
    return ScaleFigures(folder.name, scale, reduce, len(images), *means)


def table(rows: list[ScaleFigures]) -> str:
    lines = [
        "| set | scale | input | images | bicubic dB | ours dB | gain | bicubic SSIM | ours SSIM |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.set} | ×{r.scale} | {r.input} | {r.images} | {r.psnr_bicubic:.2f} | {r.psnr:.2f} "
        f"| {r.gain:+.2f} | {r.ssim_bicubic:.4f} | {r.ssim:.4f} |"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    parser.add_argument("--scales", type=int, nargs="+", default=[4, 2])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    runtime = Runtime(threads=1)
    rows = []
    for scale in arguments.scales:
        upscaler = embedded(scale, runtime, arguments.weights)
        for folder in arguments.sets:
            rows += [compare(folder, upscaler, reduce) for reduce in INPUTS]
    text = json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else table(rows)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
