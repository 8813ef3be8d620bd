"""`tagecho watch`: the operator's own pictures, found again in what is collected, altered or not.

Every stored image is looked at once. Later runs look at what came since: images that were
collected, and pictures that were added. An interrupted run goes on where it was.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, StorageError, UsageError
from bot.core.files import read_whole
from bot.service.app import App, opened
from bot.service.progress import progress
from bot.verbs.files import SUFFIXES
from models.base import Image, ImageRejected
from models.images.decoder import decode
from models.quality import duplicate, landmarks, reappearance
from models.quality.landmarks import CornerPatches
from models.quality.phash import NEAR, distances, phash
from models.quality.reappearance import Watched, compare
from storage import watching
from storage.tables import WatchCheck, WatchedPicture, WatchMatch
from storage.watching import Sighting

VERSION = f"{landmarks.VERSION}.{reappearance.VERSION}.{duplicate.VERSION}"
SIDE = 512  # px, short side; the comparison needs less
BATCH = 16  # images per transaction; an interruption loses at most so many
OPEN = 64  # watched pictures in memory
WHOLE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


@dataclass(slots=True)
class WatchReport:
    pictures: int = 0  # watched
    added: int = 0  # of these, since the last run
    removed: int = 0  # not in the folder any more
    images: int = 0  # looked at by this run
    found: list[Sighting] = field(default_factory=list)
    began: datetime = field(default_factory=utc_now)
    unreadable: list[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each watched picture and post that shows it."""
        return [_row(one, one.match.found >= self.began) for one in self.found]

    def as_dict(self) -> dict[str, Any]:
        numbers = ("pictures", "added", "removed", "images", "unreadable")
        return {name: getattr(self, name) for name in numbers} | {"found": self.rows()}


