"""Snapshots: a dataset frozen into rows, and the manifest those rows make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, delete, or_, select, update

from bot.core.normal_form import username
from storage import datasets
from storage.database import Database
from storage.records import Chosen
from storage.tables import (
    Control,
    Dataset,
    Export,
    MediaRow,
    PostRow,
    Snapshot,
    SnapshotItem,
)

PAGE = 500  # rows of a page, and ids in one statement
FORGOTTEN = "(forgotten)"


def by_name(session: Session, dataset: str, name: str = "") -> Snapshot | None:
    """The snapshot of that name, or else the newest of the dataset."""
    statement = select(Snapshot).where(Snapshot.dataset == dataset, Snapshot.manifest_sha256 != "")
    if name:
        statement = statement.where(Snapshot.name == name)
    return session.exec(statement.order_by(col(Snapshot.id).desc()).limit(1)).first()


def listing(session: Session, dataset: str = "") -> list[Snapshot]:
    """Complete ones, oldest first."""
    statement = select(Snapshot).where(Snapshot.manifest_sha256 != "")
    if dataset:
        statement = statement.where(Snapshot.dataset == dataset)
    return list(session.exec(statement.order_by(col(Snapshot.id))))


def next_name(session: Session, dataset: str) -> str:
    """1, 2, 3 …"""
    taken = session.exec(select(Snapshot.name).where(Snapshot.dataset == dataset)).all()
    return str(max((int(name) for name in taken if name.isdecimal()), default=0) + 1)


def past_splits(session: Session, dataset: str, seed: int) -> dict[tuple[str, str], str]:
    """(platform, user id) → the split of the dataset's earliest snapshot that has that person."""
    splits: dict[tuple[str, str], str] = {}
    for snapshot in listing(session, dataset):
        if snapshot.facts.get("seed") != seed:
            continue
        statement = (
            select(PostRow.platform, PostRow.author_id, SnapshotItem.split)
            .join(MediaRow, col(MediaRow.post) == col(PostRow.id))
            .join(SnapshotItem, col(SnapshotItem.media) == col(MediaRow.id))
            .where(SnapshotItem.snapshot == snapshot.id)
            .distinct()
        )
        for platform, user, split in session.exec(statement):
            splits.setdefault((platform, user), split)
    return splits


def begin(session: Session, snapshot: Snapshot) -> int:
    """The row of a snapshot whose items follow; what interrupted ones left is removed. Whoever
    calls holds the dataset's lock, so that none of them is still at work."""
    left = select(Snapshot.id).where(
        Snapshot.dataset == snapshot.dataset, Snapshot.manifest_sha256 == ""
    )
    for unfinished in session.exec(left).all():
        remove(session, unfinished or 0)
    session.add(snapshot)
    session.flush()
    return snapshot.id or 0


def remove(session: Session, snapshot: int) -> None:
    session.exec(delete(Export).where(col(Export.snapshot) == snapshot))
    session.exec(delete(SnapshotItem).where(col(SnapshotItem.snapshot) == snapshot))
    session.exec(delete(Snapshot).where(col(Snapshot.id) == snapshot))


def remove_dataset(session: Session, name: str) -> None:
    """Its query, its snapshots, the record of its exports, and the key of its pseudonyms."""
    for snapshot in session.exec(select(Snapshot.id).where(Snapshot.dataset == name)).all():
        remove(session, snapshot or 0)
    session.exec(delete(Dataset).where(col(Dataset.name) == name))
    session.exec(delete(Control).where(col(Control.key) == datasets.KEY + name))


