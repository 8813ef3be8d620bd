"""What was computed from an original: found again, replaced when lost, gone with the original."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import select

from storage import blobs
from storage.artifacts import Artifacts, Kept, Recipe
from storage.blobs import BlobStore
from storage.database import Database
from storage.tables import Artifact, BlobRow
from tests.databases import NOW

SOURCE = "a" * 64
RECIPE = Recipe("segment", "seg-1", SOURCE, {"b": 1, "a": 2}, ["x"])


@pytest.fixture
def store(tmp_path: Path, database: Database) -> BlobStore:
    with database.write() as session:
        blobs.link(session, SOURCE, 10, "image/jpeg", NOW)
    return BlobStore(tmp_path / "artifacts")


@pytest.fixture
def artifacts(database: Database, store: BlobStore) -> Artifacts:
    return Artifacts(database, store)


def keep(artifacts: Artifacts, data: bytes = b"mask", recipe: Recipe = RECIPE) -> Kept | None:
    return artifacts.keep(recipe, data, "image/png", {"ms": 3}, NOW)


def references(database: Database) -> dict[str, int]:
    with database.read() as session:
        rows = session.exec(select(BlobRow)).all()
    return {row.sha256: row.refs for row in rows if row.sha256 != SOURCE}


def test_a_key_is_what_older_databases_have() -> None:
    for inputs, rest in ((["x"], [["x"]]), ([], [[]]), (None, [])):
        text = json.dumps(["segment", "seg-1", {"a": 2, "b": 1}, SOURCE, *rest])
        assert replace(RECIPE, inputs=inputs).key == hashlib.sha256(text.encode()).hexdigest()


def test_what_was_kept_is_found(artifacts: Artifacts, store: BlobStore) -> None:
    assert artifacts.find(RECIPE) is None
    kept = keep(artifacts)
    assert kept is not None and store.get(kept.sha256) == b"mask"
    assert artifacts.find(RECIPE) == kept == keep(artifacts)
    assert artifacts.find(replace(RECIPE, version="seg-2")) is None


def test_a_lost_file_is_computed_anew(
    artifacts: Artifacts, store: BlobStore, database: Database
) -> None:
    """Also by a network that does not give the very same bytes."""
    old = keep(artifacts)
    assert old is not None
    store.remove([old.sha256])
    assert artifacts.find(RECIPE) is None
    new = keep(artifacts, b"another")
    assert new is not None and artifacts.find(RECIPE) == new
    assert references(database) == {new.sha256: 1}


def test_one_file_of_two_recipes_stays_for_the_other(
    artifacts: Artifacts, store: BlobStore, database: Database
) -> None:
    other = replace(RECIPE, version="seg-2")
    kept = keep(artifacts)
    assert kept is not None and kept == keep(artifacts, recipe=other)
    keep(artifacts, b"another")
    assert references(database)[kept.sha256] == 1
    assert artifacts.find(other) == kept and store.get(kept.sha256) == b"mask"


def test_nothing_stays_of_an_original_that_was_forgotten_meanwhile(
    artifacts: Artifacts, store: BlobStore, database: Database
) -> None:
    with database.write() as session:
        assert blobs.unlink(session, [SOURCE]) == [SOURCE]
    assert keep(artifacts) is None
    assert [path for path in store.root.rglob("*") if path.is_file()] == []
    with database.read() as session:
        assert session.exec(select(Artifact)).all() == []
