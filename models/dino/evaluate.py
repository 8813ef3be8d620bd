"""What a backbone's features know: kNN accuracy on hashtags, neighbours of other authors only.

python -m models.dino.evaluate --posts posts.jsonl [--checkpoint runs/dino/best.pt]

Without a checkpoint, the figure of an untrained ViT is printed: the one to beat.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import torch

from models.base import WeightsError
from models.dino.model import load_teacher
from models.dino.select import Tagged, embed, held_out, read_posts, read_selection
from models.dino.start import load_start
from models.dino.vit import ViT

__all__ = ["Tagged", "embed", "held_out", "load_teacher", "read_posts"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=Path, required=True, help="photos lie below its folder")
    parser.add_argument("--masks", type=Path, help="photos/ID.jpg and labels/ID.png: NCut IoU too")
    parser.add_argument("--ids", type=Path, help="file that names the masks to use")
    parser.add_argument("--checkpoint", type=Path, help="ours, or a folder in the hub's layout")
    parser.add_argument("--held-out", action="store_true", help="the fifth of authors left out")
    parser.add_argument("--limit", type=int, default=100_000, help="photos for kNN")
    parser.add_argument("--side", type=int, default=96, help="px the photos are squeezed to")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    try:
        selection = read_selection(
            arguments.posts, arguments.masks, arguments.ids,
            limit=arguments.limit, side=arguments.side, unseen=arguments.held_out,
        )  # fmt: skip
        vit = load_start(arguments.checkpoint) if arguments.checkpoint else ViT()
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"error: {error}")
    if selection is None:
        sys.exit(f"error: no posts in {arguments.posts}")
    figures = selection.measure(vit)
    counts = Counter(post.hashtag for post in selection.posts)
    commonest = max(counts.values()) / counts.total()
    sys.stdout.write(
        f"kNN accuracy {figures['knn']:.3f} on {counts.total()} photos, neighbours of other "
        f"authors (commonest hashtag: {commonest:.3f})\n"
    )
    if "ncut" in figures:
        sys.stdout.write(f"NCut IoU {figures['ncut']:.3f} on {len(selection.items)} masks\n")


if __name__ == "__main__":
    main()
