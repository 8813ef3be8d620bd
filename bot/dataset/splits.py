"""Splits: train, val and test. Images that belong together are in one split."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from bot.core.errors import UsageError
from storage.components import components
from storage.datasets import FoundImage, keyed

NAMES = ("train", "val", "test")
Person = tuple[str, str]  # platform, user id


@dataclass(frozen=True, slots=True)
class Split:
    """The split of each image; None: left out, because it belongs to two splits."""

    of_image: list[str | None]
    left_out: int


def ratios(text: str) -> dict[str, float]:
    """Shares of train, val and test out of `80/10/10`. Raises UsageError."""
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    if len(parts) != len(NAMES) or min(parts) < 0 or not 0 < sum(parts) < 1e9:
        raise UsageError(f"--splits {text!r}: three shares, as in 80/10/10")
    return {name: part / sum(parts) for name, part in zip(NAMES, parts, strict=True)}


def uneven(counts: Mapping[str, int], shares: Mapping[str, float]) -> str:
    """What to say when a split got far less than its share, or nothing; else "".

    Splits are drawn for whole groups of authors: few groups, or a large one, come out unevenly.
    """
    total = sum(counts.values())
    short = [name for name, share in shares.items() if counts.get(name, 0) < share * total / 3]
    if not total or not short:
        return ""
    said = ", ".join(f"{name} {counts.get(name, 0)}" for name in shares if shares[name])
    return (
        f"the splits are {said}: {' and '.join(short)} got far less than asked, since all images "
        "of an author, and near duplicates of different authors, stay in one split"
    )


def split(
    images: Sequence[FoundImage],
    shares: Mapping[str, float],
    secret: bytes,
    seed: int,
    past: Mapping[Person, str],
) -> Split:
    """Split by author and by group of near duplicates, so that no test image was trained on.

    Authors who share a group (or the very same bytes) get one split, drawn by a keyed hash of the
    first of them. So the shares hold approximately for sets of authors, not exactly for images. An
    author of an earlier snapshot keeps the split (`past`). If that puts a group into two splits
    at once, the split of its first image keeps it, and the other images are left out.
    """
    people = [(image.platform, image.author) for image in images]
    shared = [(image.group, image.sha256) for image in images]
    links = [(person, one) for person, both in zip(people, shared, strict=True) for one in both]
    sets = components(links)
    rank = {person: keyed(secret, f"split:{seed}", "/".join(person)) for person in set(people)}
    kept = {person: name for person, name in past.items() if shares.get(name)}
    of_set: dict[int, str] = {}
    for person in sorted(rank, key=lambda one: (one not in kept, rank[one])):
        drawn = kept.get(person) or _draw(rank[person], shares)
        of_set.setdefault(sets[person], drawn)
    homes: dict[Hashable, str] = {}
    result: list[str | None] = []
    for person, both in zip(people, shared, strict=True):
        mine = kept.get(person) or of_set[sets[person]]
        fits = [homes.setdefault(one, mine) == mine for one in both]
        result.append(mine if all(fits) else None)
    return Split(result, result.count(None))


def _draw(digest: str, shares: Mapping[str, float]) -> str:
    """A name with the probability of its share; `digest`: hex, uniform."""
    at, edge = int(digest[:13], 16) / 16**13, 0.0
    for name, share in shares.items():
        edge += share
        if at < edge:
            return name
    return max(shares, key=lambda name: shares[name])  # the sum of the shares was rounded down
