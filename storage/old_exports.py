"""What was made earlier from images that leave: snapshots, exports, networks.

Their rows in snapshots are blanked. Folders on somebody's disk and trained networks cannot be taken
back from here; they are named, so that a person looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from storage import snapshots
from storage.tables import Export, Snapshot


@dataclass(slots=True)
class Contained:
    """What had something of it and cannot be taken back from here: a person has to look."""

    snapshots: list[dict[str, Any]] = field(default_factory=list)  # their rows are blank now
    exports: list[dict[str, Any]] = field(default_factory=list)  # folders, wherever they are
    models: list[dict[str, Any]] = field(default_factory=list)  # runs that learned from it

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def contained(session: Session, media: Sequence[int]) -> Contained:
    """Blank their rows in snapshots. Returns those snapshots, and what was exported from them."""
    touched = snapshots.blank(session, media)
    found = Contained([{"dataset": dataset, "snapshot": name} for dataset, name in touched])
    for dataset, name in touched:
        exports = session.exec(
            select(Export)
            .join(Snapshot, col(Snapshot.id) == col(Export.snapshot))
            .where(Snapshot.dataset == dataset, Snapshot.name == name)
            .order_by(col(Export.id))
        )
        found.exports += [
            {
                "dataset": dataset,
                "snapshot": name,
                "format": one.format,
                "path": one.path,
                "created": one.created,
            }
            for one in exports
        ]
    return found
