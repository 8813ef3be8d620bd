"""Take a person out: dataset, images, waiting replies — and keep them out."""

from __future__ import annotations

from typing import Protocol

import structlog

from bot.errors import NothingToDo
from bot.flow.policy import utc_now
from storage import dataset, outbox
from storage.blobs import BlobStore
from storage.database import Database
from storage.optouts import OptOuts

log = structlog.get_logger()


class Stores(Protocol):
    """Where a person may have left something."""

    @property
    def database(self) -> Database: ...

    @property
    def originals(self) -> BlobStore: ...

    @property
    def artifacts(self) -> BlobStore: ...

    @property
    def optouts(self) -> OptOuts: ...


def forget(stores: Stores, platform: str, name: str) -> dict[str, int]:
    """Remove everything of this user (name, former name or user id), and leave a tombstone.

    Returns what was removed. Raises NothingToDo for somebody we never saw under that name.
    """
    now = utc_now()
    with stores.database.write() as session:
        user_id = dataset.find_author(session, platform, name)
        if user_id is None and name.isdigit():
            user_id = name  # never collected, but the id is enough to keep them out
        if user_id is None:
            raise NothingToDo(
                f"nobody on {platform} was collected as {name!r}; "
                "with the numeric user id they are kept out all the same"
            )
        stores.optouts.add(session, platform, user_id, now)
        outbox.cancel_waiting(session, platform, author_id=user_id, why="opted out", now=now)
        counts, dead = dataset.forget(session, platform, user_id)
    stores.originals.remove(dead)
    stores.artifacts.remove(dead)
    log.info("forgot a person", platform=platform, **counts)
    return counts
