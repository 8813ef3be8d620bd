"""Images computed from an original, kept by what they were computed from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from storage import blobs
from storage.blobs import BlobStore
from storage.database import Database
from storage.tables import Artifact, BlobRow


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an artifact is computed from: the same recipe gives the same image."""

    stage: str
    version: str  # of the network, or of the way it is computed
    source: str  # SHA-256 of the original
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[str] | None = None  # what other stages gave; None: the original alone

    @property
    def key(self) -> str:
        made_of = [self.stage, self.version, self.params, self.source]
        made_of += [] if self.inputs is None else [self.inputs]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """An artifact in the store, and what was noted of it."""

    sha256: str
    facts: dict[str, Any]


class Artifacts:
    """Rows in the database, files in a store. Whatever derives from an original goes with it."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    def find(self, recipe: Recipe) -> Kept | None:
        """The artifact; None when it was never computed, or when its file is missing."""
        with self._database.read() as session:
            row = session.get(Artifact, recipe.key)
        if row is None or not self._store.path(row.sha256).exists():
            return None
        return Kept(row.sha256, row.facts)

    def keep(
        self, recipe: Recipe, data: bytes, mime: str, facts: dict[str, Any], now: datetime
    ) -> Kept | None:
        """Store what was computed; None, and nothing of it stays, when its original was forgotten
        meanwhile. Raises StorageError."""
        sha256 = self._store.put(data)
        with self._database.write() as session:
            forgotten = session.get(BlobRow, recipe.source) is None
            if not forgotten:
                _record(session, recipe, sha256, len(data), mime, facts, now)
            orphan = session.get(BlobRow, sha256) is None
        if forgotten:
            self._store.remove([sha256] if orphan else [])
            return None
        return Kept(sha256, facts)


def _record(
    session: Session,
    recipe: Recipe,
    sha256: str,
    size: int,
    mime: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Write the row. An existing row is of another process, or its file was lost: the newer one
    counts.
    """
    row = session.get(Artifact, recipe.key)
    if row is not None and row.sha256 == sha256:
        return
    blobs.link(session, sha256, size, mime, now)
    if row is not None:
        blobs.unlink(session, [row.sha256])
    session.merge(
        Artifact(
            key=recipe.key,
            stage=recipe.stage,
            sha256=sha256,
            source_sha256=recipe.source,
            facts=facts,
            created=now,
        )
    )
