"""Stands for the trainings where a test is about what goes on around them: seconds, no torch.

    python -m tests.trainer WORK FOLDER

It leaves what each stage leaves, and breaks in every way that a training can break in.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from tests.paths import ROOT

ENDLESS = str(10**9)  # steps
VARIABLE = "TEST_EMBEDDED"  # where another folder than the one we ship is named
EMBEDDED = Path(os.environ.get(VARIABLE, ROOT / "models" / "embedded"))


def count(folder: Path, times: int) -> None:
    """As a training does: a checkpoint with every step, and going on from it."""
    path, new = folder / "steps.txt", folder / "steps.new"
    done = int(path.read_text()) if path.exists() else 0
    print(f"from step {done}", file=sys.stderr)
    for step in range(done, times):
        new.write_text(str(step + 1))
        new.replace(path)


def masks(folder: Path, part: str) -> None:
    """What the network to come will say, so that it agrees with its teacher."""
    import numpy as np
    from PIL import Image as Pil

    from models.segment.segmenter import OnnxSegmenter
    from models.serving.packs import embedded_weights
    from models.serving.runtime import Runtime

    export(folder)
    segmenter = OnnxSegmenter(embedded_weights("segment", folder / "export"), Runtime(1))
    out = folder / "masks" / part
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((folder / "photos" / part).glob("*.jpg")):
        mask = segmenter(np.asarray(Pil.open(path))).mask
        Pil.fromarray(mask.astype(np.uint8) * 255).save(out / f"{path.stem}.png")


def export(folder: Path, threshold: float = 0.02, fields: int = 1) -> None:
    """The shipped network, a little longer, with another threshold: other masks, same vectors."""
    out = folder / "export"
    out.mkdir(exist_ok=True)
    shutil.copyfile(EMBEDDED / "segment.onnx", out / "segment.onnx")
    with (out / "segment.onnx").open("ab") as file:
        file.write(b"\x32\x00" * fields)  # empty ones of the format: read and forgotten
    entry = json.loads((EMBEDDED / "manifest.json").read_text())["segment"]
    entry["sha256"] = hashlib.sha256((out / "segment.onnx").read_bytes()).hexdigest()
    entry["facts"] |= {"threshold": threshold, "least_confidence": 0, "least_area": 0}
    (out / "manifest.json").write_text(json.dumps({"segment": entry}))


def main() -> None:
    work, folder = sys.argv[1], Path(sys.argv[2])
    if work == "count":
        count(folder, int(sys.argv[3]))
    elif work == "masks":
        masks(folder, sys.argv[3])
    elif work == "export":
        export(folder, float(sys.argv[3]) if len(sys.argv) > 3 else 0.02)
    elif work == "nan":
        raise FloatingPointError("step 12: the loss is nan")
    elif work == "checkpoint":
        raise ValueError(f"{folder}/dino/last.pt is not a checkpoint of this project")
    elif work == "full":
        with Path("/dev/full").open("w", encoding="utf-8") as file:
            file.write("x" * 100_000)
    elif work == "memory":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
