"""Speed and memory of the shipped networks.

python -m bench.networks [--threads 2] [--runs 15]

Each network runs in a process of its own, so that its memory is its own. The last column is the
median over that of a baseline measured in the same process: Pillow's bicubic enlargement, or the
resizing that brings a picture to the segmenter and its mask back.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as Pil

from models.serving.packs import load_segmenter, load_upscaler
from models.serving.runtime import Runtime

CASES = [
    ("upscale", 4, (96, 96)), ("upscale", 4, (320, 320)), ("upscale", 4, (270, 480)),
    ("upscale damaged", 4, (96, 96)), ("upscale damaged", 4, (320, 320)),
    ("upscale", 2, (320, 320)), ("upscale", 2, (700, 700)),
    ("segment", 1, (320, 320)), ("segment", 1, (448, 448)), ("segment", 1, (1350, 1080)),
]  # fmt: skip


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Pil.fromarray(coarse).resize((width, height), Pil.Resampling.BICUBIC))


def timed(work: Callable[[], object], runs: int) -> list[float]:
    work()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times


def resident() -> float:
    """MB in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(kind: str, scale: int, size: tuple[int, int], threads: int, runs: int) -> dict:
    image, runtime = picture(*size), Runtime(threads, idle_seconds=0)
    height, width = size
    if kind == "upscale damaged":  # noise picks the other network
        grain = np.random.default_rng(1).normal(0, 15, image.shape)
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    original = Pil.fromarray(image)
    if kind.startswith("upscale"):
        work = load_upscaler("embedded", scale, runtime)
        enlarged = (width * scale, height * scale)
        plain = timed(lambda: original.resize(enlarged, Pil.Resampling.BICUBIC), runs)
    else:
        work = load_segmenter("embedded", runtime)
        square = (224, 224)
        plain = timed(lambda: original.resize(square).resize((width, height)), runs)
    before = resident()
    ours = timed(lambda: work(image), runs)
    loaded = resident()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    runtime.evict_idle()
    return {
        "median": float(np.median(ours)), "p95": float(np.quantile(ours, 0.95)),
        "ratio": float(np.median(ours) / np.median(plain)),
        "before": before, "loaded": loaded, "peak": peak, "evicted": resident(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--case", type=int, help="measure one case here and print JSON")
    arguments = parser.parse_args()
    if arguments.case is not None:
        print(json.dumps(measure(*CASES[arguments.case], arguments.threads, arguments.runs)))
        return
    print(f"{arguments.threads} threads, {arguments.runs} runs each")
    print("| network | input (H×W) | median ms | p95 ms | × baseline | RSS before → loaded, peak, "
          "after eviction (MB) |")  # fmt: skip
    print("|---|---|---|---|---|---|")
    for number, (kind, scale, (height, width)) in enumerate(CASES):
        command = [sys.executable, "-m", "bench.networks", "--case", str(number)]
        command += ["--threads", str(arguments.threads), "--runs", str(arguments.runs)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        row = json.loads(done.stdout)
        name = kind.replace("upscale", f"superres-x{scale}").replace(" ", "-")
        print(
            f"| {name} | {height}×{width} | {row['median'] * 1e3:.0f} | {row['p95'] * 1e3:.0f} "
            f"| {row['ratio']:.0f} | {row['before']:.0f} → {row['loaded']:.0f}, {row['peak']:.0f}, "
            f"{row['evicted']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
