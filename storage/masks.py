"""Masks of images: what people drew, version after version, and else what a network found.

A mask belongs to the bytes of an image, whoever posted them, and goes when they go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, func, select

from bot.core.errors import Overtaken, UsageError
from storage import blobs
from storage.chunks import chunks
from storage.tables import (
    Artifact,
    BlobRow,
    DrawnMask,
    ImageLabel,
    MediaRow,
    MediaState,
    PostTrack,
)
from storage.text import storable

MASK = "segment"  # the stage whose artifacts are masks
PERSON = "person"  # in place of the version of a network


class MaskOrigin(StrEnum):
    EDITOR = "editor"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class StoredMask:
    """Where the PNG of a mask is, and who made it: a network's version, or PERSON."""

    sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class NewMask:
    """A mask that a person drew. Its PNG lies among the artifacts already."""

    source: str  # SHA-256 of the original
    sha256: str
    size: int  # bytes of the PNG
    width: int
    height: int
    coverage: float
    who: str
    origin: MaskOrigin


def add(session: Session, mask: NewMask, base: int | None, now: datetime) -> DrawnMask:
    """Keep the next version. `base`: the version that it was drawn upon; 0: that of a network, or
    nothing; None: whichever is the newest.

    Raises Overtaken if somebody saved another one meanwhile, UsageError if the image is gone.
    """
    known = select(BlobRow).where(BlobRow.sha256 == mask.source).with_for_update()
    if session.exec(known).one_or_none() is None:
        raise UsageError(f"there is no stored image {mask.source[:12]}")
    newest = newest_of(session, mask.source)
    at = newest.version if newest else 0
    if base is not None and base != at:
        by = f"{newest.who} saved version {at} meanwhile" if newest else "there is no version yet"
        raise Overtaken(by)
    blobs.link(session, mask.sha256, mask.size, "image/png", now)
    row = DrawnMask(
        source_sha256=mask.source,
        version=at + 1,
        sha256=mask.sha256,
        width=mask.width,
        height=mask.height,
        coverage=mask.coverage,
        who=storable(mask.who),
        origin=mask.origin,
        at=now,
    )
    session.add(row)
    session.flush()
    return row


def versions(session: Session, source: str) -> list[DrawnMask]:
    """All that people drew of an image, the newest first."""
    statement = select(DrawnMask).where(DrawnMask.source_sha256 == source)
    return list(session.exec(statement.order_by(col(DrawnMask.version).desc())))


def newest_of(session: Session, source: str) -> DrawnMask | None:
    return next(iter(versions(session, source)), None)


def size_of(session: Session, source: str) -> tuple[int, int] | None:
    """(width, height) of a stored image, upright; None when there is none."""
    statement = select(MediaRow.width, MediaRow.height).where(
        MediaRow.sha256 == source, MediaRow.state == MediaState.STORED
    )
    found = session.exec(statement.limit(1)).first()
    return (found[0], found[1]) if found else None


def drawn(session: Session, hashes: Collection[str] | None = None) -> dict[str, DrawnMask]:
    """The newest version of each image (None: of all) that people drew, by its SHA-256."""
    found: dict[str, DrawnMask] = {}
    for part in [None] if hashes is None else chunks(sorted(hashes)):
        newest = select(DrawnMask).order_by(col(DrawnMask.version))
        if part is not None:
            newest = newest.where(col(DrawnMask.source_sha256).in_(part))
        found |= {row.source_sha256: row for row in session.exec(newest)}
    return found


def computed(session: Session, hashes: Collection[str]) -> dict[str, StoredMask]:
    """What networks found, by the SHA-256 of the image; of several masks the newest."""
    found: dict[str, StoredMask] = {}
    for part in chunks(sorted(hashes)):
        statement = (
            select(Artifact)
            .where(Artifact.stage == MASK, col(Artifact.source_sha256).in_(part))
            .order_by(col(Artifact.created), col(Artifact.key))
        )
        for row in session.exec(statement):
            found[row.source_sha256] = StoredMask(row.sha256, str(row.facts.get("version", "")))
    return found


def current(session: Session, hashes: Collection[str]) -> dict[str, StoredMask]:
    """The mask that counts: a person's newest one, else that of a network."""
    people = {
        source: StoredMask(row.sha256, PERSON) for source, row in drawn(session, hashes).items()
    }
    return computed(session, hashes) | people


def unreviewed(session: Session, after: int | None = None, dataset: str = "") -> int | None:
    """The newest stored image, older than the image `after`, that has no mask of a person.

    After the oldest one it begins again with the newest; None: every image has one. What a person
    rejected is left out.
    """
    has_mask = select(DrawnMask.source_sha256).where(
        col(DrawnMask.source_sha256) == col(MediaRow.sha256)
    )
    rejected = select(ImageLabel.media).where(
        col(ImageLabel.media) == col(MediaRow.id), col(ImageLabel.accepted).is_(False)
    )
    statement = select(func.max(MediaRow.id)).where(
        MediaRow.state == MediaState.STORED,
        col(MediaRow.sha256).is_not(None),
        ~has_mask.exists(),
        ~rejected.exists(),
    )
    if dataset:
        inside = select(PostTrack.post).where(
            col(PostTrack.post) == col(MediaRow.post), PostTrack.dataset == dataset
        )
        statement = statement.where(inside.exists())
    if after is not None:
        older = session.exec(statement.where(col(MediaRow.id) < after)).one()
        if older is not None:
            return older
        statement = statement.where(col(MediaRow.id) != after)
    return session.exec(statement).one()


def forget(session: Session, sources: Iterable[str]) -> list[str]:
    """Remove the masks of these images. Returns the blobs whose files are to be deleted."""
    dead: list[str] = []
    for source in sources:
        rows = versions(session, source)
        for row in rows:
            session.delete(row)
        session.flush()
        dead += blobs.unlink(session, [row.sha256 for row in rows])
    return dead
