"""`tagecho learn`, `models promote` and `rollback`: runs, and the networks that they made."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bot.config import Settings
from bot.core.errors import ModelError, NothingToDo, StorageError, UsageError
from bot.dataset.drawn_masks import DrawnMasks, Together
from bot.dataset.evaluation_sets import MaskSet
from bot.learn.comparison import Corrected
from bot.learn.replies_first import Say
from bot.learn.run import Learning, Terms
from bot.learn.schedule import running
from bot.learn.training import LearningRecipe, check_installed
from bot.service.app import App, ServingStages, networks_of, opened
from bot.service.locks import file_lock
from models.base import Segmenter, WeightsError
from models.segment.learned_networks import Store
from models.segment.saliency import SEES, installed
from models.segment.segmenter import open_segmenter
from models.serving.promotion_rule import SHIPPED
from models.serving.shelf import official_weights
from models.training.training_log import read_log
from storage import learning
from storage.learning import RunState
from storage.tables import LearningRun

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
TRAININGS = ("dino", "head")  # the stages of a run that leave a log
NO_FIGURE = {"step", "seconds"}  # in a line of it
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure of one training of a run, by its step."""

    training: str
    figure: str
    points: list[tuple[int, float]]


class StoredNetworks:
    """The networks of `bot.learn.run`, in the data folder, with their own runtime."""

    def __init__(self, settings: Settings) -> None:
        self._home = networks_of(settings)
        self._serves = settings.models.segmenter
        self.store = Store(self._home)
        threads = settings.models.model_copy(update={"threads": settings.learn.threads})
        self.runtime = ServingStages(settings.model_copy(update={"models": threads})).runtime
        self._keep = settings.learn.keep

    def in_service(self) -> Segmenter:
        return _known(lambda: open_segmenter(self.store.weights(), self.runtime))

    def starts(self) -> list[str]:
        current = _known(lambda: self.store.pointer).current
        return list(dict.fromkeys([current, SHIPPED]))

    def copy(self, version: str, to: Path) -> None:
        _known(lambda: shutil.copyfile(self.store.weights(version).path, to))

    def folder(self, version: str) -> Path:
        return _known(lambda: self.store.weights(version).path.parent)

    def pack(self) -> str:
        """The one that serves, else the quickest of those that were pulled; verified."""
        return _known(self._pack)

    def _pack(self) -> str:
        names = [self._serves] if self._serves in SEES else installed(self._home)
        for name in names[:1]:
            official_weights(name, self._home)
        return "".join(names[:1])

    def candidate(self, export: Path) -> Segmenter:
        return _known(lambda: open_segmenter(self.store.weights_in(export), self.runtime))

    def keep(self, export: Path, card: str) -> str:
        return _known(lambda: self.store.add(export, card))

    def promote(self, version: str) -> None:
        _known(lambda: self.store.promote(version))

    def prune(self) -> None:
        _known(lambda: self.store.prune(self._keep))


def learn(settings: Settings, say: Say, *, fresh: bool = False) -> dict[str, Any]:
    """Start a run, or continue the interrupted one, until its decision.

    Raises NotInstalled without the [learn] extra, ModelError with a damaged network in service or
    if a training failed; NothingToDo; StorageError; AccountLocked while another one runs.
    """
    check_installed()
    home = networks_of(settings)
    with _lock(home), opened(settings) as app:
        networks = StoredNetworks(settings)
        networks.in_service()  # raises now instead of after hours
        networks.pack()
        folder, shown = _corrected(settings.data.dir / "masks")
        failures, failed = _corrected(failures_in(settings))
        asked: list[Corrected] = [folder] if folder is not None else []
        asked += [drawn] if (drawn := DrawnMasks(app, held_out=True)).ids else []
        flow = Learning(
            app.archive,
            networks,
            Together(asked) if asked else None,
            shown | failed,
            Terms(
                home,
                settings.learn.nice,
                settings.learn.time_limit.total_seconds(),
                settings.limits.max_pixels,
            ),
            say,
            drawn=DrawnMasks(app, held_out=False),
            failures=failures,
        )
        try:
            return summary(flow.run(recipe_of(settings), fresh=fresh))
        finally:
            networks.runtime.close()


def failures_in(settings: Settings) -> Path:
    """Where `tagecho mine` keeps the pictures on which a network failed, with their masks."""
    return settings.data.dir / "failures"


def status(settings: Settings, limit: int = 10) -> dict[str, Any]:
    """The last runs, and the network in service. Raises ModelError, StorageError."""
    with opened(settings) as app:
        return state_of(app, settings, limit)


def state_of(app: App, settings: Settings, limit: int = 10) -> dict[str, Any]:
    """The same, where the storage is open."""
    home = networks_of(settings)
    store = Store(home)
    with app.database.read() as session:
        rows = [summary(run) for run in learning.runs(session, limit)]
    serves = _known(lambda: store.pointer)
    return {
        "running": running(home),
        "runs": [row | {"progress": _progress(home, row)} for row in rows],
        "current": serves.current,
        "previous": serves.previous,
        "versions": store.versions(),
    }


