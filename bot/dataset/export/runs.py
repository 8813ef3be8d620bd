"""A mask as runs of its columns; they give its box, its area, COCO's text and its outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.base import Mask


@dataclass(frozen=True, slots=True)
class RunLengths:
    """Where each column of a mask enters and leaves the object, from the left column on.

    `x`, `y`: (2 N,) for N runs; run i is the pixels `y[2 i]` ≤ row < `y[2 i + 1]` of column
    `x[2 i] == x[2 i + 1]`, and there is a pixel outside between two runs of a column. A photo's
    mask has a thousand of them, and a million pixels.
    """

    height: int
    width: int
    x: NDArray[np.int64]
    y: NDArray[np.int64]

    @classmethod
    def of(cls, mask: Mask) -> RunLengths:
        """Of (height, width) bool, at least one pixel."""
        height, width = mask.shape
        rows, columns = np.divmod(np.flatnonzero(mask[1:] != mask[:-1]), width)
        top, bottom = np.flatnonzero(mask[0]), np.flatnonzero(mask[-1])
        x = np.concatenate([top, columns, bottom])
        y = np.concatenate([np.zeros_like(top), rows + 1, np.full_like(bottom, height)])
        places = x * (height + 1) + y
        places.sort()
        return cls(height, width, *np.divmod(places, height + 1))

    @property
    def area(self) -> int:
        """Pixels inside."""
        return int(self.y[1::2].sum() - self.y[::2].sum())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) in pixels of a mask that is not empty."""
        x, y = int(self.x[0]), int(self.y.min())
        return x, y, int(self.x[-1]) - x + 1, int(self.y.max()) - y

    @property
    def rle(self) -> dict[str, Any]:
        """COCO's compressed RLE: {"size": [height, width], "counts": text}.

        Its runs go on from the end of a column to the top of the next, and begin with zeros.
        """
        flat = self.x * self.height + self.y
        joined = np.flatnonzero(flat[1:] == flat[:-1])  # at the end of a column
        flat = np.delete(flat, np.concatenate([joined, joined + 1]))
        counts = np.diff(flat, prepend=0, append=self.height * self.width)
        if len(counts) > 1 and counts[-1] == 0:
            counts = counts[:-1]
        return {"size": [self.height, self.width], "counts": _text(counts)}


def _text(counts: NDArray[np.int64]) -> str:
    """As cocoapi's `rleToString` (maskApi.c): from the fourth on each is a difference to the last
    but one; 5 bits a character, the lowest first, as many as leave the sign in the last one."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    shifts = np.arange(0, 40, 5)  # 39 bits and a sign: more than any mask has pixels
    groups = (values[:, None] >> shifts) & 31
    more = (values ^ (values >> 63))[:, None] >> (shifts + 4) > 0
    used = np.ones_like(more)
    used[:, 1:] = more[:, :-1]
    return (groups + 32 * more + 48)[used].astype(np.uint8).tobytes().decode("ascii")
