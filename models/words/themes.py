"""Themes of a collection: tags that appear together and look alike.

Two tags are as close as the posts that have both say (normalised pointwise mutual information:
Bouma 2009), and as their directions in the space of what is seen. Average-linkage clustering of
these distances (SciPy) gives the themes; how many there are follows from a limit of distance.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from models.words.ridge import Matrix, Regression, Vectors

CUT = 0.9  # distance above which two groups of tags are two themes; 1: nothing in common
MOST = 200  # tags
RARE = 0.01  # share of the images below which a theme is rare
SEEN = 0.3  # how much looking alike counts beside appearing together


@dataclass(slots=True)
class Theme:
    """Tags that belong together, the most frequent first. It is named by its first two."""

    tags: list[str]
    images: int  # with at least one of its tags
    share: float  # of all images that have a tag
    rare: bool
    overlaps: dict[str, float] = field(default_factory=dict)  # other theme → share of its images

    @property
    def name(self) -> str:
        return " ".join(self.tags[:2])


def themes(
    tags: Sequence[Collection[str]], features: Vectors | None = None, least: int = 2
) -> list[Theme]:
    """The themes of N images with these tags, the largest first.

    `features`: (N, d) of the same images, or None: then only appearing together counts. `least`:
    images that a tag must have. Deterministic. Empty without such tags.
    """
    names = _frequent(tags, least)
    if not names:
        return []
    number = {name: i for i, name in enumerate(names)}
    has = np.zeros((len(tags), len(names)))
    for row, some in enumerate(tags):
        has[row, [number[name] for name in set(some) if name in number]] = 1
    near = together(has)
    if features is not None and len(names) > 1:
        near = (1 - SEEN) * near + SEEN * looks_alike(has, features)
    return _themes(names, has, _groups(1 - near))


def together(has: Matrix) -> Matrix:
    """(T, T) in [0, 1]: normalised pointwise mutual information of two tags; 0 for those that
    appear together no more than chance has it, 1 for those that always do."""
    count = len(has)
    both = has.T @ has / count
    alone = has.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mutual = np.log(both / np.outer(alone, alone)) / -np.log(both)
    mutual[both == 0] = 0.0
    mutual[both == 1] = 1.0
    found: Matrix = np.clip(np.nan_to_num(mutual), 0, 1)
    return found


def looks_alike(has: Matrix, features: Vectors) -> Matrix:
    """(T, T) in [0, 1]: the cosine of the directions in which two tags lie; 0 below 0."""
    directions = Regression.fit(features, has).weights
    length = np.maximum(np.linalg.norm(directions, axis=0), 1e-12)
    found: Matrix = np.clip(directions.T @ directions / np.outer(length, length), 0, 1)
    return found


def _frequent(tags: Sequence[Collection[str]], least: int) -> list[str]:
    counts: dict[str, int] = {}
    for some in tags:
        for name in set(some):
            counts[name] = counts.get(name, 0) + 1
    kept = [name for name, count in counts.items() if count >= least]
    return sorted(kept, key=lambda name: (-counts[name], name))[:MOST]


def _groups(apart: Matrix) -> list[int]:
    if len(apart) == 1:
        return [1]
    even = (apart + apart.T) / 2
    np.fill_diagonal(even, 0)
    tree = linkage(squareform(even, checks=False), "average")
    return [int(group) for group in fcluster(tree, CUT, "distance")]


def _themes(names: Sequence[str], has: Matrix, groups: Sequence[int]) -> list[Theme]:
    tagged = int(has.any(axis=1).sum())
    found: list[tuple[Theme, Matrix]] = []
    for group in sorted(set(groups)):
        mine = [i for i, one in enumerate(groups) if one == group]
        inside: Matrix = np.asarray(has[:, mine].any(axis=1), np.float64)
        images = int(inside.sum())
        share = images / tagged
        theme = Theme([names[i] for i in mine], images, round(share, 4), share < RARE)
        found.append((theme, inside))
    found.sort(key=lambda one: (-one[0].images, one[0].name))
    for theme, own in found:
        for other, also in found:
            common = float((own * also).sum())
            if other is not theme and common:
                theme.overlaps[other.name] = round(common / theme.images, 4)
    return [theme for theme, _ in found]
