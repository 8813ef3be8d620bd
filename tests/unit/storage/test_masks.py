"""Masks that people draw: every version stays, the newest counts, none is written over unseen."""

from __future__ import annotations

import pytest

from bot.core.errors import Overtaken, UsageError
from storage import blobs, dataset, masks
from storage.database import Database
from storage.dataset import Fetched
from storage.forget import forget
from storage.human_labels import label_image
from storage.masks import MaskOrigin, NewMask, StoredMask
from storage.tables import Artifact, BlobRow, DrawnMask, MediaState
from tests.databases import NOW, make_post, rows

PHOTO, FIRST, SECOND, FOUND = "a" * 64, "b" * 64, "c" * 64, "d" * 64


def stored(database: Database, name: str = "p1", sha256: str = PHOTO, into: str = "") -> int:
    made = make_post(name)
    with database.write() as session:
        image = Fetched(made.media[0], MediaState.STORED, sha256, 9, "image/png", 64, 48)
        row = dataset.add(session, made, [image], NOW)
        if into:
            dataset.found_by(session, row, "t", into, "", NOW)
        return row


def draw(
    database: Database, base: int | None, sha256: str, who: str = "eva", source: str = PHOTO
) -> DrawnMask:
    mask = NewMask(source, sha256, 5, 64, 48, 0.25, who, MaskOrigin.EDITOR)
    with database.write() as session:
        return masks.add(session, mask, base, NOW)


def compute(database: Database) -> None:
    with database.write() as session:
        blobs.link(session, FOUND, 5, "image/png", NOW)
        session.add(
            Artifact(
                key="k",
                stage=masks.MASK,
                sha256=FOUND,
                source_sha256=PHOTO,
                facts={"version": "net-1"},
                created=NOW,
            )
        )


def test_each_save_is_a_version_and_the_newest_counts(database: Database) -> None:
    stored(database)
    compute(database)
    with database.read() as session:
        assert masks.current(session, [PHOTO]) == {PHOTO: StoredMask(FOUND, "net-1")}
    draw(database, 0, FIRST)
    draw(database, 1, SECOND, "tom")
    with database.read() as session:
        assert [(row.version, row.who) for row in masks.versions(session, PHOTO)] == [
            (2, "tom"),
            (1, "eva"),
        ]
        assert masks.current(session, [PHOTO]) == {PHOTO: StoredMask(SECOND, masks.PERSON)}
        assert masks.drawn(session) == masks.drawn(session, [PHOTO])


def test_nobody_writes_over_what_they_have_not_seen(database: Database) -> None:
    stored(database)
    draw(database, 0, FIRST)
    with pytest.raises(Overtaken, match="eva saved version 1 meanwhile"):
        draw(database, 0, SECOND, "tom")
    with pytest.raises(Overtaken):
        draw(database, 5, SECOND, "tom")
    with pytest.raises(UsageError):
        draw(database, 0, SECOND, source="e" * 64)
    assert [row.version for row in rows(database, DrawnMask)] == [1]
    draw(database, None, SECOND, "tom")
    assert [row.version for row in rows(database, DrawnMask)] == [1, 2]


def test_masks_go_with_their_image_and_not_before(database: Database) -> None:
    stored(database)
    draw(database, 0, FIRST)
    draw(database, 1, SECOND)
    author = make_post("p1").author
    with database.write() as session:
        dead = forget(session, author.platform, author.user_id, NOW).dead
    assert {FIRST, SECOND} <= set(dead)
    assert rows(database, DrawnMask) == [] and rows(database, BlobRow) == []


def test_the_next_image_is_older_has_no_mask_and_was_not_rejected(database: Database) -> None:
    hashes = [f"{n}" * 64 for n in range(1, 6)]
    for n, sha256 in enumerate(hashes, start=1):
        stored(database, f"p{n}", sha256, into="street" if n == 2 else "")
    draw(database, 0, FIRST, source=hashes[3])
    with database.write() as session:
        label_image(session, 3, False, "a toy", "eva", NOW)
    with database.read() as session:
        assert masks.unreviewed(session) == 5
        assert masks.unreviewed(session, after=5) == 2  # 4 has one, 3 is rejected
        assert masks.unreviewed(session, after=1) == 5  # begins again
        assert masks.unreviewed(session, dataset="street") == 2
        assert masks.unreviewed(session, after=2, dataset="street") is None
