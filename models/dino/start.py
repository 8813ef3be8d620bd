"""What a training starts from: official weights in the hub's layout, an earlier checkpoint, or the
backbone of an exported segmenter."""

from __future__ import annotations

import hashlib
from pathlib import Path

from models.dino.exported import load_exported
from models.dino.hub import load_hub, regridded, weight_file
from models.dino.model import load_teacher
from models.dino.vit import ViT

EXPORTED = ".onnx"


def load_start(path: Path, grid: int | None = None) -> ViT:
    """The ViT of a folder (hub's layout) or file (our checkpoint, or a segmenter's ONNX file),
    positions on grid × grid.

    WeightsError, ValueError.
    """
    if path.is_dir():
        return load_hub(path, grid)
    vit = load_exported(path) if path.suffix == EXPORTED else load_teacher(path)
    return vit if grid in {None, vit.shape.grid} else regridded(vit, int(grid or 0))


def fingerprint(path: Path) -> str:
    """16 hex digits of the SHA-256 of the weights, so that a recipe says what it started from."""
    file = weight_file(path) if path.is_dir() else path
    with file.open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()[:16]
