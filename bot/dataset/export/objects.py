"""Objects that `tagecho label` found, as an export writes them: at the size of its images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from bot.core.errors import StorageError, UsageError
from bot.dataset.export.runs import RunLengths
from bot.dataset.importing.masks import mask_of_runs
from bot.service.app import App
from models.base import Mask
from storage import objects
from storage.tables import ObjectJob, ObjectLabel, ObjectRecipe, ObjectState

LATEST = "latest"
ANSWERED = (ObjectState.DONE, ObjectState.EMPTY)


@dataclass(frozen=True, slots=True)
class ExportedObject:
    """`box`: left, top, width, height in px of the exported image."""

    category: int
    score: float
    box: tuple[float, float, float, float]
    runs: RunLengths | None
    made_by: str = ""  # the networks, or a person

    @property
    def outline(self) -> list[float]:
        """The corners of its box: x, y, x, y …"""
        left, top, width, height = self.box
        right, bottom = left + width, top + height
        return [left, top, right, top, right, bottom, left, bottom]


@dataclass(frozen=True, slots=True)
class ImageObjects:
    """The objects of an image. `state`: as of `ObjectState`; "" where nobody looked."""

    state: str
    objects: tuple[ExportedObject, ...] = ()

    @property
    def answered(self) -> bool:
        return self.state in ANSWERED

    def values(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Of the columns `fields.OBJECTS`."""
        return {
            "object_state": self.state,
            "object_classes": [names[one.category] for one in self.objects],
            "object_scores": [one.score for one in self.objects],
            "object_models": [one.made_by for one in self.objects],
            "object_boxes": [value for one in self.objects for value in one.box],
            "object_masks": [json.dumps(one.runs.rle) if one.runs else "" for one in self.objects],
        }


def recipe_for(app: App, wanted: str) -> ObjectRecipe:
    """A recipe by the beginning of its name, or the latest. Raises UsageError."""
    with app.database.read() as session:
        found = objects.recipe(session, "" if wanted == LATEST else wanted)
    if found is None:
        raise UsageError(f"no recipe {wanted!r}: `tagecho label` prints its name")
    return found


class Objects:
    """What a recipe found, image by image."""

    def __init__(self, app: App, recipe: str, names: tuple[str, ...]) -> None:
        self._app, self._recipe, self._names = app, recipe, names

    def of(self, sha256: str, size: tuple[int, int], exported: tuple[int, int]) -> ImageObjects:
        """`size`: (width, height) of the original, upright; `exported`: of the written image."""
        with self._app.database.read() as session:
            job = session.get(ObjectJob, (self._recipe, sha256))
            rows = objects.found(session, self._recipe, sha256)
        if job is None:
            return ImageObjects("")
        return ImageObjects(job.state, tuple(self._scaled(row, size, exported) for row in rows))

    def _scaled(
        self, row: ObjectLabel, size: tuple[int, int], exported: tuple[int, int]
    ) -> ExportedObject:
        x, y = exported[0] / size[0], exported[1] / size[1]
        box = row.left * x, row.top * y, (row.right - row.left) * x, (row.bottom - row.top) * y
        category = self._names.index(row.name) if row.name in self._names else len(self._names) - 1
        left, top, width, height = (round(value, 2) for value in box)
        runs = None if row.mask is None else self._runs(row.mask, size, exported)
        box = (left, top, width, height)
        return ExportedObject(category, row.score, box, runs, row.made_by)

    def _runs(
        self, stored: dict[str, Any], size: tuple[int, int], exported: tuple[int, int]
    ) -> RunLengths | None:
        try:
            mask = mask_of_runs(stored, (size[1], size[0]))
        except UsageError as error:
            raise StorageError(f"a stored mask cannot be read: {error}") from error
        fitted: Mask = mask
        if exported != size:
            grey = PIL.Image.fromarray(mask.astype(np.uint8) * 255)
            fitted = np.asarray(grey.resize(exported, PIL.Image.Resampling.BILINEAR)) >= 128
        return RunLengths.of(fitted) if fitted.any() else None
