"""`tagecho mine`: pictures on which a network failed find similar ones, for the next learning.

The pictures and their masks are copied to `failures/` in the data folder: `tagecho learn` measures
the gain on them, beside the gain on all, and never trains on them. Whoever is held out from
learning is not mined.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import ModelError, NothingToDo, StorageError, UsageError
from bot.core.files import read_whole, replacing
from bot.core.folders import private_folder
from bot.service.app import App, opened
from bot.service.progress import progress
from bot.verbs.files import SUFFIXES
from bot.verbs.label import resized
from bot.verbs.learn import StoredNetworks, failures_in
from models.base import Image, ImageRejected, Mask, Segmenter, WeightsError
from models.images.codec import encode_png, png_mask
from models.images.decoder import decode
from models.resemblance import LEAST
from models.segment.aspects import background_view, light, object_view
from models.segment.hard_examples import ASPECTS, BACKGROUND, LIGHT, OBJECT, nearest, similarities
from models.segment.saliency import masks_only
from models.segment.teacher import Taught, Teacher, teacher
from storage import labels, learning, mined
from storage.learning import held_out
from storage.tables import LearningRun, MinedImage

REVISION = "1"  # of the views: a change makes all vectors be computed again
SIDE = 448  # px, short side; the networks need less
BATCH = 16  # images per transaction; an interruption loses at most so many

Parts = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class MineOptions:
    """`each`: pictures for each failure. `weights`: of object, background and light."""

    weights: Mapping[str, float]
    each: int = 20


@dataclass(slots=True)
class MineReport:
    failures: int = 0
    measured: int = 0  # failures with a mask: on these the gain is measured
    searched: int = 0  # images of the stream
    mined: int = 0  # different images
    sure: int = 0  # of these, the teacher is sure: the next learning sees them
    teacher: str = ""
    images: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in MineReport.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class _Failure:
    sha256: str
    path: Path
    image: Image
    mask: Mask  # may be empty: nobody knows


def mine(settings: Settings, folder: Path, options: MineOptions) -> MineReport:
    """`folder`: pictures, or `photos/` and `labels/` with masks under the same names.

    Raises UsageError, NothingToDo for a folder without pictures or a stream of too few, ModelError.
    """
    report = MineReport()
    networks = StoredNetworks(settings)
    try:
        with opened(settings) as app:
            eye = networks.in_service()
            teach, report.teacher = _teacher(settings, networks, eye)
            failures = _failures(app, folder, teach, report)
            _keep_failures(settings, failures, report)
            names = _candidates(app, settings, {one.sha256 for one in failures})
            seen = _looked_at(app, eye, names, report)
            if len(seen) < LEAST:
                raise NothingToDo(f"{len(seen)} images may be mined; {LEAST} are needed")
            _choose(app, eye, failures, seen, options, teach, report)
    finally:
        networks.runtime.close()
    return report


def gain(settings: Settings) -> dict[str, Any]:
    """What the last finished run of `learn` gained on the failures, and on all. NothingToDo."""
    with opened(settings) as app, app.database.read() as session:
        for run in learning.runs(session, 100):
            evidence = run.facts.get("evidence")
            if evidence is not None:
                return _gained(run, evidence)
    raise NothingToDo("no run of `tagecho learn` has figures yet")


def _gained(run: LearningRun, evidence: dict[str, Any]) -> dict[str, Any]:
    hard = run.facts.get("data", {}).get("hard", 0)
    figures = {
        name: evidence.get(kind)
        for name, kind in (
            ("failures", "failures"), ("all", "agreement"), ("corrected", "corrected")
        )
    }  # fmt: skip
    return {"run": run.id, "state": run.state, "hard": hard, **figures}


def _teacher(settings: Settings, networks: StoredNetworks, eye: Segmenter) -> tuple[Teacher, str]:
    """As `learn` teaches: the network in service and, where one was pulled, an official pack."""
    pack = networks.pack()
    several: list[Segmenter] = [eye]
    try:
        if pack:
            several.append(masks_only(pack, networks.runtime, settings.data.dir / "models"))
    except WeightsError as error:
        raise ModelError(str(error)) from error
    return teacher(several), f"{eye.version}{' and ' + pack if pack else ''}"


def _failures(app: App, folder: Path, teach: Teacher, report: MineReport) -> list[_Failure]:
    photos = folder / "photos" if (folder / "photos").is_dir() else folder
    if not photos.is_dir():
        raise UsageError(f"{folder} is no folder")
    found: dict[str, _Failure] = {}
    paths = sorted(path for path in photos.iterdir() if path.suffix.lower() in SUFFIXES)
    for path in progress(paths, "failures"):
        try:
            data = read_whole(path)
            image = _pixels(app, data, own=True)
            mask = _true_mask(folder / "labels" / f"{path.stem}.png", image)
        except (OSError, ImageRejected) as error:
            report.unreadable.append(f"{path}: {error}")
            continue
        if mask is None:
            mask = _sure(teach(image))
        sha256 = hashlib.sha256(data).hexdigest()
        found[sha256] = _Failure(sha256, path, image, mask)
    if not found:
        raise NothingToDo(f"{photos}: there is no picture in it")
    report.failures = len(found)
    return list(found.values())


def _true_mask(path: Path, image: Image) -> Mask | None:
    """What is not black is object; None where there is no such file."""
    if not path.is_file():
        return None
    pixels = decode(read_whole(path), min_side=1, declared=".png", own=True).pixels
    return resized(pixels.max(axis=2) > 0, image.shape[:2])


def _sure(taught: Taught) -> Mask:
    """The mask of a teacher that is sure, else an empty one."""
    mask: Mask = taught.mask > 0.5
    return np.zeros_like(mask) if taught.doubt else mask


def _keep_failures(settings: Settings, failures: Sequence[_Failure], report: MineReport) -> None:
    """In place of the former ones, those whose mask is known: photos/ID.png, labels/ID.png."""
    home = failures_in(settings)
    try:
        shutil.rmtree(home, ignore_errors=True)
        for name in ("photos", "labels"):
            private_folder(home / name)
        for one in failures:
            if one.mask.any():
                for name, data in (
                    ("photos", encode_png(one.image)), ("labels", png_mask(one.mask))
                ):  # fmt: skip
                    with replacing(home / name / f"{one.sha256}.png") as file:
                        file.write(data)
                report.measured += 1
    except OSError as error:
        raise StorageError(f"{home}: {error.strerror}") from error


def _candidates(app: App, settings: Settings, failures: set[str]) -> list[str]:
    with app.database.read() as session:
        found = learning.learnable(session, app.optouts, settings.learn.leave_out)
    return [one.sha256 for one in found if not held_out(one.author) and one.sha256 not in failures]


def _looked_at(
    app: App, eye: Segmenter, names: Sequence[str], report: MineReport
) -> dict[str, Parts]:
    """The vectors of each aspect of these images; those that are missing are computed and kept."""
    versions = {aspect: _version(eye, aspect) for aspect in ASPECTS}
    with app.database.read() as session:
        known = {
            aspect: labels.vectors_of(session, version, names)
            for aspect, version in versions.items()
        }
    batch: dict[str, Parts] = {}
    try:
        for sha256 in progress(names, "images"):
            if all(sha256 in vectors for vectors in known.values()):
                continue
            try:
                image = _pixels(app, app.originals.get(sha256))
            except (ImageRejected, StorageError) as error:
                report.unreadable.append(f"image {sha256[:12]}: {error}")
                continue
            batch[sha256] = _parts(eye, image, None)
            if len(batch) == BATCH:
                _keep(app, versions, batch, known)
    finally:  # nothing that was computed is lost, also after Ctrl-C
        _keep(app, versions, batch, known)
    report.searched = sum(all(name in vectors for vectors in known.values()) for name in names)
    return {
        name: {aspect: np.frombuffer(known[aspect][name], "<f4") for aspect in ASPECTS}
        for name in names
        if all(name in vectors for vectors in known.values())
    }


def _keep(
    app: App,
    versions: Mapping[str, str],
    batch: dict[str, Parts],
    known: dict[str, dict[str, bytes]],
) -> None:
    for aspect, version in versions.items() if batch else ():
        raw = {name: parts[aspect].astype("<f4").tobytes() for name, parts in batch.items()}
        with app.database.write() as session:
            labels.keep_vectors(session, version, raw, utc_now())
        known[aspect] |= raw
    batch.clear()


def _parts(eye: Segmenter, image: Image, mask: Mask | None) -> Parts:
    """The vectors of a picture; without a mask, that of the network counts."""
    inside = eye(image).mask if mask is None else mask
    return {
        OBJECT: eye(object_view(image, inside)).embedding,
        BACKGROUND: eye(background_view(image, inside)).embedding,
        LIGHT: light(image),
    }


def _choose(
    app: App,
    eye: Segmenter,
    failures: Sequence[_Failure],
    seen: Mapping[str, Parts],
    options: MineOptions,
    teach: Teacher,
    report: MineReport,
) -> None:
    names = list(seen)
    theirs = [_parts(eye, one.image, one.mask if one.mask.any() else None) for one in failures]
    alike = similarities(
        {aspect: np.stack([parts[aspect] for parts in theirs]) for aspect in ASPECTS},
        {aspect: np.stack([seen[name][aspect] for name in names]) for aspect in ASPECTS},
    )
    try:
        found = nearest(alike, options.weights, options.each)
    except ValueError as error:
        raise UsageError(f"--object, --background and --light: {error}") from error
    doubts: dict[str, str] = {}
    for name in progress(dict.fromkeys(names[one.picture] for one in found), "teacher"):
        doubts[name] = teach(_pixels(app, app.originals.get(name))).doubt
    rows = [
        MinedImage(
            sha256=names[one.picture],
            failure=failures[one.failure].sha256,
            score=one.score,
            aspects=one.aspects,
            doubt=doubts[names[one.picture]],
            at=utc_now(),
        )
        for one in found
    ]
    paths = {one.sha256: str(one.path) for one in failures}
    report.images = [
        {
            "failure": paths[row.failure], "sha256": row.sha256,
            "path": str(app.originals.path(row.sha256)), "score": row.score, **row.aspects,
            "doubt": row.doubt,
        }
        for row in rows
    ]  # fmt: skip
    with app.database.write() as session:
        report.mined = mined.replace_all(session, rows)
    report.sure = sum(not doubt for doubt in doubts.values())


def _version(eye: Segmenter, aspect: str) -> str:
    """Under which the vectors of an aspect are kept; light needs no network."""
    by = f"mine.{REVISION}" if aspect == LIGHT else f"{eye.version}.mine.{REVISION}"
    return f"{by}.{aspect}"


def _pixels(app: App, data: bytes, *, own: bool = False) -> Image:
    most = app.settings.limits.max_pixels
    return decode(data, max_pixels=most, shrink_to=SIDE, own=own).pixels
