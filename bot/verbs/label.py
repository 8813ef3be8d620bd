"""`tagecho label`: objects of asked classes in the images of a dataset, with boxes and masks.

Every image has a state: waiting, done, empty (an answer: nothing of what was asked is in it) or
failed (with the reason). The answer and the state are one transaction, so a run that was killed
goes on, and no image is answered twice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from PIL import Image as Pil

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, StorageError, UsageError
from bot.dataset.export.runs import RunLengths
from bot.dataset.lookup import query_of
from bot.service.app import App, opened
from bot.service.progress import progress
from bot.verbs.class_evidence import ClassEvidence, Witnesses, neighbours, said_of
from bot.verbs.labellers import (
    FoundObject,
    Labeller,
    LabelOptions,
    lasting,
    open_labeller,
    with_drawn,
)
from bot.verbs.labels import LabelSummary, embed
from models.base import ImageRejected, Mask
from models.images.decoder import decode
from models.serving.network_process import NetworkFailed
from storage import datasets, labels, masks, objects
from storage.labels import TaggedPost
from storage.tables import ObjectLabel

MOST_CLASSES = 100
LONGEST = 60  # characters of a class


@dataclass(slots=True)
class ObjectReport:
    dataset: str
    recipe: str
    facts: dict[str, Any]
    images: int = 0  # of the dataset
    answered: int = 0  # by this run
    states: dict[str, int] = field(default_factory=dict)  # images of the recipe
    objects: dict[str, int] = field(default_factory=dict)  # by class
    failures: list[tuple[str, str]] = field(default_factory=list)  # SHA-256, why

    def as_dict(self) -> dict[str, Any]:
        failures = [{"sha256": sha256, "why": why} for sha256, why in self.failures]
        return asdict(self) | {"failures": failures}


def label(settings: Settings, name: str, options: LabelOptions) -> ObjectReport:
    """Raises UsageError, NothingToDo for a dataset without images, ModelError, NotInstalled."""
    _check(options)
    with opened(settings) as app:
        query = query_of(app, settings, name)
        with app.database.read() as session:
            images = list(dict.fromkeys(one.sha256 for one in datasets.images(session, query)))
        if not images:
            raise NothingToDo(f"{name} has no image")
        labeller = open_labeller(settings, options)
        try:
            return _run(app, name, images, labeller, options)
        finally:
            labeller.close()


def _run(
    app: App, name: str, images: list[str], labeller: Labeller, options: LabelOptions
) -> ObjectReport:
    facts = labeller.facts
    with app.database.write() as session:
        recipe = objects.plan(session, facts, images, utc_now())
        if options.again:
            objects.again(session, recipe, utc_now())
    report = ObjectReport(name, recipe, facts, len(images))
    with app.database.read() as session:
        todo = objects.waiting(session, recipe, images)
        said = said_of(session, options.classes, images)
    near = _witnesses(app, labeller, options, said, todo)
    for sha256 in progress(todo, "images"):
        evidence = ClassEvidence(options.classes, said.get(sha256, {}), near)
        report.answered += _one(app, labeller, recipe, sha256, evidence)
    with app.database.read() as session:
        report.states = objects.counts(session, recipe)
        report.objects = objects.of_class(session, recipe)
        report.failures = objects.failures(session, recipe)
    return report


def _witnesses(
    app: App,
    labeller: Labeller,
    options: LabelOptions,
    said: dict[str, dict[str, float]],
    todo: list[str],
) -> Witnesses | None:
    """Images whose posts name a class, for those whose posts name none; None: nobody asks them."""
    if labeller.eye is None or all(sha256 in said for sha256 in todo):
        return None
    named = TaggedPost(0, "", (), tuple(sorted(said)))
    with app.database.read() as session:
        seen = labels.embedded_names(session, labeller.eye.version)
    embed(app, labeller.eye, [named], seen, LabelSummary(labeller.eye.version))
    with app.database.read() as session:
        return neighbours(session, options.classes, said, labeller.eye.version, options.least)


def _one(app: App, labeller: Labeller, recipe: str, sha256: str, evidence: ClassEvidence) -> bool:
    """Whether this run answered. What is wrong with one image is its state, and no error."""
    try:
        data = app.originals.get(sha256)
        image = decode(data, max_pixels=app.settings.limits.max_pixels).pixels
        found = lasting(lambda: labeller(image, evidence))
        found = with_drawn(found, _drawn(app, sha256, image.shape[:2]), evidence)
    except (ImageRejected, StorageError, NetworkFailed) as error:
        with app.database.write() as session:
            return objects.fail(session, recipe, sha256, str(error), utc_now())
    rows = [_row(recipe, sha256, one) for one in found]
    with app.database.write() as session:
        return objects.answer(session, recipe, sha256, rows, utc_now())


def _row(recipe: str, sha256: str, one: FoundObject) -> ObjectLabel:
    left, top, right, bottom = (round(float(value), 2) for value in one.box)
    return ObjectLabel(
        recipe=recipe,
        sha256=sha256,
        name=one.name,
        score=round(float(one.score), 4),
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        mask=None if one.mask is None else RunLengths.of(np.asarray(one.mask)).rle,
        made_by=one.made_by,
    )


def _drawn(app: App, sha256: str, size: tuple[int, ...]) -> Mask | None:
    """What a person drew of it, at its size."""
    with app.database.read() as session:
        row = masks.newest_of(session, sha256)
    if row is None:
        return None
    data = app.artifacts.get(row.sha256)
    return resized(decode(data, min_side=1, declared=".png").pixels.max(axis=2) >= 128, size)


def resized(mask: Mask, size: tuple[int, ...]) -> Mask:
    """At (height, width)."""
    if mask.shape == tuple(size):
        return mask
    grey = Pil.fromarray(mask.astype(np.uint8) * 255)
    scaled: Mask = np.asarray(grey.resize((size[1], size[0]), Pil.Resampling.BILINEAR)) >= 128
    return scaled


def _check(options: LabelOptions) -> None:
    if not options.classes:
        raise UsageError("--classes needs one class at least")
    if len(options.classes) > MOST_CLASSES:
        raise UsageError(f"--classes takes {MOST_CLASSES} at most")
    for name in options.classes:
        if len(name) > LONGEST or not name.isprintable() or "." in name:
            raise UsageError(f"--classes: {name[:LONGEST]!r} is no class: words without full stops")
