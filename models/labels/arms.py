"""What a DINO backbone's features tell of wrong hashtags, by the methods that are also served.

python -m models.labels.arms --posts posts.jsonl --checkpoint runs/dino/best.pt

Needs the [learn] extra. Without a checkpoint: an untrained ViT. `kernel` is the regression that the
service makes on outlines, here on the backbone's features.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from models.base import WeightsError
from models.dino.select import Features, embed, read_selection
from models.dino.start import load_start
from models.dino.vit import ViT
from models.labels.fits import Method
from models.labels.noise import SEEDS, Detection, detect

RATES = (0.1, 0.2, 0.4)
SHOWN = {Method.KNN: "knn", Method.PROBE: "probe", Method.OUTLINE: "kernel"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=Path, required=True, help="photos lie below its folder")
    parser.add_argument("--checkpoint", type=Path, help="ours, or a folder in the hub's layout")
    parser.add_argument("--limit", type=int, default=100_000, help="photos")
    parser.add_argument("--side", type=int, default=96, help="px the photos are squeezed to")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    try:
        chosen = read_selection(
            arguments.posts, None, None, limit=arguments.limit, side=arguments.side
        )
        vit = load_start(arguments.checkpoint) if arguments.checkpoint else ViT()
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"error: {error}")
    if chosen is None:
        sys.exit(f"error: no posts in {arguments.posts}")
    features = embed(vit.eval(), chosen.photos, arguments.side)
    hashtags = [post.hashtag for post in chosen.posts]
    authors = [post.author for post in chosen.posts]
    sys.stdout.write(f"{len(hashtags)} photos, means of {len(SEEDS)} swappings\n")
    for rate in RATES:
        for found in arm(features, hashtags, authors, rate):
            sys.stdout.write(
                f"{rate:>5.0%}  {SHOWN[Method(found.method)]:8}AUROC {found.auroc:.3f} "
                f"{found.low:.3f}–{found.high:.3f}  AP {found.average_precision:.3f}  "
                f"best F1 {found.best_f1:.3f}\n"
            )
        sys.stdout.flush()


def arm(
    features: Features, hashtags: list[str], authors: list[str], rate: float
) -> list[Detection]:
    """The (N, D) features of a backbone in place of all that the service looks at."""
    found = detect(features, features, hashtags, authors, rate)
    return [row for row in found if row.method in SHOWN]


if __name__ == "__main__":
    main()
