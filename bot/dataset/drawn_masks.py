"""Masks that people drew in the console, or imported, with their images: to evaluate and to teach.

One author in five is held out for good (`storage.learning.held_out`): their masks evaluate, all
others teach. Masks without an object do neither.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import PIL.Image

from bot.core.errors import StorageError
from bot.dataset.evaluation_sets import limited
from bot.learn.comparison import Corrected
from bot.service.app import App
from models.base import ImageRejected, Mask
from models.images.decoder import decode
from models.images.mask_sizes import stretched
from models.metrics.labelled import Labelled
from storage import learning, masks


class DrawnMasks:
    """The newest version of each image that may be learned from. `ids`: SHA-256 of the images.

    `held_out`: those of people who are held out, or those of all others.
    """

    def __init__(self, app: App, *, held_out: bool, limit: int | None = None) -> None:
        with app.database.read() as session:
            drawn = {sha: row for sha, row in masks.drawn(session).items() if row.coverage > 0}
            pictures = learning.learnable(session, app.optouts, leave_out=()) if drawn else []
        theirs = {one.sha256 for one in pictures if learning.held_out(one.author) == held_out}
        self._app = app
        self._files = {sha: row.sha256 for sha, row in drawn.items() if sha in theirs}
        self.ids = limited(sorted(self._files), limit)

    def read(self, name: str) -> Labelled:
        """The image with its mask, at the image's size. Raises StorageError."""
        limit = self._app.settings.limits.max_pixels
        try:
            image = decode(self._app.originals.get(name), max_pixels=limit).pixels
        except ImageRejected as error:
            raise StorageError(f"image {name[:12]} cannot be read: {error}") from error
        return Labelled(name, image, self.mask(name, image.shape[1], image.shape[0]))

    def mask(self, name: str, width: int, height: int) -> Mask:
        """(height, width). Raises StorageError."""
        data = self._app.artifacts.get(self._files[name])
        try:
            with PIL.Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                grey = image.convert("L")
        except (OSError, ValueError) as error:
            raise StorageError(f"the mask of image {name[:12]} cannot be read: {error}") from error
        return stretched(np.asarray(grey) >= 128, width, height)


class Together:
    """Several sets of masks as one; an id is the place of its set, and its id there."""

    def __init__(self, sets: Sequence[Corrected]) -> None:
        self._sets = {str(place): one for place, one in enumerate(sets)}
        self.ids = [f"{place}/{name}" for place, one in self._sets.items() for name in one.ids]

    def read(self, name: str) -> Labelled:
        place, _, own = name.partition("/")
        return self._sets[place].read(own)
