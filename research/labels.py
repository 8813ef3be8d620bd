"""What a DINO backbone's features tell of wrong hashtags, by the methods that are also served.

python -m research.labels --posts posts.jsonl --checkpoint runs/dino/best.pt

Needs the [learn] extra. Without a checkpoint: an untrained ViT. `kernel` is the regression that the
service makes on outlines, here on the backbone's features.
"""

from __future__ import annotations

import sys

from models.dino.evaluate import opened, parser
from models.dino.select import Features, embed
from models.labels.fits import Method
from models.labels.noise import SEEDS, Detection, detect

RATES = (0.1, 0.2, 0.4)
SHOWN = {Method.KNN: "knn", Method.PROBE: "probe", Method.OUTLINE: "kernel"}


def main() -> None:
    asked = parser(__doc__).parse_args()
    vit, chosen = opened(asked)
    features = embed(vit.eval(), chosen.photos, asked.side)
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
