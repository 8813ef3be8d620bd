"""The vector index: exact where it can be, nearly so where not, true after removals and crashes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from storage import vectors
from storage.vectors import VectorIndex
from tests.paths import ROOT

SIZE = 16


def unit(count: int, seed: int = 0) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).normal(size=(count, SIZE)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def named(count: int, first: int = 0) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(first, first + count)]


def brute(
    names: list[str], stored: NDArray[np.float32], query: NDArray[np.float32], k: int
) -> list[str]:
    return [names[i] for i in np.argsort(-(stored @ query), kind="stable")[:k]]


def only_names(found: list[tuple[str, float]]) -> list[str]:
    return [name for name, _ in found]


@pytest.fixture
def index(tmp_path: Path) -> VectorIndex:
    found = VectorIndex(tmp_path / "index", SIZE)
    found.add(named(2000), unit(2000))
    return found


def test_exact_and_among(index: VectorIndex) -> None:
    names, stored = named(2000), unit(2000)
    for query in unit(20, seed=1):
        found = index.nearest(query, 10)
        assert only_names(found) == brute(names, stored, query, 10)
        assert [c for _, c in found] == sorted((c for _, c in found), reverse=True)
        assert found[0][1] == pytest.approx(float((stored @ query).max()), abs=1e-6)
        some = names[::7]
        assert only_names(index.nearest(query, 5, some)) == brute(some, stored[::7], query, 5)
    assert index.nearest(unit(1)[0], 3, []) == []
    assert only_names(index.nearest(unit(1)[0], 3, named(1, first=9999))) == []
    assert VectorIndex(index.folder, SIZE).nearest(unit(1)[0], 3) == index.nearest(unit(1)[0], 3)


def test_the_graph_finds_what_comparing_all_finds(index: VectorIndex) -> None:
    queries = unit(100, seed=1)
    exact = [set(only_names(index.nearest(q, 10))) for q in queries]
    assert not index.due()  # so few are compared
    index.build()
    found = [set(only_names(index.nearest(q, 10))) for q in queries]
    assert np.mean([len(a & b) / 10 for a, b in zip(exact, found, strict=True)]) >= 0.995
    # What came after it is found as well, and what is replaced is found where it is now.
    index.add(named(50, first=5000), unit(50, seed=2))
    index.add(named(1), unit(1, seed=3))
    assert only_names(index.nearest(unit(50, seed=2)[7], 1)) == named(1, first=5007)
    assert only_names(index.nearest(unit(1, seed=3)[0], 1)) == named(1)
    assert named(1)[0] not in only_names(index.nearest(unit(2000)[0], 20))
    assert len(index) == 2050


def test_due_by_size_and_by_what_came_since(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "EXACT_UP_TO", 1500)
    assert index.due()
    index.build()
    assert not index.due()
    index.add(named(300, first=5000), unit(300, seed=2))
    assert index.due()
    index.build()
    assert not index.due()
    assert len(list(index.folder.glob("graph-*"))) == 1


@pytest.mark.parametrize("graph", [False, True])
def test_a_removed_vector_is_gone_from_every_file(index: VectorIndex, graph: bool) -> None:
    if graph:
        index.build()
    victim, vector = named(2000)[77], unit(2000)[77]
    other = VectorIndex(index.folder, SIZE)  # of a process that runs on
    index.remove([victim, named(1, first=9999)[0]])
    assert victim not in only_names(index.nearest(vector, 20))
    assert victim not in only_names(other.nearest(vector, 20))
    assert index.nearest(vector, 20, [victim]) == []
    assert victim not in index.names()
    data = b"".join(path.read_bytes() for path in index.folder.iterdir() if path.is_file())
    assert vector.tobytes() not in data
    assert bytes.fromhex(victim) not in data
    as_int8 = np.round(vector * 127 / np.linalg.norm(vector)).astype(np.int8)
    assert as_int8.tobytes()[:8] not in data
    assert unit(2000)[78].tobytes() in data
    assert len(VectorIndex(index.folder, SIZE)) == 1999
    assert set(only_names(index.nearest(vector, 2000))) == index.names()


def test_without_a_readable_graph_everything_is_compared(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "EXACT_UP_TO", 1500)
    index.build()
    for path in index.folder.glob("graph-*"):
        path.unlink()
    again = VectorIndex(index.folder, SIZE)
    query = unit(1, seed=1)[0]
    assert only_names(again.nearest(query, 10)) == brute(named(2000), unit(2000), query, 10)
    assert again.due()


def test_wrong_shapes_are_refused(index: VectorIndex) -> None:
    with pytest.raises(ValueError, match="names"):
        index.add(named(2), unit(1))
    assert len(index) == 2000


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from storage import vectors
from storage.vectors import VectorIndex
index = VectorIndex(Path(sys.argv[1]), int(sys.argv[2]))
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
setattr(vectors, "replacing", die)
if sys.argv[3] == "build":
    index.build()
else:
    index.add(["ab" * 32], np.eye(1, int(sys.argv[2]), dtype=np.float32))
"""


@pytest.mark.parametrize("doing", ["add", "build"])
def test_killed_at_the_last_moment_the_former_state_serves(index: VectorIndex, doing: str) -> None:
    if doing == "build":
        index.build()
    before = [index.nearest(query, 10) for query in unit(5, seed=1)]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(index.folder), str(SIZE), doing],
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == -signal.SIGKILL
    again = VectorIndex(index.folder, SIZE)
    assert [again.nearest(query, 10) for query in unit(5, seed=1)] == before
    again.add(named(1, first=7000), unit(1, seed=4))
    assert only_names(again.nearest(unit(1, seed=4)[0], 1)) == named(1, first=7000)
    if doing == "build":
        again.build()
        assert len(list(index.folder.glob("graph-*"))) == 1  # the dead one's is swept