def add_items(
    session: Session,
    snapshot: int,
    start: int,
    chosen: Sequence[Chosen],
    found: Mapping[int, tuple[str, dict[str, Any]]],
) -> int:
    """Rows from number `start` on, of those images that are still there. Returns the next one.

    `found`: media id → (SHA-256, record).
    """
    wanted = [one for one in chosen if one.media in found]
    here = set(
        session.exec(select(MediaRow.id).where(col(MediaRow.id).in_([o.media for o in wanted])))
    )
    for one in wanted:
        if one.media in here:
            sha256, record = found[one.media]
            item = SnapshotItem(
                snapshot=snapshot,
                seq=start,
                media=one.media,
                sha256=sha256,
                split=one.split,
                record=record,
            )
            item.digest = hashlib.sha256(line_of(item)).hexdigest()
            session.add(item)
            start += 1
    session.flush()
    return start


def items(database: Database, snapshot: int) -> Iterator[SnapshotItem]:
    """In their order, page by page: no transaction is open while one is being looked at."""
    last = -1
    while True:
        with database.read() as session:
            page = session.exec(
                select(SnapshotItem)
                .where(SnapshotItem.snapshot == snapshot, SnapshotItem.seq > last)
                .order_by(col(SnapshotItem.seq))
                .limit(PAGE)
            ).all()
        yield from page
        if len(page) < PAGE:
            return
        last = page[-1].seq


def forgotten(item: SnapshotItem) -> bool:
    return item.media is None or not item.record or not item.sha256


def count_forgotten(session: Session, snapshot: int) -> int:
    gone = or_(col(SnapshotItem.media).is_(None), SnapshotItem.sha256 == "")
    statement = select(func.count()).select_from(SnapshotItem)
    return session.exec(statement.where(SnapshotItem.snapshot == snapshot, gone)).one()


def blank(session: Session, media: Sequence[int]) -> list[tuple[str, str]]:
    """Images are forgotten: their rows keep number, split and digest. Returns (dataset, snapshot)
    of every snapshot that had one."""
    touched: set[tuple[str, str]] = set()
    for start in range(0, len(media), PAGE):
        some = col(SnapshotItem.media).in_(media[start : start + PAGE])
        had = (
            select(Snapshot.dataset, Snapshot.name)
            .join(SnapshotItem, col(SnapshotItem.snapshot) == col(Snapshot.id))
            .where(some)
            .distinct()
        )
        touched.update(session.exec(had).all())
        session.exec(update(SnapshotItem).where(some).values(media=None, sha256="", record={}))
    return sorted(touched)


def forget_person(session: Session, platform: str, names: Sequence[str]) -> int:
    """Take a person's names and id out of the queries that asked for them. Returns how many had."""
    people = {f"{platform}/{username(name)}" for name in names}
    changed = 0
    for row in [*session.exec(select(Dataset)), *session.exec(select(Snapshot))]:
        authors = row.query.get("authors", [])
        if people & set(authors):
            left = [f"{platform}/{FORGOTTEN}" if a in people else a for a in authors]
            row.query = row.query | {"authors": left}
            changed += 1
    session.flush()
    return changed


def manifest(
    database: Database, snapshot: Snapshot, see: Callable[[SnapshotItem], None] = lambda _: None
) -> Iterator[bytes]:
    """Lines of canonical JSON: a head, then one for every image that was not forgotten."""
    yield head_of(snapshot)
    for item in items(database, snapshot.id or 0):
        see(item)
        if not forgotten(item):
            yield line_of(item)


def head_of(snapshot: Snapshot) -> bytes:
    facts = {key: snapshot.facts[key] for key in ("query", "seed", "splits", "models")}
    return canonical(
        {
            "manifest": 1,
            "dataset": snapshot.facts.get("dataset", snapshot.dataset),  # as it was called then
            "snapshot": snapshot.name,
            "created": snapshot.created.isoformat(),
            "items": snapshot.items,
            **facts,
        }
    )


def line_of(item: SnapshotItem) -> bytes:
    record = item.record
    return canonical(
        {
            "seq": item.seq,
            "id": f"{record['platform']}/{record['post_id']}/{record['index']}",
            "sha256": item.sha256,
            "split": item.split,
            "record": hashlib.sha256(canonical(record)).hexdigest(),
        }
    )


def canonical(value: object) -> bytes:
    """JSON with sorted keys and nothing to choose, and a line feed."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"
