"""DINO: a student learns to say of any crop what its own running average says of large ones.

python -m models.dino.train --photos DIR [DIR ...] --out runs/dino
torchrun --nproc-per-node 4 -m models.dino.train --device cuda --photos DIR --out runs/dino

OUT gets last.pt (started again with the same options, a training goes on from it), log.jsonl,
curves.png and, with a selection set (--posts, --masks), best.pt: the best by kNN accuracy and NCut
IoU, never by the loss. What a training starts from (--start) is measured, too: where nothing is
better, it is the best.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import torch

from models.base import Image, WeightsError
from models.dino import distributed
from models.dino.collapse import Collapsed, CollapseWatch
from models.dino.crops import Steps, batches, demand_variety, load_photos
from models.dino.curves import draw_curves
from models.dino.learner import Learner
from models.dino.options import Options, parse
from models.dino.recipe import DinoRecipe
from models.dino.select import Selection, read_selection
from models.dino.start import load_start
from models.dino.vit import ViT
from models.training.loop import (
    Progress,
    load_checkpoint,
    photo_paths,
    read_checkpoint,
    save_checkpoint,
)
from models.training.training_log import read_log

__all__ = ["DinoRecipe", "Machine", "Rhythm", "ViT", "load_photos", "main", "photo_paths", "train"]

CURVES_EVERY = 30.0  # seconds


@dataclass(frozen=True)
class Machine:
    """Where and how fast; decides nothing about the weights but their last digits."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bfloat16: bool = False
    workers: int = 0  # processes that cut crops


@dataclass(frozen=True)
class Rhythm:
    """Steps between two writings. `by`: what chooses among the checkpoints; None: the last one."""

    save: int = 50
    select: int = 200
    by: Selection | None = None


def train(
    images: list[Image],
    recipe: DinoRecipe,
    out: Path,
    *,
    machine: Machine | None = None,
    rhythm: Rhythm | None = None,
    start: ViT | None = None,
    resume: Path | None = None,
) -> ViT:
    """Train (or go on from `resume` or `out`/last.pt) and return the teacher's ViT.

    In each of several processes with the same arguments; the first one writes. ValueError for
    unfit photos, recipe or checkpoint; Collapsed; FloatingPointError for a loss that is not finite;
    OSError when nothing can be written. Whatever was written before stays.
    """
    machine, rhythm = machine or Machine(), rhythm or Rhythm()
    processes, rank = distributed.processes(), distributed.rank()
    demand_variety(images)
    if recipe.batch % (processes * recipe.accumulate):
        raise ValueError(
            f"a batch of {recipe.batch} cannot be shared by {processes} processes in "
            f"{recipe.accumulate} parts each"
        )
    learner = Learner(recipe, machine.device, bfloat16=machine.bfloat16, start=start)
    done = go_on(learner, resume or out / "last.pt")
    diary = Diary(out, learner, done, rhythm) if rank == 0 else None
    if diary is not None and start is not None and not done:
        diary.begin()
    watch = CollapseWatch(recipe.outputs)
    source = Steps(images, recipe, rank, processes)
    pin = machine.device.type == "cuda"
    stream = batches(source, done, workers=machine.workers, pin=pin)
    for step, batch in zip(range(done, recipe.steps), stream, strict=True):
        figures = learner.step(batch, step)
        watch(figures["entropy"], figures["mean_entropy"])
        if diary is not None:
            diary(step + 1, figures)
    return learner.teacher.vit


def go_on(learner: Learner, checkpoint: Path) -> int:
    """Steps done by the checkpoint the first process sees; 0 when there is none."""
    state = None
    if distributed.rank() == 0 and checkpoint.exists():
        state = read_checkpoint(checkpoint)
    state = distributed.from_first(state)
    if state is None:
        return 0
    try:
        state["recipe"] = asdict(DinoRecipe.read(state["recipe"]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{checkpoint}: {error}") from error
    return load_checkpoint(checkpoint, learner.parts(), asdict(learner.recipe), state)


class Diary:
    """What the first process writes: log, curves, checkpoints."""

    def __init__(self, out: Path, learner: Learner, done: int, rhythm: Rhythm) -> None:
        self.out, self.learner, self.rhythm, self.selection = out, learner, rhythm, rhythm.by
        self.log = out / "log.jsonl"
        self.steps = learner.recipe.steps
        self.progress = Progress(self.log, done, self.steps, 10)
        scores = [row["score"] for row in read_log(self.log) if "score" in row] if done else []
        self.best = max(scores, default=-1.0)
        self.drawn = 0.0

    def begin(self) -> None:
        """What the training starts from is the first to be chosen from."""
        if self.selection is not None:
            self._select(0, self.selection)

    def __call__(self, step: int, figures: dict[str, float]) -> None:
        self.progress(step, **figures)
        last = step == self.steps
        if self.selection is not None and (step % self.rhythm.select == 0 or last):
            self._select(step, self.selection)
        if step % self.rhythm.save == 0 or last:
            self._save("last.pt", step)
        if last or (self.log.exists() and time.monotonic() - self.drawn > CURVES_EVERY):
            draw_curves(self.log, self.out / "curves.png")
            self.drawn = time.monotonic()

    def _select(self, step: int, selection: Selection) -> None:
        figures = selection.measure(self.learner.teacher.vit)
        self.progress.note(step, **figures)
        if figures["score"] > self.best:
            self.best = figures["score"]
            self._save("best.pt", step)

    def _save(self, name: str, step: int) -> None:
        save_checkpoint(self.out / name, self.learner.parts(), step, asdict(self.learner.recipe))


def run(options: Options) -> None:
    """What the command line asks for."""
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    recipe = options.recipe
    with distributed.joined(options.device) as device:
        if device.type == "cuda":
            torch.use_deterministic_algorithms(True, warn_only=True)
        images = load_photos(photo_paths(options.photos), round(1.5 * recipe.global_side))
        selection = None
        if distributed.rank() == 0:
            selection = read_selection(
                options.posts, options.masks, options.ids,
                limit=options.knn_photos, side=recipe.global_side,
            )  # fmt: skip
        train(
            images,
            recipe,
            options.out,
            machine=Machine(device, options.bfloat16, options.workers),
            rhythm=Rhythm(options.save_every, options.select_every, selection),
            start=load_start(options.start, options.grid) if options.start else None,
            resume=options.resume,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """One line on stderr and exit code 1 for whatever a person can mend; 2 for usage."""
    try:
        run(parse(arguments, __doc__))
    except (ValueError, WeightsError, OSError, Collapsed, FloatingPointError) as error:
        sys.exit("error: " + " ".join(str(error).split()))
    except torch.OutOfMemoryError as error:
        sys.exit(f"error: out of memory; try --accumulate 2: {str(error).splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
