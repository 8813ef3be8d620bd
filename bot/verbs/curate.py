"""`tagecho curate`: measure new images, compare them with all others, update all verdicts.

A dry run does the same work on a copy of its tables. So it shows exactly what would change, and
writes nothing.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel, insert, select

from bot.config import Settings
from bot.core.errors import NothingToDo, StorageError
from bot.flow.curate import BATCH, UNMATCHED, VERSION, Change, Curator
from bot.service.app import App, bounds_of, opened
from bot.service.progress import progress
from models.base import ImageRejected
from models.images.decoder import decode
from storage import curation
from storage.blobs import BlobStore
from storage.database import Database
from storage.tables import Curation, ImageLabel, LabelScore, MediaRow, PostRow, PostTrack, Verdict

KEPT = 32  # measurements per transaction; an interruption loses at most so many
JUDGED = 500  # images per transaction
SHOWN = 1000  # changes that are listed; all are counted
# In the order of their keys.
COPIED = (PostRow, PostTrack, MediaRow, ImageLabel, LabelScore, Curation, Verdict)
_ROWS = 1000


@dataclass(slots=True)
class CurateSummary:
    dry_run: bool
    images: int = 0
    measured: int = 0  # by this run
    compared: int = 0  # by this run
    new: dict[str, int] = field(default_factory=dict)  # verdicts by check
    changed: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)  # all current verdicts
    changes: list[Change] = field(default_factory=list)  # the first `SHOWN`
    unreadable: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def curate(settings: Settings, *, dry_run: bool = False) -> CurateSummary:
    """Measures only images that are new or were measured by another version.

    May be interrupted at any point and run again, also beside a running service. Raises NothingToDo
    if no image is stored, StorageError.
    """
    with opened(settings) as app, _database(app, dry_run) as database:
        summary = CurateSummary(dry_run)
        curator = Curator(database, bounds_of(settings))
        _measure(database, app.originals, curator, settings.limits.max_pixels, summary)
        _compare(curator, summary)
        _judge(database, curator, summary)
        with database.read() as session:
            summary.verdicts = curation.counts(session)
    if not summary.images:
        raise NothingToDo("no image is stored")
    return summary


def _measure(
    database: Database,
    originals: BlobStore,
    curator: Curator,
    max_pixels: int,
    summary: CurateSummary,
) -> None:
    with database.read() as session:
        todo = curation.to_measure(session, (VERSION, UNMATCHED))
    batch: list[Curation] = []
    try:
        for media, sha256 in progress(todo, "measuring"):
            try:
                image = decode(originals.get(sha256), max_pixels=max_pixels)
            except (ImageRejected, StorageError) as error:
                summary.unreadable.append(f"image {media}: {error}")
                continue
            batch.append(curator.row(media, curator.measured(image.pixels, image.frames)))
            if len(batch) == KEPT:
                _keep(database, batch, summary)
    finally:  # nothing that was computed is lost, also after Ctrl-C
        _keep(database, batch, summary)


def _keep(database: Database, batch: list[Curation], summary: CurateSummary) -> None:
    if batch:
        with database.write() as session:
            curation.keep(session, batch)
        summary.measured += len(batch)
        batch.clear()


def _compare(curator: Curator, summary: CurateSummary) -> None:
    todo = curator.unmatched()
    for start in progress(range(0, len(todo), BATCH), "comparing"):
        some = todo[start : start + BATCH]
        curator.match(some)
        summary.compared += len(some)


def _judge(database: Database, curator: Curator, summary: CurateSummary) -> None:
    with database.read() as session:
        images = curation.curated(session)
    summary.images = len(images) + len(summary.unreadable)
    limits = curator.limits()
    counts: dict[str, Counter[str]] = {"new": Counter(), "changed": Counter(), "gone": Counter()}
    for start in progress(range(0, len(images), JUDGED), "judging"):
        for change in curator.judge(images[start : start + JUDGED], limits):
            counts[change.change][change.check] += 1
            if len(summary.changes) < SHOWN:
                summary.changes.append(change)
    summary.new, summary.changed, summary.gone = (dict(counts[k]) for k in counts)


@contextlib.contextmanager
def _database(app: App, dry_run: bool) -> Iterator[Database]:
    """The database, or a copy of it in a temporary file."""
    if not dry_run:
        yield app.database
        return
    with tempfile.TemporaryDirectory(prefix="tagecho-") as folder:
        copy = Database(f"sqlite:///{Path(folder) / 'copy.db'}")
        try:
            copy.migrate()
            _copy(app.database, copy)
            yield copy
        finally:
            copy.close()


def _copy(source: Database, target: Database) -> None:
    with source.read() as session, target.write() as out:
        for model in COPIED:
            columns: Any = SQLModel.metadata.tables[str(model.__tablename__)]
            rows = session.connection().execute(
                select(columns), execution_options={"yield_per": _ROWS}
            )
            for some in rows.mappings().partitions(_ROWS):
                out.connection().execute(insert(columns), [_light(dict(row)) for row in some])


def _light(row: dict[str, Any]) -> dict[str, Any]:
    """What judging never reads is left out of the copy."""
    return row | {"caption": "", "raw": {}} if "caption" in row else row


def table(changes: Sequence[Change]) -> Iterator[str]:
    """A line for each change."""
    for change in changes:
        yield f"{change.change:<8}{change.check:<16}image {change.media}  {change.reason}"
        yield f"{'':<24}{change.url}"
