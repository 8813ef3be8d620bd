"""Images that look alike: the stored vectors, a cache of them on disk, and what counts as alike."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from bot.config import Settings
from bot.core.errors import NothingToDo
from bot.core.folders import private_folder
from models.resemblance import LEAST, Space
from storage import labels, search
from storage.database import Database
from storage.search import Filters, Term
from storage.vectors import LOCK, VectorIndex

Vectors = NDArray[np.float32]

SAMPLE = 20_000  # vectors that tell the space
GROWN = 2.0  # so many times as many vectors as then: the space is told anew
BATCH = 5000  # vectors in memory at once
_COMPLETE = "*.[0-9]*"  # folders: the network's version, a number that grows
_SPACE = "space.npz"
FEW = 2000  # posts that filters let through: their images are compared one by one


@dataclass(frozen=True, slots=True)
class Alike:
    sha256: str
    post: int
    cosine: float  # in the collection's space, see models.resemblance


class ImageIndex:
    """Nearest stored images, by one network's vectors.

    What lies in `root` can be deleted at any time. `sync` brings it up to date; an image that is
    not in the database any more is never found, whatever the files still say.
    """

    def __init__(
        self, database: Database, root: Path, version: str, nonsense: Callable[[], Vectors]
    ) -> None:
        """`nonsense` gives the network's vectors of `models.resemblance.nonsense()`, (n, D)."""
        self._database, self._root, self._version = database, root, version
        self._nonsense = nonsense
        self.index: VectorIndex | None = None
        self.space: Space | None = None

    def sync(self) -> None:
        """Add what is new, overwrite what is gone. Raises NothingToDo for next to no vectors."""
        with self._database.read() as session:
            changes = labels.changes(session, self._version)
        if self.index is None:
            self._open()
        if self.index is not None and self.index.facts["changes"] == changes:
            return
        private_folder(self._root)
        with FileLock(self._root / LOCK):
            self._open()  # another process may have done it
            with self._database.read() as session:
                changes = labels.changes(session, self._version)
                here = labels.embedded_names(session, self._version)
            index = self.index
            known = index.names() if index is not None else set()
            if index is not None:  # who is gone goes first, also when there are too few to go on
                index.remove(sorted(known - here))
            if index is None or len(here) > GROWN * index.facts["fitted"]:
                self._make(sorted(here), changes)
                return
            assert self.space is not None  # noqa: S101 - opened together
            self._fill(index, self.space, sorted(here - known))
            index.note(changes=changes)

    def build(self, always: bool = False) -> bool:
        """Build the graph when it would pay. Returns whether it did."""
        with FileLock(self._root / LOCK):
            self._open()
            if self.index is None or not (self.index.due() or always):
                return False
            self.index.build()
            return True

    def clear(self) -> None:
        if self._root.exists():
            with FileLock(self._root / LOCK):
                for folder in self._folders():
                    shutil.rmtree(folder)
        self.index = self.space = None

    def similar(
        self,
        embedding: Vectors,
        limit: int,
        terms: Sequence[Term] = (),
        filters: Filters | None = None,
    ) -> list[Alike]:
        """Images above the floor, most alike first, of posts that pass; each image once.

        Few posts that pass: their images are compared. Many: the nearest images are looked at, more
        and more of them, until enough passed. Both give what comparing everything would.
        """
        assert self.index is not None and self.space is not None, "sync first"  # noqa: S101
        filters = filters or Filters()
        query = self.space.project(embedding)
        floor = self.space.floor(query)
        narrowed = bool(terms) or filters != Filters()
        with self._database.read() as session:
            if narrowed:
                hits = search.posts(session, terms, filters, limit=FEW + 1)
                if len(hits) <= FEW:
                    held = search.images(session, filters, posts=[hit.post for hit in hits])
                    near = self.index.nearest(query, limit, sorted({name for _, name in held}))
                    return _alike(near, held, floor)
            wanted = 2 * limit
            while True:
                near = self.index.nearest(query, wanted)
                above = [(name, cosine) for name, cosine in near if cosine > floor]
                names = [name for name, _ in above]
                held = search.images(session, filters, hashes=names)
                if narrowed:
                    holders = [post for post, _ in held]
                    passed = search.matching(session, holders, terms, filters)
                    held = [(post, name) for post, name in held if post in passed]
                found = _alike(above, held, floor)
                if len(found) >= limit or len(above) < wanted:
                    return found[:limit]
                wanted *= 8

    def _folders(self) -> list[Path]:
        """Complete ones, newest last."""
        found = self._root.glob(f"{self._version}.[0-9]*")
        return sorted(found, key=lambda path: int(path.suffix[1:]))

    def _open(self) -> None:
        self.index = self.space = None
        for folder in self._folders()[-1:]:
            self.space, self.index = _opened(folder)

    def _make(self, names: list[str], changes: int) -> None:
        """A new folder, complete before it gets its name; the former one serves until then."""
        if len(names) < LEAST:
            raise NothingToDo(
                f"{len(names)} of the stored images have a vector, and a search by image "
                f"needs {LEAST}"
            )
        step = max(1, len(names) // SAMPLE)
        sample = np.concatenate([found for _, found in self._stored(names[::step])])
        space = Space.fit(sample, self._nonsense())
        for left in self._root.glob(".making-*"):  # of processes that died
            shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(dir=self._root, prefix=".making-"))
        np.savez(
            folder / _SPACE,
            mean=space.mean,
            directions=space.directions,
            background=space.background,
            nonsense=space.nonsense,
        )
        index = VectorIndex(folder, space.directions.shape[1])
        self._fill(index, space, names)
        index.note(fitted=len(names), changes=changes)
        former = self._folders()
        number = int(former[-1].suffix[1:]) + 1 if former else 1
        folder.rename(self._root / f"{self._version}.{number}")
        for other in self._root.glob(_COMPLETE):  # of other networks as well: their vectors go too
            if other.name != f"{self._version}.{number}":
                shutil.rmtree(other)
        self._open()

    def _fill(self, index: VectorIndex, space: Space, names: list[str]) -> None:
        for some, vectors in self._stored(names):
            index.add(some, space.project(vectors))

    def _stored(self, names: list[str]) -> Iterator[tuple[list[str], Vectors]]:
        for start in range(0, len(names), BATCH):
            with self._database.read() as session:
                found = labels.vectors_of(session, self._version, names[start : start + BATCH])
            if found:
                yield list(found), np.stack([np.frombuffer(v, "<f4") for v in found.values()])


