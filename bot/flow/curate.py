"""Curation: every stored image is measured, compared with all others, and judged.

Measuring happens where the image was just decoded, comparing and judging afterwards, in a
transaction of their own. Nothing is deleted or hidden: a verdict is a row. What a crash leaves
between the two is found by its version and finished with the next image or by `tagecho curate`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlmodel import Session

from bot.core.clock import Clock, utc_now
from models.base import Image
from models.quality import duplicate, measure
from models.quality.duplicate import SAME, similarity
from models.quality.index import HashIndex
from models.quality.measure import Measured
from storage import curation
from storage.checks import Check
from storage.curation import SIMILARITY, Facts, Pair
from storage.database import Database
from storage.human_labels import PERSON
from storage.tables import Curation, Verdict

VERSION = f"{measure.VERSION}.{duplicate.VERSION}"
UNMATCHED = f"{VERSION} unmatched"
BATCH = 64  # images matched in one transaction
MOST = 1024  # neighbours looked at: one picture posted ten thousand times costs no more
SAMPLE = 10_000  # latest images that percentiles are taken of while collecting
ENOUGH = 100  # images without which a percentile says nothing
FRESH = timedelta(hours=1)  # how long percentiles stay
_REASONED = (Check.EXACT, Check.NEAR, Check.REJECTED)  # their reason may change, and no score
OVERLAP = timedelta(minutes=5)  # a row may be committed so long after its time


@dataclass(frozen=True, slots=True)
class Bound:
    """A check: a score that may not be under, or not over, a limit."""

    check: str
    score: str
    at_least: bool
    value: float | None = None  # in the score's unit
    percentile: float | None = None  # of the collected images, 0..100
    unit: str = ""

    @property
    def rule(self) -> str:
        return f"p{self.percentile:g}" if self.percentile is not None else f"{self.value:g}"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound with its percentile resolved."""

    bound: Bound
    value: float
    images: int = 0  # that the percentile was taken of

    def broken(self, score: float) -> bool:
        return score < self.value if self.bound.at_least else score > self.value

    def reason(self, score: float) -> str:
        side = "under" if self.bound.at_least else "over"
        text = f"{self.bound.score} {score:.4g}{self.bound.unit} is {side} {self.value:.4g}"
        if self.bound.percentile is None:
            return text
        return f"{text} ({self.bound.rule} of {self.images} images)"


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict that came, went, or is another one now."""

    media: int
    url: str
    check: str
    change: str  # new | changed | gone
    score: float
    reason: str


class Curator:
    """Measures, compares and judges, for all threads of a process."""

    def __init__(self, database: Database, bounds: Sequence[Bound], clock: Clock = utc_now) -> None:
        self._database = database
        self.bounds = tuple(bounds)  # may be replaced at any time, by any thread
        self._clock = clock
        self._index = HashIndex()
        self._indexed: datetime | None = None
        self._limits: tuple[Limit, ...] = ()
        self._resolved: tuple[tuple[Bound, ...], datetime] | None = None
        self._lock = threading.Lock()

    def measured(self, pixels: Image, frames: int) -> Measured:
        return measure.measure(pixels, frames)

    def row(self, media: int, measured: Measured) -> Curation:
        """To be stored; not yet compared with the others."""
        return Curation(
            media=media,
            version=UNMATCHED,
            scores=measured.scores,
            phash=measured.phash,
            thumbnail=measured.thumbnail,
            computed_at=self._clock(),
        )

    def settle(self) -> list[Change]:
        """Compare and judge what was stored since; and what an interruption left. StorageError."""
        changes: list[Change] = []
        with self._lock:
            todo = self.unmatched()
            for start in range(0, len(todo), BATCH):
                touched = self.match(todo[start : start + BATCH])
                changes += self.judge(touched, self._current_limits())
        return changes

    def unmatched(self) -> list[int]:
        with self._database.read() as session:
            return curation.unmatched(session, UNMATCHED)

    def judge(self, media: Iterable[int], limits: Sequence[Limit]) -> list[Change]:
        """Bring the verdicts on these images up to date."""
        with self._database.read() as session:
            found = curation.facts(session, media)
        changes: list[Change] = []
        todo: list[tuple[Facts, list[Verdict], list[Change]]] = []
        for one in found:
            wanted = self._verdicts(one, limits)
            changed = _difference(one, wanted)
            if changed:
                todo.append((one, wanted, changed))
                changes += changed
        if todo:
            with self._database.write() as session:
                for one, wanted, changed in todo:
                    names = {change.check for change in changed}
                    stored = [verdict for verdict in wanted if verdict.check in names]
                    curation.decide(session, one.image.media, stored, names)
        return changes

    def limits(self, sample: int | None = None) -> tuple[Limit, ...]:
        """The bounds with percentiles of the latest `sample` images, or of all."""
        return self._resolve(self.bounds, sample)

    def _resolve(self, bounds: Sequence[Bound], sample: int | None) -> tuple[Limit, ...]:
        wanted = {b.score for b in bounds if b.percentile is not None}
        values: dict[str, list[float]] = {name: [] for name in wanted}
        with self._database.read() as session:
            if wanted - {Check.LABEL_FIT}:
                for scores in curation.scores(session, sample):
                    for name in wanted & scores.keys():
                        values[name].append(scores[name])
            if Check.LABEL_FIT in wanted:
                values[Check.LABEL_FIT] = curation.all_fits(session, sample)
        return tuple(limit for b in bounds if (limit := _resolve(b, values)) is not None)

    def _current_limits(self) -> tuple[Limit, ...]:
        bounds, now = self.bounds, self._clock()
        known, since = self._resolved or (None, now)
        if known != bounds or now - since > FRESH:
            self._limits, self._resolved = self._resolve(bounds, SAMPLE), (bounds, now)
        return self._limits

    def match(self, media: Sequence[int]) -> set[int]:
        """Compare some with all. Returns them, those whose group changed, and their copies."""
        pairs: list[Pair] = []
        compared = dict.fromkeys(media, 0.0)
        found: dict[int, float] = {}
        with self._database.read() as session:
            self._refresh(session)
            mine = curation.pictures(session, media)
            near = {
                one: [m for m in self._index.near(phash, MOST) if m != one]
                for one, (phash, _) in mine.items()
            }
            theirs = curation.pictures(session, {m for some in near.values() for m in some})
        for (one, other), alike in _similar(mine, near, theirs).items():
            compared[one] = max(alike, compared[one])
            if alike >= SAME:
                found[other] = max(alike, found.get(other, 0.0))
                pairs.append(Pair(one, other))
        with self._database.write() as session:
            curation.matched(session, compared, found, VERSION)
            touched = curation.join(session, pairs) | compared.keys() | found.keys()
            return touched | _copies(session, touched)

    def _refresh(self, session: Session) -> None:
        """Take in what was measured since, by any process."""
        now = self._clock()
        since = None if self._indexed is None else self._indexed - OVERLAP
        rows = curation.hashes(session, since)
        self._index.put([m for m, _ in rows], [h for _, h in rows])
        self._indexed = now

    def _verdicts(self, one: Facts, limits: Sequence[Limit]) -> list[Verdict]:
        now = self._clock()
        verdicts = []

        def say(check: str, score: float, reason: str, version: str = VERSION) -> None:
            verdicts.append(
                Verdict(
                    media=one.image.media,
                    check=check,
                    score=score,
                    reason=reason,
                    version=version,
                    computed_at=now,
                )
            )

        if one.label is not None and one.label.accepted:
            return []  # a person looked at it: no measurement stands against that
        if one.label is not None:
            why = f": {one.label.why}" if one.label.why else ""
            say(Check.REJECTED, 0.0, f"{one.label.who} rejected it{why}", PERSON)
        for limit in limits:
            bound = limit.bound
            score = one.scores.get(bound.score)
            if score is not None and limit.broken(score):
                say(bound.check, score, limit.reason(score), f"{VERSION} {bound.rule}")
            if bound.check == Check.LABEL_FIT and (poor := _poor(one.fits, limit)):
                least = min(poor.values())
                names = ", ".join(f"#{tag} {p:.2f}" for tag, p in sorted(poor.items()))
                reason = f"{names}: {limit.reason(least)}"
                say(Check.LABEL_FIT, least, reason, f"{one.fits_by} {bound.rule}")
        if one.copy_of is not None:
            say(
                Check.EXACT,
                1.0,
                f"the same bytes as {_named(one.copy_of)}, which is earlier",
            )
        original = one.original
        if original is not None and original.sha256 != one.image.sha256:
            larger = original.rank[0] < one.image.rank[0]
            why = "larger" if larger else "earlier"
            score = one.scores.get(SIMILARITY, 0.0)
            say(
                Check.NEAR,
                score,
                f"shows the same photo as {_named(original)}, which is {why}",
            )
        return verdicts


def _resolve(bound: Bound, values: Mapping[str, Sequence[float]]) -> Limit | None:
    """None where there are too few images for a percentile, or no limit was set."""
    if bound.percentile is None:
        return None if bound.value is None else Limit(bound, bound.value)
    known = values.get(bound.score, ())
    if len(known) < ENOUGH:
        return None
    return Limit(bound, float(np.percentile(known, bound.percentile)), len(known))


def _poor(fits: Mapping[str, float], limit: Limit) -> dict[str, float]:
    return {tag: probability for tag, probability in fits.items() if limit.broken(probability)}


_Pictures = Mapping[int, tuple[int, bytes]]  # media → hash, thumbnail


def _similar(
    mine: _Pictures, near: Mapping[int, Sequence[int]], theirs: _Pictures
) -> dict[tuple[int, int], float]:
    """Each two different thumbnails are looked at once: copies of one picture are alike."""
    asked = [(one, other) for one, some in near.items() for other in some if other in theirs]
    thumbnails = [(mine[one][1], theirs[other][1]) for one, other in asked]
    different = list(dict.fromkeys(thumbnails))
    alike = similarity([first for first, _ in different], [second for _, second in different])
    found = dict(zip(different, alike.tolist(), strict=True))
    return {pair: found[pictures] for pair, pictures in zip(asked, thumbnails, strict=True)}


def _copies(session: Session, media: Iterable[int]) -> set[int]:
    known = curation.others(session, media)
    same = curation.same_bytes(session, (image.sha256 for image in known.values()))
    return {image.media for images in same.values() for image in images}


def _difference(one: Facts, wanted: Sequence[Verdict]) -> list[Change]:
    def change(verdict: Verdict, what: str) -> Change:
        return Change(
            one.image.media, one.image.url, verdict.check, what, verdict.score, verdict.reason
        )

    found = []
    for verdict in wanted:
        stored = one.verdicts.get(verdict.check)
        if stored is None:
            found.append(change(verdict, "new"))
        elif (stored.score, stored.version) != (verdict.score, verdict.version) or (
            verdict.check in (Check.EXACT, Check.NEAR, Check.REJECTED)
            and stored.reason != verdict.reason
        ):
            found.append(change(verdict, "changed"))
    names = {verdict.check for verdict in wanted}
    return found + [change(v, "gone") for check, v in one.verdicts.items() if check not in names]


def _named(image: curation.Other) -> str:
    return f"image {image.media} ({image.width}x{image.height}) of {image.url}"