def watch(settings: Settings, folder: Path, *, since: datetime | None = None) -> WatchReport:
    """The pictures in `folder`, and below it, are those that are watched, and no others.

    `since`: report only what was found then or later. Raises UsageError for what is no folder,
    NothingToDo for one without a picture; StorageError.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    report = WatchReport()
    with opened(settings) as app:
        _synchronise(app, folder, report)
        _look(app, report)
        with app.database.read() as session:
            report.found = watching.found(session, app.optouts, since)
    return report


def _synchronise(app: App, folder: Path, report: WatchReport) -> None:
    """Watch what is new in the folder, and no longer what is not in it any more."""
    with app.database.read() as session:
        known = {row.sha256: row for row in watching.pictures(session)}
    here: dict[str, Path] = {}
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    for path in progress(paths, "watched pictures"):
        try:
            data = read_whole(path)
        except OSError as error:
            report.unreadable.append(f"{path}: {error.strerror}")
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        row = known.get(sha256)
        if sha256 in here:
            continue
        here[sha256] = path.absolute()
        if row is None or row.version != VERSION:
            try:
                _watch(app, sha256, here[sha256], data)
                report.added += row is None
            except ImageRejected as error:
                report.unreadable.append(f"{path}: {error}")
                del here[sha256]
    if not here:
        raise NothingToDo(f"{folder}: there is no picture in it")
    gone = [row.id for sha256, row in known.items() if sha256 not in here]
    with app.database.write() as session:
        watching.unwatch(session, gone)
        for picture in watching.pictures(session):
            picture.path = str(here.get(picture.sha256, picture.path))
    report.pictures, report.removed = len(here), len(gone)


def _watch(app: App, sha256: str, path: Path, data: bytes) -> None:
    pixels = _pixels(app, data, own=True)
    grey = np.asarray(PIL.Image.fromarray(pixels).convert("L"))
    with app.database.write() as session:
        watching.unwatch(session, [p.id for p in watching.pictures(session) if p.sha256 == sha256])
        session.flush()
        session.add(
            WatchedPicture(
                id=watching.next_number(session),
                sha256=sha256,
                path=str(path),
                version=VERSION,
                width=pixels.shape[1],
                height=pixels.shape[0],
                landmarks=_packed(pixels),
                phash=phash(grey),
                mirrored_phash=phash(np.ascontiguousarray(grey[:, ::-1])),
                thumbnail=duplicate.thumbnail(grey),
                added=utc_now(),
            )
        )


def _look(app: App, report: WatchReport) -> None:
    """Compare every image that was not compared with all pictures yet."""
    with app.database.read() as session:
        pictures = watching.pictures(session)
        todo = watching.unchecked(session, VERSION, pictures[-1].id)
    finder = WatchFinder(app, pictures)
    checks: list[WatchCheck] = []
    matches: list[WatchMatch] = []
    try:
        for sha256, done in progress(todo, "collected images"):
            error = ""
            try:
                matches += finder.matches(sha256, _pixels(app, app.originals.get(sha256)), done)
            except (ImageRejected, StorageError) as problem:
                error = str(problem)
                report.unreadable.append(f"image {sha256[:12]}: {error}")
            newest = pictures[-1].id
            checks.append(WatchCheck(sha256=sha256, version=VERSION, newest=newest, error=error))
            if len(checks) == BATCH:
                _keep(app, checks, matches, report)
    finally:  # nothing that was compared is lost, also after Ctrl-C
        _keep(app, checks, matches, report)


def _keep(
    app: App, checks: list[WatchCheck], matches: list[WatchMatch], report: WatchReport
) -> None:
    if checks:
        with app.database.write() as session:
            watching.keep(session, checks, matches)
        report.images += len(checks)
        checks.clear()
        matches.clear()


class WatchFinder:
    """Finds watched pictures in images, one image after the other."""

    def __init__(self, app: App, pictures: Sequence[WatchedPicture]) -> None:
        self._app, self._pictures = app, pictures
        self._marks = {row.id: _unpacked(row) for row in pictures}
        self._known: dict[int, tuple[list[WatchedPicture], Watched]] = {}
        self._open = lru_cache(OPEN)(self._read)

    def matches(self, sha256: str, image: Image, after: int) -> list[WatchMatch]:
        """In an image, those of the pictures whose number is above `after`."""
        if after not in self._known:
            later = [row for row in self._pictures if row.id > after]
            marks = [
                (sign * row.id, self._marks[row.id][sign < 0]) for row in later for sign in (1, -1)
            ]
            self._known[after] = later, Watched(marks)
        later, watched = self._known[after]
        found: dict[int, WatchMatch] = {}
        for match in (*self._by_landmarks(watched, image), *_as_whole(later, image)):
            known = found.get(match.picture)
            if known is None or known.similarity < match.similarity:
                match.sha256 = sha256
                found[match.picture] = match
        return list(found.values())

    def _by_landmarks(self, watched: Watched, image: Image) -> Iterator[WatchMatch]:
        seen = landmarks.landmarks(image)
        size = image.shape[1], image.shape[0]
        for number in watched.candidates(seen):
            placement = watched.placement(number, seen)
            mine = self._open(abs(number)) if placement is not None else None
            if placement is None or mine is None:
                continue
            one = compare(mine, image, placement)
            if one.similarity >= reappearance.SAME:
                mine_size = mine.shape[1], mine.shape[0]
                yield _match(
                    abs(number),
                    one.similarity,
                    one.covered,
                    placement.agreeing,
                    placement.mirrored,
                    _shares(placement.outline(*mine_size), size),
                    _shares(placement.shown(mine_size, size), mine_size),
                )

    def _read(self, number: int) -> Image | None:
        """None: the file went, or is another one, since this run began."""
        row = next(row for row in self._pictures if row.id == number)
        try:
            data = read_whole(Path(row.path))
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != row.sha256:
            return None
        return _pixels(self._app, data, own=True)


def _as_whole(pictures: Sequence[WatchedPicture], image: Image) -> Iterator[WatchMatch]:
    """As near duplicates are found: also where a picture has hardly a landmark."""
    grey = np.asarray(PIL.Image.fromarray(image).convert("L"))
    mine, small = phash(grey), duplicate.thumbnail(grey)
    for mirrored in (False, True):
        hashes = np.array([row.mirrored_phash if mirrored else row.phash for row in pictures])
        near = [pictures[k] for k in np.flatnonzero(distances(mine, hashes) <= NEAR).tolist()]
        theirs = [_turned(row.thumbnail) if mirrored else row.thumbnail for row in near]
        alike = duplicate.similarity(theirs, [small] * len(near)).tolist()
        for row, similarity in zip(near, alike, strict=True):
            if similarity >= duplicate.SAME:
                yield _match(row.id, round(similarity, 4), 1.0, 0, mirrored, WHOLE, WHOLE)


def _turned(thumbnail: bytes) -> bytes:
    square = np.frombuffer(thumbnail, np.uint8).reshape(duplicate.SIDE, duplicate.SIDE)
    return square[:, ::-1].tobytes()


def _match(
    picture: int,
    similarity: float,
    covered: float,
    agreeing: int,
    mirrored: bool,
    outline: list[list[float]],
    shown: list[list[float]],
) -> WatchMatch:
    return WatchMatch(
        picture=picture,
        sha256="",
        similarity=similarity,
        covered=covered,
        landmarks=agreeing,
        mirrored=mirrored,
        outline=outline,
        shown=shown,
        found=utc_now(),
    )


def _shares(corners: Sequence[tuple[float, float]], size: tuple[int, int]) -> list[list[float]]:
    """Corners in px as shares of the width and of the height."""
    return [[round(x / size[0], 4), round(y / size[1], 4)] for x, y in corners]


def _pixels(app: App, data: bytes, *, own: bool = False) -> Image:
    most = app.settings.limits.max_pixels
    return decode(data, max_pixels=most, shrink_to=SIDE, own=own).pixels


def _packed(pixels: Image) -> bytes:
    """The landmarks of a picture and of its mirror image."""
    arrays: dict[str, Any] = {}
    for name, image in (("", pixels), ("mirrored_", pixels[:, ::-1])):
        marks = landmarks.landmarks(np.ascontiguousarray(image))
        arrays |= {f"{name}{part}": getattr(marks, part) for part in ("points", "sizes", "patches")}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _unpacked(row: WatchedPicture) -> tuple[CornerPatches, CornerPatches]:
    with np.load(io.BytesIO(row.landmarks), allow_pickle=False) as kept:
        one, other = (
            CornerPatches(
                row.width, row.height, kept[f"{n}points"], kept[f"{n}sizes"], kept[f"{n}patches"]
            )
            for n in ("", "mirrored_")
        )
    return one, other


def _row(one: Sighting, new: bool) -> dict[str, Any]:
    match = one.match
    return {
        "picture": one.picture.path,
        "url": one.url,
        "platform": one.platform,
        "author": one.author,
        "taken_at": one.taken_at,
        "sha256": match.sha256,
        "same_bytes": match.sha256 == one.picture.sha256,
        "mirrored": match.mirrored,
        "similarity": match.similarity,
        "covered": match.covered,
        "outline": match.outline,
        "shown": match.shown,
        "found": match.found,
        "new": new,
    }
