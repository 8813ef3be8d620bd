"""What is kept of other people's posts: rows, images, and the word of those who left."""

from __future__ import annotations

from dataclasses import dataclass

from storage.blobs import BlobStore
from storage.database import Database
from storage.optouts import OptOuts


@dataclass(frozen=True, slots=True)
class Archive:
    database: Database
    originals: BlobStore  # the images as they came
    optouts: OptOuts  # asked before anything is stored or learned from
