"""Image files of the operator: which are read, where each goes, and what became of each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.core.errors import ModelError, NothingToDo, StorageError, UsageError
from bot.core.files import read_whole, write_open
from bot.service.progress import progress
from models.base import ImageRejected
from models.images.codec import Decoded
from models.images.decoder import decode

PIPE = Path("-")  # standard input among the paths, standard output as the folder
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".bmp"}
SUFFIXES |= {".tif", ".tiff", ".heic", ".heif"}


@dataclass(frozen=True, slots=True)
class Made:
    """A file, what is to be told of it, and files that go beside it, by the end of their names."""

    data: bytes
    facts: dict[str, Any]
    beside: Mapping[str, bytes] = field(default_factory=dict)


Work = Callable[[Decoded], Made]


@dataclass(frozen=True, slots=True)
class Where:
    """`out`: a folder, or PIPE. `recursive`: folders with all below them, under the same names."""

    out: Path
    recursive: bool = False
    skip_existing: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. `state`: written, failed or skipped."""

    source: Path
    state: str
    target: Path | None = None
    why: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        target = None if self.target is None else str(self.target)
        told = {"source": str(self.source), "target": target, "state": self.state, "why": self.why}
        return told | self.facts


@dataclass(slots=True)
class WrittenImages:
    """Every file that was looked at."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def written(self) -> list[Path]:
        return [one.target for one in self.of("written") if one.target is not None]

    @property
    def failed(self) -> list[tuple[Path, str]]:
        return [(one.source, one.why) for one in self.of("failed")]

    @property
    def renamed(self) -> list[Outcome]:
        """Those whose target has another stem, because two sources have the same."""
        return [o for o in self.outcomes if o.target and o.target.stem != o.source.stem]

    def of(self, state: str) -> list[Outcome]:
        return [one for one in self.outcomes if one.state == state]


def each(
    paths: list[Path], where: Where, suffix: str, work: Work, settings: Settings
) -> WrittenImages:
    """Do the work on every image; a bad file is an outcome, not an error.

    Raises NothingToDo without any image, UsageError where the output cannot be used, StorageError
    when a result cannot be written, as on a full disk.
    """
    report, taken = WrittenImages(), set[Path]()
    sources = list(_sources(paths, where, report))
    if not sources and not report.of("failed"):
        raise NothingToDo("no image among " + ", ".join(map(str, paths)))
    piped = where.out == PIPE
    if piped and len(sources) != 1:
        raise UsageError(f"--out - takes one image; here are {len(sources)}")
    if not piped:
        _folder(where.out)
    for source, below in progress(sources, "images"):
        target = None if piped else _free_name(where.out / below, source, suffix, taken)
        report.outcomes.append(_one(source, target, work, settings, skip=where.skip_existing))
    return report


def _one(
    source: Path, target: Path | None, work: Work, settings: Settings, *, skip: bool
) -> Outcome:
    if target is not None and target.exists():
        if source != PIPE and target.samefile(source):
            why = "would overwrite its own source: choose another --out"
            return Outcome(source, "failed", None, why)
        if skip:
            return Outcome(source, "skipped", target, f"{target} is there already")
    try:
        data = sys.stdin.buffer.read() if source == PIPE else read_whole(source)
        image = decode(data, max_pixels=settings.limits.max_pixels, own=True)
        made = work(image)
    except OSError as error:
        return Outcome(source, "failed", None, error.strerror or str(error))
    except (ImageRejected, ModelError) as error:
        return Outcome(source, "failed", None, str(error))
    _deliver(made.data, target)
    if target is not None:
        for end, more in made.beside.items():
            _deliver(more, target.with_name(target.stem + end))
    return Outcome(source, "written", target, "", made.facts)


def _deliver(made: bytes, target: Path | None) -> None:
    if target is None:
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_open(target, made)
    except OSError as error:  # the next picture would meet it, too
        raise StorageError(f"{target}: {error.strerror}") from error


def _folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}") from error


def _sources(paths: list[Path], where: Where, report: WrittenImages) -> Iterator[tuple[Path, Path]]:
    """(file, its folder below the one that was named); what else lies there is an outcome."""
    for path in paths:
        if path.is_dir():
            yield from _inside(path, where, report)
        elif path == PIPE or path.is_file():
            yield path, Path()
        else:
            report.outcomes.append(Outcome(path, "failed", None, "no such file"))


def _inside(folder: Path, where: Where, report: WrittenImages) -> Iterator[tuple[Path, Path]]:
    ours = where.out.resolve() if where.out != PIPE else None
    for path in sorted(folder.rglob("*") if where.recursive else folder.iterdir()):
        if ours is not None and ours != folder.resolve() and ours in path.resolve().parents:
            continue  # what an earlier run wrote into a folder below
        if path.is_dir():
            if not where.recursive and path.resolve() != ours:
                why = "a folder: --recursive takes what is in it"
                report.outcomes.append(Outcome(path, "skipped", None, why))
        elif path.suffix.lower() not in SUFFIXES:
            why = "not an image, by its name"
            report.outcomes.append(Outcome(path, "skipped", None, why))
        elif path.is_file():
            yield path, path.parent.relative_to(folder)
        else:  # a pipe has no end, and a link may lead nowhere
            why = "not a regular file"
            report.outcomes.append(Outcome(path, "skipped", None, why))


def _free_name(folder: Path, source: Path, suffix: str, taken: set[Path]) -> Path:
    """NAME, then NAME-2, NAME-3, so that two inputs with one stem are both written.

    Upper and lower case are the same, as on some file systems.
    """
    stem = "stdin" if source == PIPE else source.stem
    name, number = f"{stem}{suffix}", 1
    while (folder / name.casefold()) in taken:
        number += 1
        name = f"{stem}-{number}{suffix}"
    taken.add(folder / name.casefold())
    return folder / name
