"""The outline of a mask as polygons: traced from its runs, then simplified."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bot.dataset.export.runs import RunLengths

TOLERANCE = 1.0  # px that a polygon may differ from the outline of its mask


def polygons(runs: RunLengths) -> list[list[float]]:
    """Outlines [x0, y0, x1, y1, …] in pixels, one for each part of the mask; holes are filled.

    Coordinates are of pixel edges: (0, 0) is the upper left corner of the first pixel. Pixels that
    touch only at a corner belong to different parts. A part that is not thicker than TOLERANCE
    keeps its exact outline.
    """
    following = _following(runs)
    rings = _rings(following.tolist())
    if not rings:
        return []
    points, starts = _middles(runs, following, rings)
    kept = _corners(points, starts)
    found = []
    for ring, first, after in zip(rings, starts[:-1], starts[1:], strict=True):
        corners = points[first:after][kept[first:after]]
        found.append(corners if len(corners) > 2 else _exact(runs, ring))
    return [corners.view(np.float64).tolist() for corners in found]


def joined(outlines: list[list[float]]) -> list[float]:
    """One outline of all: each part hangs by a line, there and back, on the nearest of the others.

    Such a line has no area: who fills the outline fills the parts.
    """
    rings = [np.array(outline).view(np.complex128) for outline in outlines]
    points = list(np.concatenate(rings))
    begins = np.cumsum([0, *map(len, rings)]).tolist()
    following = [at + 1 for at in range(len(points))]
    for begin, end in itertools.pairwise(begins):
        following[end - 1] = begin
    for there, here, last in _bridges(rings, begins):
        points += [points[here], points[there]]  # the way back
        back = len(points) - 2
        following += [back + 1, following[there]]
        following[there], following[last] = here, back
    walk: list[complex] = []
    at = 0
    while len(walk) < len(points):
        walk.append(points[at])
        at = following[at]
    return [float(value) for point in walk for value in (point.real, point.imag)]


def _bridges(
    rings: list[NDArray[np.complex128]], begins: list[int]
) -> Iterator[tuple[int, int, int]]:
    """Where to hang each ring but the first one: (a point of those that hang together, the nearest
    point of the ring, the point before it), by number; the nearest ring first."""
    nearest = {n: (*_gap(rings[0], ring), 0) for n, ring in enumerate(rings) if n}
    while nearest:
        ring = min(nearest, key=lambda n: nearest[n][0])
        _, there, here, onto = nearest.pop(ring)
        before = (here - 1) % len(rings[ring])
        yield begins[onto] + there, begins[ring] + here, begins[ring] + before
        for other, known in nearest.items():
            nearest[other] = min(known, (*_gap(rings[ring], rings[other]), ring))


def _gap(one: NDArray[np.complex128], other: NDArray[np.complex128]) -> tuple[float, int, int]:
    """How near two rings come, and by which of their points."""
    away = abs(one[:, None] - other[None, :])
    first, second = divmod(int(away.argmin()), len(other))
    return float(away[first, second]), first, second


def _following(runs: RunLengths) -> NDArray[np.int64]:
    """Both ends of a run are edges of the outline, one pixel wide: which edge comes after which.

    With the inside to the right, upper ends are walked from left to right, lower ones back. On a
    line between two columns the ends of edges, sorted, belong together in pairs: between the two
    of a pair one column is inside and the other is not. Where two pixels touch at a corner only,
    the lower end of the one goes before the upper end of the other, which keeps them apart.
    """
    count, lines = len(runs.y), runs.height + 1
    upper = np.arange(count) % 2 == 0
    left = runs.x * lines + runs.y
    places = np.concatenate([left, left + lines]) * 2 + np.tile(upper, 2)
    order = np.argsort(places, kind="stable")
    partner = np.empty_like(order)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    walked: NDArray[np.int64] = partner[np.arange(count) + count * upper] % max(count, 1)
    return walked


def _rings(following: list[int]) -> list[list[int]]:
    """Edges in the order of a walk, ring by ring, without those around holes."""
    seen = bytearray(len(following))
    rings = []
    for first in range(len(following)):
        if seen[first]:
            continue
        ring, at = [], first
        while not seen[at]:
            seen[at] = 1
            ring.append(at)
            at = following[at]
        if first % 2 == 0:  # its leftmost edge is an upper end: the inside lies within it
            rings.append(ring)
    return rings


def _middles(
    runs: RunLengths, following: NDArray[np.int64], rings: list[list[int]]
) -> tuple[NDArray[np.complex128], NDArray[np.int64]]:
    """Points x + yi, the middles of the outline's pixel edges, ring after ring, each ring closed by
    its first point; and where each begins, with the end of the last.

    Middles lie on the slope for which a staircase stands, its corners beside it. Of an edge between
    two columns the first and the last are enough.
    """
    edges = np.concatenate([np.array([*ring, ring[0]]) for ring in rings])
    closing = np.cumsum([len(ring) + 1 for ring in rings]) - 1
    x, y, after = runs.x[edges], runs.y[edges], runs.y[following[edges]]
    line, half = x + (edges % 2 == 0), np.sign(after - y) / 2
    points = np.stack([x + 0.5 + 1j * y, line + 1j * (y + half), line + 1j * (after - half)], 1)
    long = abs(after - y)
    long[closing] = 0
    there = long[:, None] >= np.arange(3)
    return points[there], np.append(0, np.cumsum(there.sum(1))[closing])


def _corners(points: NDArray[np.complex128], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The points to keep, so that no other point is farther than TOLERANCE from their lines.

    The algorithm of Ramer, Douglas and Peucker: a piece between two kept points is split at the
    point farthest from its chord. All pieces of all rings at once, which is faster.
    """
    kept = np.zeros(len(points), dtype=np.bool_)
    first, last = starts[:-1], starts[1:] - 1
    kept[first] = True
    while len(first):
        sizes = last - first
        begins = np.cumsum(sizes) - sizes  # of each piece in `at`
        at = np.arange(sizes.sum()) + np.repeat(first - begins, sizes)
        away = _distances(points, at, first, last, sizes)
        furthest = np.maximum.reduceat(away, begins)
        sought = np.where(furthest > TOLERANCE, furthest, np.inf)
        found = np.flatnonzero(away == np.repeat(sought, sizes))
        piece, which = np.unique(np.searchsorted(begins, found, "right") - 1, return_index=True)
        middle = at[found[which]]
        kept[middle] = True
        first, last = np.append(first[piece], middle), np.append(middle, last[piece])
        more = last - first > 1
        first, last = first[more], last[more]
    return kept


def _distances(
    points: NDArray[np.complex128],
    at: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Of `points[at]` from the chord of their piece; from its point, where it is a ring."""
    chords = points[last] - points[first]
    lengths = abs(chords)
    ring = lengths == 0
    turned = np.where(ring, 1, chords.conj()) / np.where(ring, 1, lengths)
    from_first = (points[at] - np.repeat(points[first], sizes)) * np.repeat(turned, sizes)
    away = abs(from_first.imag)
    return np.where(np.repeat(ring, sizes), abs(from_first), away) if ring.any() else away


def _exact(runs: RunLengths, ring: list[int]) -> NDArray[np.complex128]:
    """The corners of the pixels around it, where it turns."""
    edges = np.array(ring)
    x, y, lower = runs.x[edges], runs.y[edges], edges % 2
    ends = np.stack([x + lower + 1j * y, x + 1 - lower + 1j * y], axis=1).ravel()
    ends = ends[ends != np.roll(ends, 1)]
    before, after = ends - np.roll(ends, 1), np.roll(ends, -1) - ends
    turning: NDArray[np.complex128] = ends[(before.conj() * after).imag != 0]
    return turning
