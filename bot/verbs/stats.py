"""`tagecho stats`: counts of the collected posts, as lines, as JSON, and as a page with plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import PIL.Image

from bot.config import Settings
from bot.core.errors import NothingToDo, StorageError
from bot.service.app import opened
from bot.verbs.pages import by_count, data_uri, page_at, template, words
from bot.verbs.themes import DRAWN, cells, themes_or_none
from models.base import ImageRejected
from models.images import codec, decoder
from storage import stats
from storage.blobs import BlobStore
from storage.stats import Group, SampleImage

HASHTAGS = 20  # the most frequent ones
FITS, EXAMPLES = 12, 6  # images of each kind
GROUPS, MEMBERS = 8, 4
THUMBNAIL = 200  # px, the longer side
BARS = 60  # of the plot over time, at most


@dataclass(frozen=True, slots=True)
class Stats:
    everything: Group
    datasets: list[Group]
    hashtags: list[Group]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    count: int
    share: float  # of the highest, 0..1


@dataclass(frozen=True, slots=True)
class SheetPicture:
    sample: SampleImage
    src: str  # a data URI; empty if the image cannot be shown


@dataclass(frozen=True, slots=True)
class Sheet:
    """A row of images under one heading."""

    title: str
    note: str
    pictures: list[SheetPicture]


def collect(settings: Settings) -> Stats:
    """Raises NothingToDo if no post is stored."""
    with opened(settings) as app, app.database.read() as session:
        everything = stats.group(session, "all")
        if not everything.posts:
            raise NothingToDo("no post is stored")
        return Stats(
            everything,
            [stats.group(session, "dataset", name) for name in stats.datasets(session)],
            [stats.group(session, "hashtag", name) for name in stats.hashtags(session, HASHTAGS)],
        )


def lines(found: Stats) -> Iterator[str]:
    """A table for people."""
    yield f"{'':<28}{'posts':>8}{'images':>8}{'authors':>8}{'flagged':>8}{'exact':>7}{'near':>7}"
    for group in (found.everything, *found.datasets, *found.hashtags):
        sign = {"all": "everything", "hashtag": f"#{group.name}"}.get(group.kind, group.name)
        yield (
            f"{sign[:27]:<28}{group.posts:>8}{group.images:>8}{group.authors:>8}"
            f"{group.flagged:>8}{group.duplicates['exact']:>7}{group.duplicates['near']:>7}"
        )
    for check, count in found.everything.verdicts.items():
        yield f"{check:<28}{count:>8} images"


def write_page(settings: Settings, found: Stats, path: Path) -> None:
    """Write one file that loads nothing; only its owner can read it. Raises StorageError."""
    with opened(settings) as app:
        sheets = list(_sheets(app.database, app.originals, found))
        about = themes_or_none(app, settings)
    page = _template().render(
        themes=about,
        drawn=about[:DRAWN],
        cells=cells(about),
        now=datetime.now(UTC),
        everything=found.everything,
        groups=[*found.datasets, *found.hashtags],
        sheets=sheets,
    )
    try:
        with page_at(path) as out:
            out.write(page)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def timeline(by_day: dict[str, int]) -> list[Bar]:
    """Posts per day, or per as many days as give at most `BARS` bars; empty bars are included."""
    if not by_day:
        return []
    days = {date.fromisoformat(day): count for day, count in by_day.items()}
    last = max(days)
    first = max(
        min(days), last - timedelta(days=BARS * 7 - 1)
    )  # a single old post does not compress the plot
    step = -(-((last - first).days + 1) // BARS)
    counts = [0] * (((last - first).days // step) + 1)
    for day, count in days.items():
        if day >= first:
            counts[(day - first).days // step] += count
    labels = [(first + timedelta(days=step * i)).isoformat() for i in range(len(counts))]
    return bars(labels, counts)


def bars(labels: Sequence[str], counts: Sequence[int]) -> list[Bar]:
    highest = max(counts, default=0) or 1
    return [Bar(name, n, n / highest) for name, n in zip(labels, counts, strict=True)]


def _sheets(database: Any, originals: BlobStore, found: Stats) -> Iterator[Sheet]:
    def sheet(title: str, note: str, samples: Sequence[SampleImage]) -> Sheet:
        return Sheet(
            title, note, [SheetPicture(s, _data_uri(originals, s.sha256)) for s in samples]
        )

    with database.read() as session:
        worst = stats.fit_samples(session, FITS, best=False)
        best = stats.fit_samples(session, FITS, best=True)
        groups = stats.duplicate_groups(session, GROUPS, MEMBERS)
        examples = {
            check: stats.verdict_samples(session, check, EXAMPLES)
            for check in found.everything.verdicts
        }
    if worst:
        yield sheet("Worst label fit", "how probable the hashtag is, by what others show", worst)
    if best:
        yield sheet("Best label fit", "", best)
    for number, members in enumerate(groups, 1):
        yield sheet(f"Duplicates, group {number}", "the original first; width in px", members)
    for check, samples in examples.items():
        count = found.everything.verdicts[check]
        yield sheet(f"Verdict: {words(check)}", f"{count} images, the newest of them", samples)


def _data_uri(originals: BlobStore, sha256: str) -> str:
    try:
        data = originals.get(sha256)
        pixels = decoder.decode(data, min_side=1, shrink_to=THUMBNAIL).pixels
    except (ImageRejected, StorageError):
        return ""  # the page says so
    layer = PIL.Image.fromarray(pixels)
    layer.thumbnail((THUMBNAIL, THUMBNAIL))
    return data_uri("jpeg", codec.encode_jpeg(np.array(layer), description="", quality=78))


def _tenths(counts: Sequence[int]) -> list[Bar]:
    labels = [f"{i / 10:.1f}–{(i + 1) / 10:.1f}" for i in range(len(counts))]
    return bars(labels, counts)


def _checks(verdicts: dict[str, int]) -> list[Bar]:
    ordered = by_count(verdicts)
    return bars([words(check) for check, _ in ordered], [count for _, count in ordered])


def _people(authors: Sequence[tuple[str, int]]) -> list[Bar]:
    return bars([name for name, _ in authors], [count for _, count in authors])


@cache
def _template() -> jinja2.Template:
    return template("stats.html", timeline=timeline, tenths=_tenths, checks=_checks, people=_people)
