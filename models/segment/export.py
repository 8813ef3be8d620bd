"""Export a trained checkpoint to one ONNX file with two outputs: mask and embedding.

python -m models.segment.export --checkpoint runs/segment/last.pt --to models/embedded
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from models.onnx.exporter import export, register, round_to_half
from models.onnx.int8 import round_to_int8
from models.segment.network import SegmentNet, Served
from models.segment.train import load_network
from models.serving.packs import embedded_weights
from models.training.loop import read_checkpoint

LIMITS = (0.45, 0.7)  # threshold and least confidence when nothing is said
LARGE = 384  # width of a ViT whose weights are stored in eight bits; in half precision below


def export_network(
    network: SegmentNet, path: Path, side: int, threshold: float, least_confidence: float = 0.7
) -> float:
    """Write the ONNX file and its manifest entry; returns the largest difference to torch."""
    if network.vit.shape.width >= LARGE:
        round_to_int8(network)  # before the comparison: what is shipped is what is measured
    else:
        round_to_half(network)
    torch.manual_seed(0)
    examples = [torch.rand(1, 3, side, side), torch.zeros(1, 3, side, side)]
    worst = export(Served(network.eval()), examples, path, ["probability", "embedding"], {})
    facts = {
        "side": side,
        "threshold": threshold,
        "least_confidence": least_confidence,
        "least_area": 0.01,
        "dimensions": network.dimensions,
    }
    register(path, "Apache-2.0", facts)
    return worst


def limits_of(folder: Path) -> tuple[float, float]:
    """Threshold and least confidence of an exported network. Raises WeightsError."""
    facts = embedded_weights("segment", folder).facts
    return float(facts["threshold"]), float(facts["least_confidence"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--side", type=int, help="of the input; default: as it was trained")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--least-confidence", type=float)
    parser.add_argument("--limits-of", type=Path, help="folder of a network: both as it has them")
    arguments = parser.parse_args()
    path = arguments.to / "segment.onnx"
    network = load_network(arguments.checkpoint)
    side = arguments.side or int(read_checkpoint(arguments.checkpoint)["recipe"]["side"])
    known = limits_of(arguments.limits_of) if arguments.limits_of else LIMITS
    said = arguments.threshold, arguments.least_confidence
    limits = (own if own is not None else other for own, other in zip(said, known, strict=True))
    worst = export_network(network, path, side, *limits)
    sys.stderr.write(f"{path}: largest difference to torch {worst:.1e}\n")


if __name__ == "__main__":
    main()
