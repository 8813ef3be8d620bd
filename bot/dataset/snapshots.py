"""Snapshots: freeze a dataset, verify it later, rebuild it bit for bit."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, StorageError, UsageError
from bot.core.files import replacing
from bot.dataset.lookup import check_name, query_of, unknown, welcome
from bot.dataset.splits import Split, split
from bot.service.app import App, opened
from bot.service.locks import file_lock
from storage import datasets, snapshots
from storage.datasets import pseudonym
from storage.queries import Query
from storage.records import Chosen, records
from storage.tables import Snapshot, SnapshotItem

CHUNK = 200  # images of a snapshot in one transaction


@dataclass(slots=True)
class Checked:
    """What changed in a snapshot since it was made."""

    dataset: str
    snapshot: str
    items: int
    manifest_sha256: str
    rebuilt_sha256: str = ""  # of the manifest that its rows give now
    forgotten: int = 0
    changed: list[int] = field(default_factory=list)  # numbers of rows that changed
    missing: list[int] = field(
        default_factory=list
    )  # numbers of rows whose original is missing or damaged

    @property
    def sound(self) -> bool:
        """Nothing differs except what was forgotten."""
        same = self.rebuilt_sha256 == self.manifest_sha256 or self.forgotten > 0
        return same and not self.changed and not self.missing

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"sound": self.sound}


def freeze(
    settings: Settings, name: str, snapshot: str, shares: dict[str, float], seed: int
) -> dict[str, Any]:
    """Make a snapshot. Raises UsageError, NothingToDo, StorageError."""
    with opened(settings) as app:
        return brief(make(app, settings, name, snapshot, shares, seed))


def make(
    app: App, settings: Settings, name: str, snapshot: str, shares: dict[str, float], seed: int
) -> Snapshot:
    """The row gets its hash at the very end; without it an interrupted snapshot does not count."""
    if snapshot:
        check_name(snapshot)
    with file_lock(settings.data.dir / "locks" / f"dataset-{_slug(name)}.lock", f"dataset {name}"):
        row, secret, query = _begin(app, settings, name, snapshot, shares, seed)
        with app.database.read() as session:
            found = list(datasets.images(session, query))
            past = snapshots.past_splits(session, name, seed)
        found = welcome(app, found)
        parts = split(found, shares, secret, seed, past)
        authors = {(one.platform, one.author) for one in found}
        pseudonyms = {who: pseudonym(secret, app.optouts.digest(*who)) for who in authors}
        chosen = [
            Chosen(one.media, pseudonyms[one.platform, one.author], part)
            for one, part in zip(found, parts.of_image, strict=True)
            if part is not None
        ]
        versions = _fill(app, row.id or 0, chosen)
        return _finish(app, row.id or 0, versions, parts)


def snapshot_rows(settings: Settings, dataset: str = "") -> list[dict[str, Any]]:
    with opened(settings) as app, app.database.read() as session:
        return [brief(row) for row in snapshots.listing(session, dataset)]


def verify(settings: Settings, name: str) -> Checked:
    """Compare the rows and originals of a snapshot with what was frozen."""
    with opened(settings) as app:
        return _check(app, wanted(app, name), None)


def rebuild(settings: Settings, name: str, out: Path) -> Checked:
    """Write the manifest again: the same bytes, without the lines that were forgotten.

    Nothing is written if an original is missing or a row has changed.
    """
    with opened(settings) as app:
        row = wanted(app, name)
        with _written(out) as file:
            checked = _check(app, row, file)
            if not checked.sound:
                raise StorageError(
                    f"{name} cannot be rebuilt: {len(checked.changed)} rows changed, "
                    f"{len(checked.missing)} originals missing; see `tagecho snapshot verify`"
                )
    return checked


def wanted(app: App, name: str) -> Snapshot:
    """The snapshot DATASET/NAME, or the newest of DATASET. Raises UsageError."""
    dataset, _, snapshot = name.partition("/")
    with app.database.read() as session:
        row = snapshots.by_name(session, dataset, snapshot)
        if row is None:
            known = [f"{one.dataset}/{one.name}" for one in snapshots.listing(session)]
            raise UsageError(unknown(name, known, "snapshot"))
    return row


def brief(row: Snapshot) -> dict[str, Any]:
    return {
        "dataset": row.dataset,
        "snapshot": row.name,
        "items": row.items,
        "manifest_sha256": row.manifest_sha256,
        "created": row.created,
        **{key: row.facts[key] for key in ("splits", "counts", "left_out", "seed", "models")},
    }


def _begin(
    app: App, settings: Settings, name: str, snapshot: str, shares: dict[str, float], seed: int
) -> tuple[Snapshot, bytes, Query]:
    now = utc_now()
    query = query_of(app, settings, name)
    with app.database.write() as session:
        secret = datasets.make_key(session, name, now)
        if snapshot and snapshots.by_name(session, name, snapshot) is not None:
            raise UsageError(f"the snapshot {name}/{snapshot} exists; a snapshot never changes")
        shown = query.stored()
        if query.authors:  # the manifest may be passed on; names stay here
            shown["authors"] = [pseudonym(secret, one) for one in query.authors]
        row = Snapshot(
            dataset=name,
            name=snapshot or snapshots.next_name(session, name),
            query=query.stored(),
            facts={"seed": seed, "splits": shares, "query": shown},
            manifest_sha256="",
            items=0,
            created=now,
        )
        snapshots.begin(session, row)
    return row, secret, query


def _fill(app: App, snapshot: int, chosen: list[Chosen]) -> dict[str, set[str]]:
    """Write the items. Returns the versions of the networks and checks that judged them."""
    versions: dict[str, set[str]] = {}
    seq = 0
    for start in range(0, len(chosen), CHUNK):
        some = chosen[start : start + CHUNK]
        with app.database.read() as session:
            found = records(session, some)
        for _, record in found.values():
            mask = record["mask"]
            named = record["models"] | ({"mask": mask["version"]} if mask else {})
            for what, version in named.items():
                versions.setdefault(what, set()).add(version)
        with app.database.write() as session:
            seq = snapshots.add_items(session, snapshot, seq, some, found)
    return versions


def _finish(app: App, snapshot: int, versions: dict[str, set[str]], parts: Split) -> Snapshot:
    with app.database.read() as session:
        row = session.get_one(Snapshot, snapshot)
    counts = dict.fromkeys(row.facts["splits"], 0)
    items = 0
    for item in snapshots.items(app.database, snapshot):
        counts[item.split] += 1
        items += 1
    if not items:
        with app.database.write() as session:
            snapshots.remove(session, snapshot)
        raise NothingToDo(f"{row.dataset} finds no image")
    row.items = items
    row.facts = row.facts | {
        "counts": counts,
        "left_out": parts.left_out,
        "models": {what: sorted(found) for what, found in sorted(versions.items())},
    }
    digest = hashlib.sha256()
    for line in snapshots.manifest(app.database, row):
        digest.update(line)
    with app.database.write() as session:
        if snapshots.count_forgotten(session, snapshot):
            snapshots.remove(session, snapshot)
            forgotten = True
        else:
            row.manifest_sha256, forgotten = digest.hexdigest(), False
            session.merge(row)
    if forgotten:
        raise StorageError("a person was forgotten while the snapshot was made: make it again")
    return row


def _check(app: App, row: Snapshot, out: Any) -> Checked:
    checked = Checked(row.dataset, row.name, row.items, row.manifest_sha256)
    seen = 0

    def see(item: SnapshotItem) -> None:
        nonlocal seen
        seen += 1
        if snapshots.forgotten(item):
            checked.forgotten += 1
            return
        if hashlib.sha256(snapshots.line_of(item)).hexdigest() != item.digest:
            checked.changed.append(item.seq)
        try:
            app.originals.get(item.sha256)
        except StorageError:
            checked.missing.append(item.seq)

    digest = hashlib.sha256()
    for line in snapshots.manifest(app.database, row, see):
        digest.update(line)
        if out is not None:
            out.write(line)
    checked.rebuilt_sha256 = digest.hexdigest()
    checked.changed += range(seen, row.items)  # rows that do not exist
    return checked


@contextlib.contextmanager
def _written(out: Path) -> Iterator[Any]:
    """A file that is complete or absent."""
    try:
        with replacing(out) as file:
            yield file
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UsageError(f"--out {out}: {error.strerror}") from error
    except OSError as error:
        raise StorageError(f"--out {out}: {error.strerror or error}") from error


def _slug(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
