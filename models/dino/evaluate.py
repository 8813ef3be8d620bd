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
from models.dino.select import Selection, read_selection
from models.dino.start import load_start
from models.dino.vit import ViT


def parser(description: str | None) -> argparse.ArgumentParser:
    """What is asked of everybody who looks at a backbone's features."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--posts", type=Path, required=True, help="photos lie below its folder")
    made.add_argument("--checkpoint", type=Path, help="ours, or a folder in the hub's layout")
    made.add_argument("--limit", type=int, default=100_000, help="photos")
    made.add_argument("--side", type=int, default=96, help="px the photos are squeezed to")
    made.add_argument("--threads", type=int, default=1)
    return made


def opened(
    asked: argparse.Namespace,
    masks: Path | None = None,
    ids: Path | None = None,
    *,
    unseen: bool = False,
) -> tuple[ViT, Selection]:
    """The backbone, untrained without a checkpoint, and the photos. SystemExit with the reason."""
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    try:
        selection = read_selection(
            asked.posts, masks, ids, limit=asked.limit, side=asked.side, unseen=unseen
        )
        vit = load_start(asked.checkpoint) if asked.checkpoint else ViT()
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"error: {error}")
    if selection is None:
        sys.exit(f"error: no posts in {asked.posts}")
    return vit, selection


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--masks", type=Path, help="photos/ID.jpg and labels/ID.png: NCut IoU too")
    options.add_argument("--ids", type=Path, help="file that names the masks to use")
    options.add_argument("--held-out", action="store_true", help="the fifth of authors left out")
    asked = options.parse_args()
    vit, selection = opened(asked, asked.masks, asked.ids, unseen=asked.held_out)
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
