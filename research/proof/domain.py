"""What DINO on a stream's own photos adds: to a ViT from nothing, and to one that knows features.

python -m research.proof.domain --photos ROOT --targets DIR --out runs/domain --seeds 0 1 2
python -m research.proof.domain --out runs/domain --report

ROOT as `models.student.photos` has it, with `masks/`; DIR from `models.student.targets`, which has
the masks and features of teachers. All arms have the same ViT and as many steps in all:

(a) nothing: weights as they are drawn
(b) dino: DINO on photos of all sets
(c) features: towards CLIP's features of them
(d) domain: (c) for half of the steps, then DINO on the stream: hashtags and street fashion
(e) unrelated: the same with as many photos of `general`

They are judged on photos that no arm has seen: masks by a linear head on the frozen ViT and by
fine-tuning, each with 10, 50 and 200 photos that a teacher masked; hashtags by the five nearest
photos of other authors; wrong hashtags, a fifth of all, by `models.labels`. Every finished
measurement leaves a file, so a killed run, started again, goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.base import Image
from models.dino.model import load_teacher
from models.dino.recipe import DinoRecipe
from models.dino.select import embed
from models.dino.train import train as distil
from models.dino.vit import ViT
from models.labels.fits import Method
from models.labels.noise import detect
from models.metrics.labelled import Labelled, labelled
from models.segment.evaluate import selection
from models.segment.network import SegmentNet
from models.segment.samples import Pool, Sample, background_strips
from models.segment.train import SegmentRecipe, train
from models.student.evaluate import NEAREST
from models.student.features import basis_of, feature_of
from models.student.photos import Photo, hashtag_posts, judging_author, learning
from models.student.samples import clear
from models.student.targets import target_path
from research.proof import data
from research.proof.book import Book, Figure, Key
from research.proof.frozen import fit_head, head_probability, tokens
from research.proof.pretrain import finished, taught, untrained
from research.proof.report import plain, points
from research.proof.score import predictor, score

ARMS = {
    "nothing": "(a) from nothing",
    "dino": "(b) DINO on all photos",
    "features": "(c) CLIP's features",
    "domain": "(d) half of c, then DINO on the stream",
    "unrelated": "(e) half of c, then DINO on unrelated photos",
}
PAIRS = (("dino", "nothing"), ("domain", "features"), ("domain", "unrelated"), ("domain", "dino"))
SIZES = (10, 50, 200)  # photos with a mask to learn from
MASKED = {f"{how}{size}": f"{how}, {size}" for how in ("frozen", "tuned") for size in SIZES}
MEASURES = {**MASKED, "hashtags": f"hashtag of the {NEAREST} nearest"}
NOISE = "noise"
WRONG = 0.2  # of the hashtags
HEAD_STEPS, TUNE_STEPS = 300, 120
RECIPE = DinoRecipe(
    batch=48, global_side=64, local_side=32, locals=4, rate=7e-4, width=128, depth=4, heads=2,
    patch=8, grid=8,
)  # fmt: skip


class Study:
    """What several measurements need is made once and kept in `out`."""

    def __init__(self, root: Path, targets: Path, out: Path, steps: int, judged: int) -> None:
        self.root, self.targets, self.out = root, targets, out
        self.steps, self.judged = steps, judged
        self.book = Book(out)

    @cached_property
    def photos(self) -> list[Photo]:
        """Those that have targets."""
        return [p for p in learning(self.root) if target_path(self.targets, p).exists()]

    def of_sets(self, *names: str) -> list[Photo]:
        return [photo for photo in self.photos if photo.name.partition("/")[0] in names]

    @cached_property
    def street(self) -> list[Labelled]:
        """Photos with masks, evenly from the whole set."""
        names = sorted(path.stem for path in (self.root / "masks" / "labels").glob("*.png"))
        chosen = np.linspace(0, len(names) - 1, min(self.judged, len(names))).astype(int)
        return list(labelled(self.root / "masks", frozenset(names[place] for place in chosen)))

    def samples(self, size: int, seed: int) -> list[Sample]:
        """Photos of the stream with the mask of a teacher that was sure."""
        order = np.random.default_rng(seed).permutation(len(stream := self.of_sets(*STREAM)))
        found: list[Sample] = []
        for place in order:
            with np.load(target_path(self.targets, stream[place])) as stored:
                mask = stored["mask"]
            if not clear(mask):
                continue
            (image,) = loaded([stream[place]])
            shape = image.shape[1::-1]
            found.append(Sample(image, cv2.resize(mask, shape) > 127))
            if len(found) == size:
                return found
        raise ValueError(f"only {len(found)} photos have a mask that is sure, not {size}")

    @lru_cache(maxsize=1)  # noqa: B019 - a study lives as long as its process
    def backbone(self, arm: str, seed: int) -> ViT:
        """Of an arm; trained when it is not yet. All measurements of an arm follow each other."""
        half = self._recipe(self.steps // 2, seed)
        if arm == "nothing":
            return untrained(half)
        if arm == "dino":
            return self._dino(self.photos, self._recipe(self.steps, seed), f"{arm}-{seed}")
        if arm == "features":
            return self._taught(self._recipe(self.steps, seed), f"{arm}-{seed}")
        start = self._taught(half, f"start-{seed}")
        stream, others = self.of_sets(*STREAM), self.of_sets("general")
        few = min(len(stream), len(others))
        photos = stream[:few] if arm == "domain" else others[:few]
        return self._dino(photos, half, f"{arm}-{seed}", start)

    def _recipe(self, steps: int, seed: int) -> DinoRecipe:
        tenth = max(1, steps // 10)
        return replace(RECIPE, steps=steps, warmup=tenth, frozen_prototypes=tenth, seed=seed)

    def _dino(
        self, photos: list[Photo], recipe: DinoRecipe, name: str, start: ViT | None = None
    ) -> ViT:
        out = self.out / "backbones" / name
        if not finished(out, recipe.steps):
            return distil(loaded(photos), recipe, out, start=start).eval()
        return load_teacher(out / "last.pt").eval()

    def _taught(self, recipe: DinoRecipe, name: str) -> ViT:
        stacked = np.stack([feature_of(target_path(self.targets, p)) for p in self.photos])
        self.out.mkdir(parents=True, exist_ok=True)
        wanted = basis_of(self.out / "basis.npz", stacked).wanted(stacked)
        return taught(loaded(self.photos), wanted, recipe, self.out / "backbones" / name)

    def jobs(self, seeds: list[int]) -> Iterator[tuple[Key, Callable[[Key], None]]]:
        for seed in seeds:
            for arm in ARMS:
                for size in SIZES:
                    yield Key(f"frozen{size}", arm, 0, seed), self.frozen
                yield Key("hashtags", arm, 0, seed), self.hashtags
                yield Key(NOISE, arm, 0, seed), self.noise
                for size in SIZES:
                    yield Key(f"tuned{size}", arm, 0, seed), self.tuned

    def frozen(self, key: Key) -> None:
        samples = self.samples(int(key.measure.removeprefix("frozen")), key.seed)
        vit, side = self.backbone(key.arm, key.seed), RECIPE.global_side
        learned = tokens(vit, [sample.image for sample in samples], side)
        features = np.stack([found.features for found in learned])
        head = fit_head(features, (s.mask for s in samples), steps=HEAD_STEPS, seed=key.seed)
        seen = tokens(vit, [item.image for item in self.street], side)
        by_name = {item.name: one for item, one in zip(self.street, seen, strict=True)}
        found = score(
            lambda item: head_probability(head, by_name[item.name], item.mask.shape), self.street
        )
        self.book.write(key, found.ious, {"threshold": found.threshold})

    def tuned(self, key: Key) -> None:
        samples = self.samples(int(key.measure.removeprefix("tuned")), key.seed)
        strips = [strip for sample in samples for strip in background_strips(sample)]
        recipe = SegmentRecipe(
            steps=TUNE_STEPS, batch=16, side=RECIPE.global_side, warmup=8, momentum=0.97,
            seed=key.seed,
        )  # fmt: skip
        vit = self.backbone(key.arm, key.seed)
        torch.manual_seed(key.seed)  # the decoder starts alike in all arms
        start, out = SegmentNet(vit.shape), self.out / "tuned" / f"{key.measure}-{key.name}"
        network = train(Pool([samples], [1.0], strips), recipe, out, start=start, backbone=vit)
        found = score(predictor(network, RECIPE.global_side), self.street)
        self.book.write(key, found.ious, {"threshold": found.threshold})

    @cached_property
    def posts(self) -> list[dict[str, str]]:
        return [post for post in hashtag_posts(self.root) if judging_author(post["author"])]

    def _vectors(self, key: Key) -> NDArray[np.float32]:
        folder = self.root / "hashtags" / "photos"
        photos = [Photo(post["id"], folder / f"{post['id']}.jpg") for post in self.posts]
        return embed(self.backbone(key.arm, key.seed), loaded(photos), RECIPE.global_side)

    def hashtags(self, key: Key) -> None:
        vectors = self._vectors(key)
        authors, tags = (np.array([p[name] for p in self.posts]) for name in ("author", "hashtag"))
        near = vectors @ vectors.T
        near[authors[:, None] == authors[None]] = -np.inf
        right = tags[np.argsort(-near, axis=1)[:, :NEAREST]] == tags[:, None]
        ids = [post["id"] for post in self.posts]
        self.book.write(key, dict(zip(ids, right.mean(1), strict=True)), {})

    def noise(self, key: Key) -> None:
        vectors = self._vectors(key)
        said = [post for post in self.posts if post["hashtag"] not in data.SAYS_NOTHING]
        rows = [place for place, post in enumerate(self.posts) if post in said]
        found = detect(
            vectors[rows], vectors[rows], [post["hashtag"] for post in said],
            [post["author"] for post in said], WRONG,
        )  # fmt: skip
        rocs = {row.method: row.auroc for row in found}
        self.book.write(key, {Method.KNN: rocs[Method.KNN]}, {"auroc": rocs})


STREAM = ("hashtags", "tagged")


def loaded(photos: list[Photo]) -> list[Image]:
    return data.load([data.Photo(photo.path, ()) for photo in photos])


def report(book: Book) -> str:
    """Markdown: figures with their intervals, then differences of arms."""
    head = [*MEASURES.values(), f"{WRONG:.0%} wrong hashtags, AUROC (least, most)"]
    lines = [f"| arm | {' | '.join(head)} | seeds |", "|---" * (len(head) + 2) + "|"]
    for arm, name in ARMS.items():
        figures = [book.mean(measure, arm, 0, without=selection()) for measure in MEASURES]
        seeds = max((figure.seeds for figure in figures if figure), default=0)
        cells = [*map(plain, figures), _rocs(book, arm), str(seeds)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", f"| points, paired | {' | '.join(MEASURES.values())} |"]
    lines.append("|---" * (len(MEASURES) + 1) + "|")
    for ours, theirs in PAIRS:
        gains: list[Figure | None] = [
            book.difference(measure, (ours, 0), (theirs, 0), without=selection())
            for measure in MEASURES
        ]
        lines.append(f"| {ARMS[ours]} − {ARMS[theirs]} | {' | '.join(map(points, gains))} |")
    return "\n".join(lines)


def _rocs(book: Book, arm: str) -> str:
    keys = [Key(NOISE, arm, 0, seed) for seed in sorted(book.seeds(NOISE, arm))]
    found = [book.read(key)[Method.KNN] for key in keys]
    return f"{np.mean(found):.3f} ({min(found):.3f}, {max(found):.3f})" if found else "–"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--targets", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400, help="of pre-training, in all")
    parser.add_argument("--judged", type=int, default=200, help="street photos that judge")
    parser.add_argument("--report", action="store_true", help="only the tables")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if not asked.report:
        if asked.photos is None or asked.targets is None:
            sys.exit("error: --photos and --targets are needed")
        study = Study(asked.photos, asked.targets, asked.out, asked.steps, asked.judged)
        missing = [job for job in study.jobs(asked.seeds) if not study.book.has(job[0])]
        for number, (key, measure) in enumerate(missing, start=1):
            sys.stderr.write(f"[{number}/{len(missing)}] {key.measure} of {key.name}\n")
            sys.stderr.flush()
            measure(key)
    sys.stdout.write(report(Book(asked.out)) + "\n")


if __name__ == "__main__":
    main()