def folder_of(settings: Settings) -> Path:
    """Where the caches of vectors lie."""
    return settings.data.dir / "search"


def prune(database: Database, root: Path) -> None:
    """Overwrite in every cache below `root` what is gone from the database.

    One that cannot be read is removed: a search makes it again.
    """
    if not root.exists():
        return
    with FileLock(root / LOCK):
        for folder in root.glob(_COMPLETE):
            with database.read() as session:
                here = labels.embedded_names(session, folder.stem)
            try:
                _, index = _opened(folder)
                index.remove(sorted(index.names() - here))
            except (OSError, KeyError, ValueError):
                shutil.rmtree(folder)


def _opened(folder: Path) -> tuple[Space, VectorIndex]:
    with np.load(folder / _SPACE) as kept:
        space = Space(kept["mean"], kept["directions"], float(kept["background"]), kept["nonsense"])
    return space, VectorIndex(folder, space.directions.shape[1])


def _alike(
    near: Sequence[tuple[str, float]], held: Sequence[tuple[int, str]], floor: float
) -> list[Alike]:
    """Of several posts with the same image, the one stored last."""
    posts: dict[str, int] = {}
    for post, name in held:
        posts[name] = max(post, posts.get(name, 0))
    return [Alike(name, posts[name], c) for name, c in near if c > floor and name in posts]
