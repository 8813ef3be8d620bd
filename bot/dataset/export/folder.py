"""Write a snapshot as a folder: streamed, complete or absent, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, StorageError, UsageError
from bot.core.hashtags import one_hashtag
from bot.core.normal_form import hashtag
from bot.dataset.export.card import ExportSummary, card
from bot.dataset.export.croissant import RECORDS, describe
from bot.dataset.export.examples import Examples, Kinds, Plan, suffixes
from bot.dataset.export.fields import DEFAULT, chosen
from bot.dataset.export.files import Hashed, shut, whole_folder
from bot.dataset.export.formats import FORMATS
from bot.dataset.export.masks import Masks
from bot.dataset.export.objects import recipe_for
from bot.dataset.snapshots import make, wanted
from bot.dataset.splits import ratios
from bot.schema.problems import quote
from bot.service.app import App, ServingStages, opened
from bot.service.progress import progress
from storage import snapshots
from storage.tables import Export, Snapshot

SPLITS = "80/10/10"
SMALLEST = 16  # px


@dataclass(frozen=True, slots=True)
class ExportOptions:
    format: str
    out: Path
    masks: bool = False  # compute the masks that are missing
    size: int | None = None  # px, the longer side
    fields: str = DEFAULT
    classes: tuple[str, ...] = ()
    replace: bool = False
    objects: str = ""  # a recipe of `tagecho label`, or `latest`


@dataclass(slots=True)
class Result:
    path: str
    dataset: str
    snapshot: str
    manifest_sha256: str
    items: int = 0
    forgotten: int = 0
    without_mask: int = 0  # left out: the format cannot hold one without a mask, or an answer
    masks_gone: int = 0  # frozen with the snapshot, but removed since
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def export(settings: Settings, name: str, options: ExportOptions) -> Result:
    """Write the snapshot DATASET/NAME, or the newest of DATASET. Makes the first one if needed.

    Raises UsageError, NothingToDo, StorageError (of an original, or of the disk), ModelError. After
    an error the folder is as before.
    """
    if options.format not in FORMATS:
        raise UsageError(f"--format {options.format}: there are {', '.join(FORMATS)}")
    if options.size is not None and options.size < SMALLEST:
        raise UsageError(f"--size: at least {SMALLEST} px")
    with opened(settings) as app:
        chosen(options.fields)  # mistakes are told before a snapshot is made
        _classes(options.classes)
        snapshot = _snapshot(app, settings, name)
        return write(app, snapshot, options)


def write(app: App, snapshot: Snapshot, options: ExportOptions) -> Result:
    began = time.perf_counter()
    kinds = FORMATS[options.format].kinds
    plan = _plan(snapshot, options, kinds.of(suffixes(app, snapshot)) if kinds.one else kinds)
    if options.objects:
        recipe = recipe_for(app, options.objects)
        plan = replace(plan, objects=recipe.id, classes=tuple(recipe.facts["classes"]))
    if options.format == "yolo" and not (plan.masks or plan.objects):
        raise UsageError("yolo needs masks, and the snapshot has none: add --masks")
    segmenter = ServingStages(app.settings).segmenter() if options.masks else None
    masks = Masks(app, segmenter)
    examples = Examples(app, snapshot, plan, masks)
    result = Result(
        str(options.out.absolute()), snapshot.dataset, snapshot.name, snapshot.manifest_sha256
    )

    def commit() -> None:
        _record(app, snapshot, options, result, examples)

    with whole_folder(options.out, replace=options.replace, commit=commit) as folder:
        writer = FORMATS[options.format].writer(folder, plan)
        records = Hashed(folder / RECORDS)
        summary = ExportSummary()
        try:
            for example in progress(examples, "images", total=snapshot.items):
                values = writer.add(example)
                if values is None:
                    result.without_mask += 1
                    continue
                summary.add(example)
                records.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")
            records.close()
            files = {path.relative_to(folder).as_posix(): _facts(path) for path in writer.close()}
        except BaseException:
            writer.abort()
            shut(records)
            raise
        if not summary.items:
            raise NothingToDo(f"{name_of(snapshot)} has nothing to write: all are forgotten, or "
                              "none has a mask")  # fmt: skip
        files[RECORDS] = (records.sha256, records.size)
        _describe(folder, plan, options.format, summary, files)
        result.items, result.forgotten = summary.items, examples.forgotten
        result.masks_gone = masks.missing
    result.seconds = round(time.perf_counter() - began, 3)
    return result


def name_of(snapshot: Snapshot) -> str:
    return f"{snapshot.dataset}/{snapshot.name}"


def _snapshot(app: App, settings: Settings, name: str) -> Snapshot:
    """A dataset without any snapshot gets its first one."""
    dataset, _, wished = name.partition("/")
    with app.database.read() as session:
        known = snapshots.by_name(session, dataset, wished)
    if known is None and not wished:
        return make(app, settings, dataset, "", ratios(SPLITS), 0)
    return wanted(app, name)


def _plan(snapshot: Snapshot, options: ExportOptions, kinds: Kinds) -> Plan:
    query = snapshot.query
    asked = [*query.get("any_hashtags", []), *query.get("all_hashtags", [])]
    return Plan(
        dataset=snapshot.dataset,
        snapshot=snapshot.name,
        manifest_sha256=snapshot.manifest_sha256,
        facts=snapshot.facts,
        created=snapshot.created.isoformat(),
        fields=chosen(options.fields),
        classes=_classes(options.classes) or tuple(dict.fromkeys(map(hashtag, asked))),
        masks=options.masks or "mask" in snapshot.facts["models"],
        size=options.size,
        kinds=kinds,
    )


def _classes(written: tuple[str, ...]) -> tuple[str, ...]:
    """Hashtags, each once. Raises UsageError for one that no photo can have."""
    found: dict[str, None] = {}
    for name in written:
        try:
            found[one_hashtag(name)] = None
        except ValueError as error:
            raise UsageError(f"--classes: {quote(name)} {error}") from None
    return tuple(found)


def _describe(
    folder: Path, plan: Plan, kind: str, summary: ExportSummary, files: dict[str, tuple[str, int]]
) -> None:
    glob = FORMATS[kind].glob
    names = [name for name in plan.facts["splits"] if summary.splits[name]]
    splits = {name: glob.format(split=name) for name in names} if glob else {}
    text = card(plan, kind, summary, splits)
    (folder / "README.md").write_text(text, encoding="utf-8")
    about = json.dumps(describe(plan, files), ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "croissant.json").write_text(about + "\n", encoding="utf-8")


def _record(
    app: App, snapshot: Snapshot, options: ExportOptions, result: Result, examples: Examples
) -> None:
    """Record the export before the folder appears, so that `forget` can list every export.

    Raises StorageError if a person in it was forgotten while it was written.
    """
    with app.database.write() as session:
        known = snapshots.count_forgotten(session, snapshot.id or 0)
        if known > examples.forgotten:
            raise StorageError("a person was forgotten while it was written: export it again")
        session.add(
            Export(
                snapshot=snapshot.id or 0,
                format=options.format,
                path=result.path,
                items=result.items,
                created=utc_now(),
            )
        )


def _facts(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
