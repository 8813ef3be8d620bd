"""A learning run: photos → start → DINO → teacher's masks → head → export → proof → decision.

Each stage leaves its files in RUN/ and its name in the row of the run, so a killed run continues at
the same stage. The network in service changes at the very end, by one call, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from sqlmodel import Session

from bot.core.clock import Clock, utc_now
from bot.core.errors import ModelError, NothingToDo, StorageError, TagechoError
from bot.learn import photos
from bot.learn.child_process import Child
from bot.learn.comparison import Corrected, Judges, prove
from bot.learn.low_priority import command
from bot.learn.photos import START, DrawnLessons, Layout
from bot.learn.replies_first import Say, TimeLimit, Turn
from bot.learn.training import IN_SERVICE, LearningRecipe, Teacher, commands
from models.base import Segmenter
from models.segment.card import card
from models.serving.promotion_rule import SHIPPED, Decision, Evidence, Paired, decide
from storage import learning, mined
from storage.archive import Archive
from storage.learning import RunState, TrainingPicture
from storage.tables import LearningRun

log = structlog.get_logger()
STAGES = ("photos", "start", "dino", "masks", "head", "export", "proof", "decision")
TAUGHT = ("masks", "export")  # the stages that ask who teaches
ATTEMPTS = 5  # times that a stage may start before the run fails
INTERRUPTED = "interrupted"
_FULL = ("no space left on device", "errno 28", "disk quota exceeded")


class Networks(Protocol):
    """The networks in service and the new ones. `bot.verbs.learn` provides them. All methods raise
    ModelError."""

    def in_service(self) -> Segmenter: ...

    def candidate(self, export: Path) -> Segmenter: ...

    def starts(self) -> list[str]:
        """Versions that a run may start from, or learn masks from, the best first."""

    def copy(self, version: str, to: Path) -> None:
        """Its ONNX file."""

    def folder(self, version: str) -> Path:
        """Of its ONNX file and manifest."""

    def pack(self) -> str:
        """The official pack that teaches beside the network in service; empty without one."""

    def keep(self, export: Path, card: str) -> str:
        """Store an exported network; its version."""

    def promote(self, version: str) -> None: ...

    def prune(self) -> None: ...


class BrokenOff(ModelError):
    """The training was killed; the run can continue."""


class Left(TagechoError):
    """A person whose images the run uses was forgotten: the run must stop."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run may use."""

    home: Path  # the folder of networks and runs
    nice: int = 15
    seconds: float = 6 * 3600
    max_pixels: int = 50_000_000


