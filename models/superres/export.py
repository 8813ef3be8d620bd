"""Export a trained checkpoint to ONNX.

python -m models.superres.export --checkpoint runs/x4/last.pt --to models/embedded
    [--name superres-x4-damaged --limit 4 1.3]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from models.onnx.exporter import export, register
from models.superres.damage import Damage
from models.superres.network import Compact, shape_of
from models.training.loop import read_checkpoint


def load_network(checkpoint: Path) -> Compact:
    """The averaged network of a checkpoint."""
    state = read_checkpoint(checkpoint)
    recipe = state["recipe"]
    network = Compact(recipe["scale"], shape_of(recipe["scale"], recipe.get("depth")))
    network.load_state_dict(state["parts"]["ema"])
    return network.eval()


def export_network(network: Compact, path: Path, limit: Damage | None = None) -> float:
    """Write the ONNX file and its manifest entry; returns the largest difference to torch.

    `limit`: for a network for damaged images, the damage above which it is picked.
    """
    examples = [torch.rand(1, 3, *size) for size in ((64, 48), (32, 96), (2, 2))]
    worst = export(network, examples, path, ["enlarged"], {2: "height", 3: "width"})
    facts: dict[str, float] = {
        "scale": network.scale,
        "reach": network.reach,
        "fold": network.shape.fold,
    }
    facts |= {} if limit is None else limit._asdict()
    register(path, "Apache-2.0", facts)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--name", help="default: superres-xSCALE")
    parser.add_argument(
        "--limit",
        type=float,
        nargs=2,
        metavar=("NOISE", "BLOCKS"),
        help="a network for images with more damage than this",
    )
    arguments = parser.parse_args()
    network = load_network(arguments.checkpoint)
    path = arguments.to / f"{arguments.name or f'superres-x{network.scale}'}.onnx"
    limit = Damage(*arguments.limit) if arguments.limit else None
    worst = export_network(network, path, limit)
    sys.stderr.write(f"{path}: largest difference to torch {worst:.1e}\n")


if __name__ == "__main__":
    main()
