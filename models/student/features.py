"""What the embedding shall be like: the teacher's features, centred and in fewer dimensions.

All features of such a teacher lie in a narrow cone; less their mean, near and far differ more. The
basis is that of the principal components, found once and kept beside the targets. A training that
goes on from an exported network, whose basis is not at hand, needs one turned to what that network
gives:

python -m models.student.features --photos ROOT --targets DIR --like models/embedded [--most 500]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from models.segment.segmenter import OnnxSegmenter
from models.serving.packs import embedded_weights
from models.serving.runtime import Runtime
from models.student.photos import learning
from models.student.targets import target_path

Floats = NDArray[np.float32]

DIMENSIONS = 384


@dataclass(frozen=True, slots=True)
class Basis:
    mean: Floats  # (D,)
    axes: Floats  # (D, d)

    def wanted(self, features: Floats) -> Floats:
        """(N, D) → (N, d) of length 1."""
        turned = (features - self.mean) @ self.axes
        found: Floats = turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-6)
        return found


def basis_of(path: Path, features: Floats, dimensions: int = DIMENSIONS) -> Basis:
    """The basis that `path` keeps; found from `features` (N, D) and kept when there is none."""
    if path.exists():
        with np.load(path) as stored:
            return Basis(stored["mean"], stored["axes"])
    mean = features.mean(0)
    _, vectors = np.linalg.eigh(np.cov((features - mean).T))
    basis = Basis(mean, np.ascontiguousarray(vectors[:, ::-1][:, :dimensions], np.float32))
    np.savez(path, mean=basis.mean, axes=basis.axes)
    return basis


def turned(basis: Basis, features: Floats, embeddings: Floats) -> Basis:
    """The basis in which `wanted(features)` (N, d) lies nearest to `embeddings` (N, d).

    The rotation of Schönemann's orthogonal Procrustes problem (Psychometrika, 1966).
    """
    left, _, right = np.linalg.svd(basis.wanted(features).T @ embeddings)
    return Basis(basis.mean, np.ascontiguousarray(basis.axes @ (left @ right), np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--targets", type=Path, required=True)
    parser.add_argument("--like", type=Path, required=True, help="folder of an exported network")
    parser.add_argument("--most", type=int, default=500, help="photos that it is shown")
    asked = parser.parse_args()
    out = asked.targets / "basis.npz"
    if out.exists():
        sys.exit(f"error: {out} is there already")
    photos = [p for p in learning(asked.photos) if target_path(asked.targets, p).exists()]
    features = np.stack([feature_of(target_path(asked.targets, photo)) for photo in photos])
    found = basis_of(asked.targets / "components.npz", features)
    segmenter = OnnxSegmenter(embedded_weights("segment", asked.like), Runtime(threads=2))
    shown = np.random.default_rng(0).permutation(len(photos))[: asked.most]
    given = []
    for place in shown:
        with Pil.open(photos[place].path) as opened:
            given.append(segmenter(np.asarray(opened.convert("RGB"))).embedding)
    basis = turned(found, features[shown], np.stack(given))
    np.savez(out, mean=basis.mean, axes=basis.axes)
    likeness = (basis.wanted(features[shown]) * np.stack(given)).sum(1).mean()
    sys.stderr.write(f"{out}: mean cosine to what the network gives {likeness:.2f}\n")


def feature_of(path: Path) -> Floats:
    """(D,) of length 1: what the teacher said of a photo, in the file of its targets."""
    with np.load(path) as stored:
        found: Floats = stored["feature"].astype(np.float32)
    return found


if __name__ == "__main__":
    main()
