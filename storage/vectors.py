"""The nearest of many vectors: files that can always be made again.

Up to EXACT_UP_TO vectors, and for those that came since the graph was built, all are compared.
Above, a USearch graph of int8 copies proposes candidates, and the float vectors, from a
memory-mapped file, decide. What a file says is never the last word: whoever asks checks the names
against the database.

Files are only appended to, a removed vector is overwritten with zeros where it lies, and
`state.json` is replaced last: a process that dies leaves the former state. One process writes at a
time (the caller's lock); any number may read.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.core.files import replacing
from bot.core.folders import private_folder

Vectors = NDArray[np.float32]

LOCK = "lock"  # of the folder that holds the indexes: whoever writes has it
EXACT_UP_TO = 100_000
STALE = 0.1  # share of vectors beside the graph from which it is worth building again
RERANK = 5  # candidates for each of the k asked for, at least CANDIDATES
CANDIDATES = 100
# Of several such triples the one with 0.999 of the ten nearest in the least time.
CONNECTIVITY = 24  # links of a vector in the graph
EXPANSION_BUILT, EXPANSION = 200, 224  # how wide the graph is searched: building it, asking it
MOST_BY_GRAPH = 1000  # asked for more, the scan is as quick, and exact
_NAME = 32  # bytes: a SHA-256
_GONE = bytes(_NAME)
_SCAN = 65_536  # rows compared at once: what the processor's cache is good for


class VectorIndex:
    """Unit vectors by the SHA-256 (hexadecimal) of what they were made from.

    `nearest` needs no lock. `folder` is made when something is added.
    """

    def __init__(self, folder: Path, dimensions: int) -> None:
        self.folder, self.dimensions = folder, dimensions
        self._state: dict[str, Any] = {"rows": 0, "graph": "", "graph_rows": 0, "facts": {}}
        self._graph: Any = None
        self._rows: dict[bytes, int] | None = None
        self._read()

    # --- the three methods ----------------------------------------------------------------------

    def add(self, names: Sequence[str], vectors: Vectors) -> None:
        """(n, dimensions) float32 unit vectors; a name that is there already is replaced."""
        if vectors.shape != (len(names), self.dimensions):
            raise ValueError(f"{len(names)} names, vectors {vectors.shape}")
        known = self._by_name()
        self.remove([name for name in names if bytes.fromhex(name) in known])
        private_folder(self.folder)
        self._append("names.bin", b"".join(map(bytes.fromhex, names)), _NAME)
        self._append("vectors.f32", vectors.astype("<f4").tobytes(), 4 * self.dimensions)
        self._save(rows=self._state["rows"] + len(names))

    def remove(self, names: Sequence[str]) -> None:
        """Overwrite them, in the graph as well; unknown names are no error."""
        known = self._by_name()
        rows = [known[key] for key in map(bytes.fromhex, names) if key in known]
        if not rows:
            return
        for name, width in (("names.bin", _NAME), ("vectors.f32", 4 * self.dimensions)):
            with (self.folder / name).open("r+b") as file:
                for row in rows:
                    file.seek(row * width)
                    file.write(bytes(width))
                _sync(file)
        if inside := [row for row in rows if row < self._state["graph_rows"]]:
            self._forget_in_graph(inside)
        self._read()

    def nearest(
        self, vector: Vectors, k: int, among: Sequence[str] | None = None
    ) -> list[tuple[str, float]]:
        """The k nearest (name, cosine), best first; of `among` only, and then exactly."""
        if among is not None:
            known = self._by_name()
            keys = map(bytes.fromhex, among)
            rows = np.array([known[key] for key in keys if key in known], np.int64)
            return self._best(vector, rows, k)
        graph = self._open_graph() if k <= MOST_BY_GRAPH else None
        if graph is None:
            return self._scan(vector, 0, k)
        covered = self._state["graph_rows"]
        matches = graph.search(vector, min(max(CANDIDATES, RERANK * k), covered))
        best = self._best(vector, np.asarray(matches.keys, np.int64), k)
        if covered < self._state["rows"]:
            best = sorted(best + self._scan(vector, covered, k), key=lambda b: -b[1])[:k]
        return best

    # --- upkeep ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._by_name())

    def names(self) -> set[str]:
        text, width = self._names[self._alive].tobytes().hex(), 2 * _NAME
        return {text[i : i + width] for i in range(0, len(text), width)}

    @property
    def facts(self) -> dict[str, Any]:
        """What the caller wrote down with `note`: which state of the database this is."""
        return dict(self._state["facts"])

    def note(self, **facts: Any) -> None:
        self._save(facts=self.facts | facts)

    def due(self) -> bool:
        """Whether building the graph would pay."""
        rows, graph = int(self._state["rows"]), self.folder / self._state["graph"]
        covered = int(self._state["graph_rows"]) if graph.is_file() else 0
        return rows > EXACT_UP_TO and rows - covered > STALE * rows

    def build(self) -> None:
        """Build the graph of all rows; the former one serves until the new one is complete."""
        from usearch.index import Index  # noqa: PLC0415 - only large collections need it

        graph = Index(
            ndim=self.dimensions,
            metric="cos",
            dtype="i8",
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_BUILT,
        )
        rows = np.flatnonzero(self._alive)
        for start in range(0, len(rows), _SCAN):
            some = rows[start : start + _SCAN]
            graph.add(some, np.ascontiguousarray(self._vectors[some]))
        self._keep(graph, self._state["rows"])

    # --- files ----------------------------------------------------------------------------------

    def _read(self) -> None:
        path = self.folder / "state.json"
        if path.exists():
            self._state = json.loads(path.read_text(encoding="utf-8"))
        rows = int(self._state["rows"])
        shape = (rows, self.dimensions)
        if rows:
            names, vectors = self.folder / "names.bin", self.folder / "vectors.f32"
            # As plain arrays: each row that is taken out of a `memmap` would be made one.
            self._names: Any = np.asarray(np.memmap(names, np.uint8, "r", shape=(rows, _NAME)))
            self._vectors: Any = np.asarray(np.memmap(vectors, "<f4", "r", shape=shape))
        else:
            self._names, self._vectors = np.empty((0, _NAME), np.uint8), np.empty(shape, np.float32)
        self._alive: NDArray[np.bool_] = self._names.any(1)
        self._rows = self._graph = None

    def _by_name(self) -> dict[bytes, int]:
        if self._rows is None:
            data = self._names.tobytes()
            keys = (data[i : i + _NAME] for i in range(0, len(data), _NAME))
            self._rows = {key: row for row, key in enumerate(keys) if key != _GONE}
        return self._rows

    def _append(self, name: str, data: bytes, width: int) -> None:
        path = self.folder / name
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(self._state["rows"] * width)  # what a process that died had begun
            file.seek(0, os.SEEK_END)
            file.write(data)
            _sync(file)

    def _save(self, **changes: Any) -> None:
        private_folder(self.folder)
        with replacing(self.folder / "state.json") as file:
            file.write(json.dumps(self._state | changes).encode())
        self._read()

    def _open_graph(self) -> Any:
        """None when there is none, or none that can be read: then everything is compared."""
        if self._graph is None and self._state["graph_rows"]:
            self._graph = self._restored(view=True)
            if self._graph is None:  # another process has replaced it
                self._read()
                self._graph = self._restored(view=True)
        return self._graph

    def _restored(self, view: bool) -> Any:
        from usearch.index import Index  # noqa: PLC0415 - only large collections need it

        graph = Index.restore(self.folder / self._state["graph"], view=view)
        if graph is not None:
            graph.expansion_search = EXPANSION
        return graph

    def _keep(self, graph: Any, rows: int) -> None:
        former = self._state["graph"]
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="graph-", delete=False) as file:
            graph.save(file.name)
            _sync(file)
        self._save(graph=Path(file.name).name, graph_rows=rows)
        for path in self.folder.glob("graph-*"):  # those of processes that died, too
            if path.name != self._state["graph"] or path.name == former:
                path.unlink(missing_ok=True)

    def _forget_in_graph(self, rows: list[int]) -> None:
        """Overwrite their vectors in the graph with zeros: marking them as removed would leave the
        bytes.
        """
        graph = self._restored(view=False)
        for row in rows if graph is not None else ():
            if row in graph:
                graph.remove(row)
                graph.add(row, np.zeros(self.dimensions, np.float32))
        if graph is not None:
            self._keep(graph, self._state["graph_rows"])

    # --- comparing ------------------------------------------------------------------------------

    def _scan(self, vector: Vectors, first: int, k: int) -> list[tuple[str, float]]:
        rows = np.arange(first, self._state["rows"])
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _SCAN):
            part = self._vectors[first + start : first + start + _SCAN]
            scores[start : start + len(part)] = part @ vector
        return self._top(rows, scores, k)

    def _best(self, vector: Vectors, rows: NDArray[np.int64], k: int) -> list[tuple[str, float]]:
        return self._top(rows, self._vectors[rows] @ vector, k)

    def _top(self, rows: NDArray[np.int64], scores: Vectors, k: int) -> list[tuple[str, float]]:
        """The best ones; equal scores are ordered by row, so that the same question has the same
        answer.
        """
        scores = np.where(self._alive[rows], scores, -np.inf)
        if len(rows) > k:
            part = np.argpartition(-scores, k - 1)[:k]
            rows, scores = rows[part], scores[part]
        order = np.lexsort((rows, -scores))
        return [
            (self._names[rows[i]].tobytes().hex(), float(scores[i]))
            for i in order
            if np.isfinite(scores[i])
        ]


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
