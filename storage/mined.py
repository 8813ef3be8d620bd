"""Stored images that are like pictures on which a network failed: the next learning takes them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, delete, func, select

from storage.tables import BlobRow, MinedImage


def replace_all(session: Session, mined: Sequence[MinedImage]) -> int:
    """Keep these in place of the former ones; an image that went meanwhile is passed over."""
    session.exec(delete(MinedImage))
    names = {one.sha256 for one in mined}
    here = set(session.exec(select(BlobRow.sha256).where(col(BlobRow.sha256).in_(names))))
    kept = [one for one in mined if one.sha256 in here]
    session.add_all(kept)
    session.flush()
    return len({one.sha256 for one in kept})


def images(session: Session) -> set[str]:
    """The SHA-256 of those that the teacher was sure of."""
    statement = select(MinedImage.sha256).where(col(MinedImage.doubt) == "")
    return set(session.exec(statement))


def count(session: Session) -> int:
    statement = select(func.count(func.distinct(MinedImage.sha256)))
    return int(session.exec(statement).one())