def one_run(app: App, settings: Settings, number: int) -> dict[str, Any]:
    """A run with its recipe. Raises UsageError."""
    with app.database.read() as session:
        row = session.get(LearningRun, number)
    if row is None:
        raise UsageError(f"there is no run {number}")
    found = summary(row)
    more = {"progress": _progress(networks_of(settings), found), "recipe": row.facts.get("recipe")}
    return found | more


def curves(settings: Settings, number: int) -> list[Curve]:
    """What the trainings of a run measured, step by step; nothing where no log is left."""
    folder = networks_of(settings) / "runs" / str(number)
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for training in TRAININGS:
        for row in read_log(folder / training / "log.jsonl"):
            for name, value in row.items():
                if name not in NO_FIGURE and isinstance(value, int | float):
                    found.setdefault((training, name), []).append((int(row["step"]), float(value)))
    return [Curve(training, name, points) for (training, name), points in found.items()]


def promote(settings: Settings, version: str | None, run: int | None) -> dict[str, str]:
    """Put this version, or that of this run, in service without a proof.

    Raises UsageError for an unknown version, ModelError for a damaged one.
    """
    with opened(settings) as app:
        return put_in_service(app, settings, version, run)


def put_in_service(
    app: App, settings: Settings, version: str | None, run: int | None, who: str = "a person"
) -> dict[str, str]:
    """The same, where the storage is open. The run keeps what its proof said."""
    if (version is None) == (run is None):
        raise UsageError("name a version (tagecho learn --status), or a run with --run N")
    store = Store(networks_of(settings))
    if run is not None:
        version = _version_of(app, run)
    chosen = version or ""
    folder = _known_name(lambda: store.folder(chosen))
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{chosen} does not exist (any more); there are {_names(store)}")
    serves = _known(lambda: store.promote(chosen))
    _note_promotion(app, chosen, run, who)
    return serves._asdict()


def _note_promotion(app: App, version: str, run: int | None, who: str) -> None:
    with app.database.write() as session:
        row = session.get(LearningRun, run) if run else learning.made(session, version)
        if row is not None and row.state != RunState.PROMOTED:
            reason = f"promoted by {who}; the proof: {row.reason}"
            learning.note(session, row.id or 0, state=RunState.PROMOTED, reason=reason)


def rollback(settings: Settings) -> dict[str, str]:
    """Put the previous network in service again. Raises NothingToDo, ModelError."""
    store = Store(networks_of(settings))
    current, previous = _known(lambda: store.pointer)
    if current == previous:
        raise NothingToDo("there is no previous network: none was promoted")
    return _known(store.rollback)._asdict()


def recipe_of(settings: Settings) -> LearningRecipe:
    said = settings.learn
    return LearningRecipe(
        leave_out=said.leave_out,
        least_images=said.least_images,
        most_images=said.most_images,
        dino_steps=said.dino_steps,
        batch=said.batch,
        mask_steps=said.mask_steps,
        threads=said.threads,
        start=said.start,
    )


def summary(run: LearningRun) -> dict[str, Any]:
    return {
        "run": run.id,
        "state": run.state,
        "stage": run.stage,
        "reason": run.reason,
        "version": run.model_version,
        "images": run.images,
        "started": run.started,
        "finished": run.finished,
        **{
            key: run.facts.get(key)
            for key in ("data", "start", "teacher", "evidence", "in_service", "seconds")
        },
    }


# --- small things -------------------------------------------------------------------------------


def _lock(home: Path) -> contextlib.AbstractContextManager[None]:
    return file_lock(home / "learn.lock", "learning")


def _corrected(folder: Path) -> tuple[MaskSet | None, frozenset[str]]:
    """Masks that a person corrected, and the hashes of their photos. Raises UsageError."""
    if not (folder / "labels").is_dir() or not any((folder / "labels").glob("*.png")):
        return None, frozenset()
    found = MaskSet(folder, chosen=False)
    shown = set()
    for path in (folder / "photos").iterdir():
        if path.suffix in SUFFIXES:
            try:
                shown |= {path.stem, hashlib.sha256(path.read_bytes()).hexdigest()}
            except OSError as error:
                raise StorageError(f"{path}: {error.strerror}") from error
    return found, frozenset(shown)


def _version_of(app: App, run: int) -> str:
    with app.database.read() as session:
        row = session.get(LearningRun, run)
    if row is None:
        raise UsageError(f"there is no run {run}")
    if not row.model_version:
        raise UsageError(f"run {run} has no network: {row.state} ({row.reason or row.stage})")
    return row.model_version


def _names(store: Store) -> str:
    return ", ".join([*store.versions(), "embedded"])


def _progress(home: Path, row: dict[str, Any]) -> str:
    """The last line of output of a run's training."""
    if row["state"] != RunState.RUNNING:
        return ""
    try:
        lines = (
            (home / "runs" / str(row["run"]) / "log.txt").read_text(encoding="utf-8").splitlines()
        )
    except OSError:
        return ""
    return lines[-1] if lines else ""


def _known(work: Callable[[], _Found]) -> _Found:
    """Turn errors of networks and disk into ours."""
    try:
        return work()
    except WeightsError as error:
        raise ModelError(str(error)) from error
    except OSError as error:
        raise StorageError(f"the folder of networks: {error}") from error


def _known_name(work: Callable[[], _Found]) -> _Found:
    try:
        return work()
    except WeightsError as error:
        raise UsageError(str(error)) from error
