"""The photos of a run: folders of small photos, as the trainings read them.

RUN/photos/{train,held_out}/SHA256.jpg, RUN/photos/train/posts.jsonl, RUN/dataset.json. All of
it is removed when the run ends; the photos of a person who is forgotten are removed at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL.Image

from bot.core.errors import NothingToDo, StorageError
from bot.core.folders import private_folder
from bot.learn.replies_first import Say, Turn
from bot.learn.telling_hashtags import telling
from models.base import Image, ImageRejected, Mask
from models.images.codec import png_mask
from models.images.decoder import decode
from storage.blobs import BlobStore
from storage.learning import TrainingPicture, held_out

SIDE = 448  # px; the short side is at most about twice this, more than any network here uses
QUALITY = 92
BYTES_EACH = 200_000  # bytes on disk, photo and soft mask
LOOKS = 5  # tries to read folders that change meanwhile
BYTES_MORE = 400_000_000  # bytes of checkpoints, each written beside the previous one
TRAIN, HELD_OUT = "train", "held_out"
HARD = "hard"  # in the folder of a run: photos and masks that are drawn more often
POSTS = Path("photos", TRAIN, "posts.jsonl")  # in the folder of a run
START = "start.onnx"  # also there: the network from which the run starts
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Layout:
    folder: Path  # of the run
    train: tuple[TrainingPicture, ...]
    held_out: tuple[TrainingPicture, ...]

    def photo(self, picture: TrainingPicture) -> Path:
        return self.folder / "photos" / part_of(picture) / f"{picture.sha256}.jpg"

    def mask(self, picture: TrainingPicture) -> Path:
        """The mask of the teacher; missing if the teacher did not trust it."""
        return self.folder / "masks" / part_of(picture) / f"{picture.sha256}.png"


class DrawnLessons(Protocol):
    """Masks that people drew."""

    ids: list[str]  # SHA-256 of the images

    def mask(self, name: str, width: int, height: int) -> Mask: ...


def part_of(picture: TrainingPicture) -> str:
    return HELD_OUT if held_out(picture.author) else TRAIN


def lay_out(
    pictures: Sequence[TrainingPicture],
    originals: BlobStore,
    folder: Path,
    turn: Turn,
    say: Say,
    *,
    max_pixels: int,
) -> Layout:
    """Write the photos. Unreadable ones are skipped and counted.

    Raises StorageError if the disk is full, NothingToDo if all photos look the same.
    """
    _check_room(folder, len(pictures))
    shutil.rmtree(
        folder / "photos", ignore_errors=True
    )  # left by an earlier attempt, which may have had other photos
    kept: list[TrainingPicture] = []
    looks: set[bytes] = set()
    for part in (TRAIN, HELD_OUT):
        private_folder(folder / "photos" / part)
    for number, picture in enumerate(pictures, start=1):
        turn.wait()
        try:
            image = decode(
                originals.get(picture.sha256), max_pixels=max_pixels, shrink_to=SIDE
            ).pixels
        except (ImageRejected, StorageError) as error:
            say(f"left out: {error}")
            continue
        path = folder / "photos" / part_of(picture) / f"{picture.sha256}.jpg"
        writing(path, lambda p, i=image: _save(i, p))  # type: ignore[misc]
        looks.add(_look(image))
        kept.append(picture)
        if number % 200 == 0:
            say(f"{number}/{len(pictures)} photos")
    if kept and len(looks) == 1:
        raise NothingToDo(f"all {len(kept)} images look the same: there is nothing to learn")
    layout = Layout(
        folder,
        tuple(p for p in kept if part_of(p) == TRAIN),
        tuple(p for p in kept if part_of(p) == HELD_OUT),
    )
    stands_for = _stands_for(layout.train)
    if stands_for:
        lines = "".join(json.dumps(row) + "\n" for row in stands_for)
        writing(folder / POSTS, lambda path: path.write_text(lines, encoding="utf-8"))
    rows = [asdict(picture) for picture in kept]
    writing(
        folder / "dataset.json", lambda path: path.write_text(json.dumps(rows), encoding="utf-8")
    )
    return layout


def draw(layout: Layout, drawn: DrawnLessons) -> int:
    """Write what people drew of the photos to learn from as their masks; returns how many.

    Raises StorageError.
    """
    known, count = set(drawn.ids), 0
    for picture in layout.train:
        if picture.sha256 not in known:
            continue
        with PIL.Image.open(layout.photo(picture)) as photo:
            mask = drawn.mask(picture.sha256, *photo.size)
        path = layout.mask(picture)
        private_folder(path.parent)
        data = png_mask(mask)
        writing(path, lambda partial, data=data: partial.write_bytes(data))  # type: ignore[misc]
        count += 1
    return count


def emphasise(layout: Layout, hard: Collection[str]) -> int:
    """Put the photos to learn from that are like failures, with their masks, into a set of their
    own beside the others (HARD); returns how many have a mask. Raises StorageError."""
    shutil.rmtree(layout.folder / HARD, ignore_errors=True)
    chosen = [p for p in layout.train if p.sha256 in hard and layout.mask(p).exists()]
    for picture in chosen:
        for source in (layout.photo(picture), layout.mask(picture)):
            target = layout.folder / HARD / source.parents[1].name / source.name
            private_folder(target.parent)
            writing(target, lambda path, source=source: shutil.copyfile(source, path))  # type: ignore[misc]
    return len(chosen)


def read_layout(folder: Path) -> Layout:
    """The photos of an interrupted run. Raises StorageError if its files are missing."""
    try:
        rows = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        kept = [
            TrainingPicture(r["sha256"], r["post"], r["author"], tuple(r["hashtags"])) for r in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{folder}: the files of this run cannot be read: {error!r}") from error
    layout = Layout(
        folder,
        tuple(p for p in kept if part_of(p) == TRAIN),
        tuple(p for p in kept if part_of(p) == HELD_OUT),
    )
    for picture in kept:
        if not layout.photo(picture).exists():
            raise StorageError(f"{folder}: photos of this run are missing")
    return layout


def clear(folder: Path) -> None:
    """Keep the logs and curves of a run; remove all photos and what was made from them."""
    for name in ("photos", "masks", HARD, "export"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for pattern in ("dataset.json", START, "*/*.pt", "*/*.part", "*.part"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


class Runs:
    """The stored images that runs in progress, or interrupted runs, have copied."""

    def __init__(self, home: Path) -> None:
        """`home`: the folder of networks and runs."""
        self._home = home

    def remove(self, hashes: Collection[str]) -> None:
        """Remove the photos and masks of these images, and the lists that name them. An interrupted
        run without its list does not continue. Raises StorageError."""
        these = set(hashes)
        try:
            for path in self._files("*/*/*"):
                if path.name.partition(".")[0] in these:
                    path.unlink(missing_ok=True)
            for path in (*self._files("dataset.*"), *self._files(str(POSTS))):
                with contextlib.suppress(FileNotFoundError):
                    if not these.isdisjoint(_SHA256.findall(path.read_text("ascii", "replace"))):
                        path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"photo of a run cannot be removed: {error}") from error

    def _files(self, pattern: str) -> list[Path]:
        """The files of all runs. If a run ends meanwhile and removes its files, read again."""
        for _ in range(LOOKS):
            with contextlib.suppress(FileNotFoundError):
                return list(self._home.glob(f"runs/*/{pattern}"))
        raise StorageError(f"{self._home / 'runs'} changes too fast to be read")


def writing(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file completely or not at all. Raises StorageError, for example on a full disk."""
    partial = path.with_suffix(".part")
    try:
        write(partial)
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def _stands_for(pictures: Sequence[TrainingPicture]) -> list[dict[str, str]]:
    """The hashtag that each photo stands for, its commonest telling one, where there are several;
    `models.dino.train --posts` chooses its checkpoint by them.

    Of the photos to learn from, all: DINO sees no hashtag, so it cannot have learned them by heart,
    and a photo's neighbours are asked only where they are of other people. Whom the proof asks has
    no part in it. Authors are numbers; the sign keeps a hashtag from being one that is dropped.
    """
    carriers = telling({p.post: p.hashtags for p in pictures}.values())
    people: dict[str, int] = {}
    rows = []
    for picture in pictures:
        own = [tag for tag in picture.hashtags if tag in carriers]
        if own:
            author = str(people.setdefault(picture.author, len(people)))
            tag = max(own, key=lambda tag: (carriers[tag], tag))
            rows.append({"id": picture.sha256, "author": author, "hashtag": f"#{tag}"})
    several = len(people) > 1 and len({row["hashtag"] for row in rows}) > 1
    return rows if several else []


def _save(image: Image, path: Path) -> None:
    height, width = image.shape[:2]
    factor = min(1.0, 2 * SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    photo = PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.LANCZOS)
    with path.open("wb") as file:
        photo.save(file, "JPEG", quality=QUALITY)


def _look(image: Image) -> bytes:
    """A key that is equal for images that look the same."""
    small = PIL.Image.fromarray(image).resize((8, 8), PIL.Image.Resampling.BOX)
    return (np.asarray(small) >> 4).tobytes()


def _check_room(folder: Path, count: int) -> None:
    private_folder(folder)
    needed, free = count * BYTES_EACH + BYTES_MORE, shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{os.fspath(folder)}: learning needs {needed / 1e6:.0f} MB, "
            f"{free / 1e6:.0f} MB are free"
        )