class Learning:
    """One run at a time; the caller holds the lock."""

    def __init__(
        self,
        archive: Archive,
        networks: Networks,
        corrected: Corrected | None,
        shown: frozenset[str],
        terms: Terms,
        say: Say,
        clock: Clock = utc_now,
        drawn: DrawnLessons | None = None,
        failures: Corrected | None = None,
    ) -> None:
        """`shown`: SHA-256 of the photos of `corrected` and of `failures`, which are never trained
        on. `drawn`: masks that teach in place of the teacher's. `failures`: on which the gain is
        measured, and decides nothing."""
        self._database, self._originals = archive.database, archive.originals
        self._optouts = archive.optouts
        self._networks, self._corrected, self._shown = networks, corrected, shown
        self._terms, self._say, self._clock = terms, say, clock
        self._drawn = drawn
        self._failures = failures

    def run(self, recipe: LearningRecipe, *, fresh: bool = False) -> LearningRun:
        """Continue the interrupted run, or start one (`fresh`: always start one).

        Returns its row, `promoted` or `kept_out`. Raises NothingToDo without enough images,
        ModelError if a training failed, StorageError; the row has the same reason. After Ctrl-C, a
        full disk or a killed training the next call continues the run.
        """
        run = self._take_up(recipe, fresh=fresh)
        run_id = run.id or 0
        spent = run.facts.get("seconds", 0)
        turn = Turn(self._waiting, self._terms.seconds, self._say, spent)
        try:
            self._stages(run, turn)
        except TimeLimit:
            limit = f"the time limit of {self._terms.seconds / 3600:.3g} h is over"
            self._end(run_id, RunState.FAILED, limit)
            raise ModelError(f"run {run_id}: {limit}") from None
        except Left as error:
            self._end(run_id, RunState.CANCELLED, str(error))
            raise
        except (KeyboardInterrupt, BrokenOff, StorageError) as error:
            reason = str(error) or INTERRUPTED
            with contextlib.suppress(StorageError):  # the disk may be full, which may be the reason
                self._leave(run_id, reason, turn, counts=not isinstance(error, KeyboardInterrupt))
            raise
        except Exception as error:
            self._end(run_id, RunState.FAILED, str(error) or type(error).__name__)
            raise
        return self._row(run_id)

    # --- which run ---------------------------------------------------------------------------

    def _take_up(self, recipe: LearningRecipe, *, fresh: bool) -> LearningRun:
        with self._database.read() as session:
            found = learning.unfinished(session)
        if found is not None and not fresh and (lost := self._lost(found)):
            self._say(f"run {found.id} cannot continue: {lost}")
            fresh = True
        if found is not None and fresh:
            self._end(found.id or 0, RunState.CANCELLED, "another run was started")
        self._tidy(None if found is None or fresh else found.id)
        if found is None or fresh:
            with self._database.write() as session:
                found = learning.begin(session, recipe.as_dict(), self._clock())
            self._say(f"run {found.id}: learning")
            return found
        self._say(f"run {found.id}: continues with {found.stage or STAGES[0]}")
        return found

    def _tidy(self, running: int | None) -> None:
        """Finish a run that was killed at its very end."""
        for folder in self._folder(0).parent.glob("*"):
            if folder.name != str(running):
                photos.clear(folder)

    def _lost(self, run: LearningRun) -> str:
        """Why an interrupted run cannot continue; empty if it can."""
        if run.stage in ("", STAGES[0]):
            return ""
        try:
            layout = photos.read_layout(self._folder(run.id or 0))
            self._check_people(run.id or 0, layout)
        except (StorageError, Left) as error:
            return str(error)
        return ""

    # --- stages ------------------------------------------------------------------------------

    def _stages(self, run: LearningRun, turn: Turn) -> None:
        run_id, recipe = run.id or 0, LearningRecipe.of(run.facts["recipe"])
        folder = self._folder(run_id)
        at = STAGES.index(run.stage) if run.stage in STAGES else 0
        layout = photos.read_layout(folder) if at else None
        while at < len(STAGES):
            stage = STAGES[at]
            self._enter(run_id, stage, turn)
            turn.wait()
            if layout is None:
                layout = self._lay_out(run_id, recipe, folder, turn)
            elif stage == "start":
                self._choose_start(run_id, recipe, folder, turn)
            elif stage == "proof":
                with self._nobody_left(layout):
                    self._prove(run_id, layout, turn)
            elif stage == "decision":
                if not self._decide(run_id, layout):
                    at = STAGES.index("proof")
                    continue
            else:
                with self._nobody_left(layout):
                    teacher = self._teacher(run_id) if stage in TAUGHT else None
                    self._train(stage, folder, recipe, turn, teacher)
                    if stage == "masks":
                        self._draw(run_id, layout)
                        self._emphasise(run_id, layout)
            at += 1

    def _enter(self, run_id: int, stage: str, turn: Turn) -> None:
        """Raises ModelError if this stage was started too often."""
        with self._database.write() as session:
            row = session.get_one(LearningRun, run_id)
            begun = row.facts.get("begun", 0) + 1 if row.stage == stage else 1
            known = {"begun": begun, "seconds": round(turn.spent, 1)}
            learning.note(session, run_id, known, stage=stage, reason="")
            why = row.facts.get("broken_off", "")
        if begun > ATTEMPTS:
            raise ModelError(f"{stage}: failed after {ATTEMPTS} attempts; the last: {why}")
        log.info("stage started", run=run_id, stage=stage, seconds=round(turn.spent))

    def _lay_out(self, run_id: int, recipe: LearningRecipe, folder: Path, turn: Turn) -> Layout:
        with self._database.read() as session:
            found = learning.learnable(session, self._optouts, recipe.leave_out, recipe.most_images)
        found = [picture for picture in found if picture.sha256 not in self._shown]
        least = max(2, recipe.least_images)
        if len(found) < least:
            raise NothingToDo(_too_few(len(found), least))
        say = self._prefixed("photos")
        layout = photos.lay_out(
            found, self._originals, folder, turn, say, max_pixels=self._terms.max_pixels
        )
        if len(layout.train) < 2 or len(layout.train) + len(layout.held_out) < least:
            raise NothingToDo(_too_few(len(layout.train) + len(layout.held_out), least))
        authors = {picture.author for picture in layout.train}
        counts = {
            "images": len(layout.train), "held_out_images": len(layout.held_out),
            "authors": len(authors),
            "held_out_authors": len({picture.author for picture in layout.held_out}),
            "hashtags": len({tag for picture in layout.train for tag in picture.hashtags}),
        }  # fmt: skip
        with self._database.write() as session:
            self._check_here(session, (*layout.train, *layout.held_out))
            learning.learned_from(session, run_id, authors)
            learning.note(session, run_id, {"data": counts}, images=len(layout.train))
        say(f"{counts['images']} to learn from, {counts['held_out_images']} held out")
        return layout

    def _choose_start(self, run_id: int, recipe: LearningRecipe, folder: Path, turn: Turn) -> None:
        """Copy the network from which the run starts; nothing for random weights."""
        say = self._prefixed("start")
        (folder / START).unlink(missing_ok=True)
        chosen = ""
        for version in self._networks.starts() if recipe.start == IN_SERVICE else ():
            why = self._begin_with(version, run_id, recipe, folder, turn)
            if not why:
                chosen = version
                break
            (folder / START).unlink(missing_ok=True)
            say(f"does not start from {version}: {why}")
        say(f"starts from {chosen or 'random weights'}")
        with self._database.write() as session:
            learning.note(session, run_id, {"start": chosen})

    def _begin_with(
        self, version: str, run_id: int, recipe: LearningRecipe, folder: Path, turn: Turn
    ) -> str:
        """Why the run cannot start from this network; empty if it does."""
        self._networks.copy(version, folder / START)
        try:
            self._train("start", folder, recipe, turn)
        except BrokenOff:
            raise
        except ModelError as error:
            return str(error)
        return self._inherit(version, run_id)

    def _inherit(self, version: str, run_id: int) -> str:
        """Why nothing may be learned from this network; empty if it may. The people whose images
        it used then count as people of the run."""
        if version == SHIPPED:
            return ""
        with self._database.write() as session:
            before = learning.made(session, version)
            if before is None:
                return "its people are not recorded"
            if gone := learning.teachers_gone(session, self._optouts, before):
                return f"{gone} of the people whose images it used were forgotten"
            learning.learned_from(session, run_id, learning.taught(session, before.id or 0))
        return ""

    def _teacher(self, run_id: int) -> Teacher:
        """Whose masks the run learns from: chosen once, then kept in its row."""
        chosen = self._row(run_id).facts.get("teacher")
        if chosen is None:
            chosen = self._choose_teacher(run_id)
            with self._database.write() as session:
                learning.note(session, run_id, {"teacher": chosen})
        network = self._networks.folder(chosen["network"])
        return Teacher(network, chosen["pack"], self._terms.home)

    def _choose_teacher(self, run_id: int) -> dict[str, str]:
        say = self._prefixed("masks")
        version = SHIPPED
        for version in self._networks.starts():  # the last one is SHIPPED, which always may
            if not (why := self._inherit(version, run_id)):
                break
            say(f"not taught by {version}: {why}")
        pack = self._networks.pack()
        say(f"taught by {version}{' and ' + pack if pack else ''}")
        return {"network": version, "pack": pack}

    def _draw(self, run_id: int, layout: Layout) -> None:
        """What people drew of the photos to learn from takes the place of the teacher's masks."""
        count = photos.draw(layout, self._drawn) if self._drawn is not None else 0
        if not count:
            return
        with self._database.write() as session:
            data = session.get_one(LearningRun, run_id).facts.get("data", {})
            learning.note(session, run_id, {"data": {**data, "drawn": count}})
        self._prefixed("masks")(f"{count} drawn by people")

    def _emphasise(self, run_id: int, layout: Layout) -> None:
        """Photos that are like failures are shown more often."""
        with self._database.read() as session:
            hard = mined.images(session)
        count = photos.emphasise(layout, hard) if hard else 0
        if count:
            with self._database.write() as session:
                data = session.get_one(LearningRun, run_id).facts.get("data", {})
                learning.note(session, run_id, {"data": {**data, "hard": count}})
            self._prefixed("masks")(f"{count} are like failures, and shown more often")

    def _train(
        self,
        stage: str,
        folder: Path,
        recipe: LearningRecipe,
        turn: Turn,
        teacher: Teacher | None = None,
    ) -> None:
        for module, arguments in commands(stage, folder, recipe, teacher):
            argv = command(self._terms.nice, signal.SIGKILL, module, arguments)
            child = Child(
                argv, folder / "log.txt", self._prefixed(stage), recipe.threads, os.environ
            )
            status = child.wait(turn)
            if status < 0:
                name = signal.Signals(-status).name
                raise BrokenOff(f"{stage}: {module} was killed ({name}); out of memory?")
            if status:
                words = child.last_words
                if any(full in words.lower() for full in _FULL):
                    raise StorageError(f"{stage}: the disk is full: {words}")
                raise ModelError(f"{stage}: {module} failed: {words}")

    def _prove(self, run_id: int, layout: Layout, turn: Turn) -> None:
        new = self._networks.candidate(layout.folder / "export")
        old = self._networks.in_service()
        judges = Judges(self._corrected, self._failures)
        evidence = prove(new, old, layout, judges, turn, self._prefixed("proof"))
        facts = {"evidence": evidence.as_dict(), "new": new.version, "in_service": old.version}
        with self._database.write() as session:
            learning.note(session, run_id, facts)

    def _decide(self, run_id: int, layout: Layout) -> bool:
        """False if another network came into service since the figures were measured."""
        self._check_people(run_id, layout)
        facts = self._row(run_id).facts
        decision = decide(_evidence(facts["evidence"]))
        if facts["in_service"] != (now := self._networks.in_service().version):
            if now != facts["new"]:
                return False
            decision = Decision(
                True, decision.reason
            )  # it was promoted, and then this process was killed
        text = card(run_id, facts, decision.reason, _command_line())
        version = self._networks.keep(layout.folder / "export", text)
        with self._database.write() as session:
            learning.note(session, run_id, model_version=version)
        if decision.promote:
            self._networks.promote(version)
        state = RunState.PROMOTED if decision.promote else RunState.KEPT_OUT
        self._end(run_id, state, decision.reason)
        with contextlib.suppress(TagechoError):  # old networks only take up space
            self._networks.prune()
        return True

    # --- small things ------------------------------------------------------------------------

    def _check_people(self, run_id: int, layout: Layout) -> None:
        """Raises Left. People who were held out taught nothing and are only left out."""
        with self._database.read() as session:
            self._check_here(session, layout.train)
            run = session.get_one(LearningRun, run_id)
            if gone := learning.teachers_gone(session, self._optouts, run):
                raise Left(
                    f"{gone} of the people whose images it, or its start, used were forgotten "
                    "meanwhile"
                )

    def _check_here(self, session: Session, pictures: Iterable[TrainingPicture]) -> None:
        here = learning.still_here(session, self._optouts)
        gone = sum(picture.sha256 not in here for picture in pictures)
        if gone:
            raise Left(f"{gone} of the images that it used were removed meanwhile")

    @contextlib.contextmanager
    def _nobody_left(self, layout: Layout) -> Iterator[None]:
        """If a photo is missing because its author was forgotten, the training did not fail."""
        try:
            yield
        except (ModelError, StorageError):
            with self._database.read() as session:
                self._check_here(session, (*layout.train, *layout.held_out))
            raise

    def _waiting(self) -> int:
        with self._database.read() as session:
            return learning.replies_waiting(session, self._clock())

    def _end(self, run_id: int, state: RunState, reason: str) -> None:
        now = self._clock()
        with self._database.write() as session:
            learning.finish(session, run_id, state, reason, now)
        photos.clear(self._folder(run_id))
        self._say(f"run {run_id}: {state.replace('_', ' ')}: {reason}")
        log.info("run ended", run=run_id, state=state, reason=reason)

    def _leave(self, run_id: int, reason: str, turn: Turn, *, counts: bool) -> None:
        with self._database.write() as session:
            facts = session.get_one(LearningRun, run_id).facts
            begun = facts.get("begun", 0) - (not counts)
            left = {"begun": begun, "seconds": round(turn.spent, 1), "broken_off": reason}
            learning.note(session, run_id, left, reason=reason)

    def _row(self, run_id: int) -> LearningRun:
        with self._database.read() as session:
            return session.get_one(LearningRun, run_id)

    def _folder(self, run_id: int) -> Path:
        return self._terms.home / "runs" / str(run_id)

    def _prefixed(self, stage: str) -> Callable[[str], None]:
        return lambda text: self._say(f"{stage}: {text}")


def _evidence(said: dict[str, Any]) -> Evidence:
    return Evidence(**{name: Paired(**v) if v else None for name, v in said.items()})


def _too_few(count: int, least: int) -> str:
    what = "image" if count == 1 else "images"
    return f"{count} {what} may be used; {least} are needed ([learn] least_images)"


def _command_line() -> str:
    return " ".join(["tagecho", *sys.argv[1:]]) if sys.argv else "tagecho learn"
