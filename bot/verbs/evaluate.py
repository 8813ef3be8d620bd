"""`tagecho models evaluate`: measure the networks in service on masks and hashtags of a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bot.config import Settings
from bot.core.errors import NothingToDo, UsageError
from bot.dataset.drawn_masks import DrawnMasks
from bot.dataset.evaluation_sets import MaskSet, TaggedPhoto, read_photo, tagged_photos
from bot.learn.comparison import Corrected
from bot.service.app import App, ServingStages, opened
from bot.service.progress import progress
from models.base import Mask, Segmenter
from models.labels.evidence import grouped
from models.labels.noise import SEEDS, Detection, detect
from models.labels.outline import Outlines
from models.metrics.bootstrap import paired_interval
from models.metrics.knn import Vectors, knn_accuracy
from models.metrics.summary import Estimate, MaskFigures, Scored, estimate, figures, scored
from models.segment.evaluate import centre_box

RATES = (0.1, 0.2, 0.4)  # shares of hashtags that are swapped
OURS, BOX, EMPTY = "in service", "control: centre box", "control: empty mask"


@dataclass(frozen=True, slots=True)
class MaskReport:
    split: str  # selection or report
    figures: list[MaskFigures]
    above_box: Estimate  # mean IoU in service minus that of the centre box, image by image
    no_mask: float  # share of images without a clear object


@dataclass(frozen=True, slots=True)
class LabelReport:
    photos: int
    authors: int
    hashtags: int
    knn_accuracy: float  # without neighbours of the same author
    commonest: float  # the accuracy of always naming the most frequent hashtag
    noise: list[Detection]


@dataclass(frozen=True, slots=True)
class Evaluation:
    model: str
    masks: MaskReport | None
    labels: LabelReport | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(
    settings: Settings,
    masks: Path | None,
    labels: Path | None,
    *,
    limit: int | None = None,
    selection: bool = False,
    drawn: bool = False,
) -> Evaluation:
    """`drawn`: on masks that people drew here, of people who are held out from all learning.

    Raises UsageError for unusable sets, NothingToDo for empty ones, ModelError.
    """
    if drawn:
        if masks is not None or selection:
            raise UsageError("--drawn takes the place of --masks and --selection")
        with opened(settings) as app:
            return _evaluate(settings, _drawn(app, limit), labels, limit, selection=False)
    if masks is None and labels is None:
        raise UsageError("give --masks DIR, --drawn, --labels posts.jsonl, or several")
    chosen = None if masks is None else MaskSet(masks, chosen=selection, limit=limit)
    return _evaluate(settings, chosen, labels, limit, selection=selection)


def _drawn(app: App, limit: int | None) -> DrawnMasks:
    found = DrawnMasks(app, held_out=True, limit=limit)
    if not found.ids:
        raise NothingToDo("nobody drew a mask of an image of a person who is held out yet")
    return found


def _evaluate(
    settings: Settings,
    chosen: Corrected | None,
    labels: Path | None,
    limit: int | None,
    *,
    selection: bool,
) -> Evaluation:
    tagged = None if labels is None else tagged_photos(labels, limit)
    segmenter = ServingStages(settings).segmenter()
    return Evaluation(
        segmenter.version,
        None if chosen is None else mask_report(segmenter, chosen, selection=selection),
        None if tagged is None else label_report(segmenter, tagged),
    )


def mask_report(segmenter: Segmenter, items: Corrected, *, selection: bool) -> MaskReport:
    """The masks of all images, and the controls that do not look at them. Raises UsageError."""
    scores: dict[str, list[Scored]] = {OURS: [], BOX: [], EMPTY: []}
    without = 0
    for name in progress(items.ids, "masks"):
        item = items.read(name)
        found = segmenter(item.image)
        without += not found.mask.any()
        scores[OURS].append(scored(found.mask, found.probability, item.mask))
        scores[BOX].append(_control(centre_box(item), item.mask))
        scores[EMPTY].append(_control(np.zeros_like(item.mask), item.mask))
    ours, box = (np.array([image.iou for image in scores[what]]) for what in (OURS, BOX))
    return MaskReport(
        "selection" if selection else "report",
        [figures(what, images) for what, images in scores.items()],
        estimate((ours - box).mean(), *paired_interval(ours, box)),
        round(without / len(items.ids), 4),
    )


def _control(mask: Mask, wanted: Mask) -> Scored:
    return scored(mask, mask.astype(np.float32), wanted)


def label_report(segmenter: Segmenter, photos: list[TaggedPhoto]) -> LabelReport:
    """Accuracy of the neighbours; swapped hashtags, found by each method. Raises UsageError."""
    hashtags, authors = [p.hashtag for p in photos], [p.author for p in photos]
    common = Counter(hashtags).most_common()
    if len(common) < 2 or len(set(authors)) < 2:
        raise UsageError(
            "hashtags cannot be judged: at least two hashtags by two authors are needed"
        )
    vectors, outlines = _seen(segmenter, photos)
    try:
        noise = [
            found
            for rate in progress(RATES, "noise")
            for found in detect(vectors, outlines, hashtags, authors, rate)
        ]
    except ValueError as error:
        raise UsageError(f"hashtags cannot be judged: {error}") from error
    accuracy = knn_accuracy(vectors, [(tag,) for tag in hashtags], grouped(vectors, authors))
    return LabelReport(
        len(photos),
        len(set(authors)),
        len(common),
        round(accuracy, 4),
        round(common[0][1] / len(photos), 4),
        noise,
    )


def _seen(segmenter: Segmenter, photos: list[TaggedPhoto]) -> tuple[Vectors, Vectors]:
    """(N, D) embeddings and (N, S) outlines."""
    outline, vectors, outlines = Outlines(), [], []
    for photo in progress(photos, "photos"):
        image = read_photo(photo.path)
        vectors.append(segmenter(image).embedding)
        outlines.append(outline(image).embedding)
    return np.stack(vectors), np.stack(outlines)


def table(found: Evaluation) -> Iterator[str]:
    """The report as lines."""
    yield f"in service: {found.model}"
    if found.masks is not None:
        yield from _mask_table(found.masks)
    if found.labels is not None:
        yield from _label_table(found.labels)


def _mask_table(report: MaskReport) -> Iterator[str]:
    count = report.figures[0].images
    yield f"\nMasks: {count} images ({report.split}), with 95 % intervals"
    columns = ("mean_iou", "median_iou", "max_f", "boundary_f", "corloc")
    yield f"{'':22}" + "".join(f"{name.replace('_', ' '):>20}" for name in columns)
    for row in report.figures:
        yield f"{row.what:22}" + "".join(f"{_shown(getattr(row, name)):>20}" for name in columns)
    yield f"mean IoU above the centre box, paired: {_shown(report.above_box)}"
    yield f"no clear object found: {report.no_mask:.1%}"


def _label_table(report: LabelReport) -> Iterator[str]:
    yield (
        f"\nHashtags: {report.photos} photos, {report.authors} authors, {report.hashtags} hashtags"
    )
    yield (
        f"kNN accuracy, other authors only: {report.knn_accuracy:.3f} "
        f"(the most frequent hashtag: {report.commonest:.3f})"
    )
    yield f"Swaps drawn by frequency; means of {len(SEEDS)} swaps, 95 % intervals over posts:"
    yield f"{'swapped':>8}  {'method':10}{'AUROC':>20}{'AP':>8}{'best F1':>9}{'F1':>8}"
    for row in report.noise:
        auroc = _shown(Estimate(row.auroc, row.low, row.high))
        yield (
            f"{row.rate:>8.0%}  {row.method:10}{auroc:>20}{row.average_precision:>8.3f}"
            f"{row.best_f1:>9.3f}{row.f1:>8.3f}"
        )


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} {estimate.low:.3f}–{estimate.high:.3f}"
