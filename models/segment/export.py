"""Export a trained checkpoint to one ONNX file with two outputs: mask and embedding.

python -m models.segment.export --checkpoint runs/segment/last.pt --to models/embedded
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from models.onnx.exporter import export, register, round_to_half
from models.segment.network import SegmentNet, Served
from models.segment.train import load_network
from models.training.loop import read_checkpoint


def export_network(network: SegmentNet, path: Path, side: int, threshold: float) -> float:
    """Write the ONNX file and its manifest entry; returns the largest difference to torch."""
    round_to_half(network)  # before the comparison: what is shipped is what is measured
    torch.manual_seed(0)
    examples = [torch.rand(1, 3, side, side), torch.zeros(1, 3, side, side)]
    worst = export(Served(network.eval()), examples, path, ["probability", "embedding"], {})
    facts = {
        "side": side,
        "threshold": threshold,
        "least_confidence": 0.7,
        "least_area": 0.01,
        "dimensions": 2 * network.vit.shape.width,
    }
    register(path, "Apache-2.0", facts)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--side", type=int, help="of the input; default: as it was trained")
    parser.add_argument("--threshold", type=float, default=0.45)
    arguments = parser.parse_args()
    path = arguments.to / "segment.onnx"
    network = load_network(arguments.checkpoint)
    side = arguments.side or int(read_checkpoint(arguments.checkpoint)["recipe"]["side"])
    worst = export_network(network, path, side, arguments.threshold)
    sys.stderr.write(f"{path}: largest difference to torch {worst:.1e}\n")


if __name__ == "__main__":
    main()
