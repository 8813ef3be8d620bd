"""Does DINO on the collected images help segmentation? All arms, by one command.

python -m research.proof.masks --masks DIR --hashtags DIR --tagged DIR --general DIR \
    --out runs/proof
python -m research.proof.masks --out runs/proof --report

Every finished measurement leaves a JSON with the IoU of each image: a killed run, started again,
goes on. The tables, as markdown, go to stdout, what is being done to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import cv2
import torch

from models.segment.evaluate import selection
from research.proof.arms import Proof
from research.proof.book import Book
from research.proof.budget import Budget
from research.proof.data import Folders
from research.proof.report import report


def run(proof: Proof, seeds: list[int], sizes: list[int], minutes: float) -> bool:
    """Do what is missing; no job is begun after so many minutes. Whether all is done."""
    started = time.monotonic()
    jobs = [
        job for job in proof.jobs(seeds, sizes) if not all(proof.book.has(key) for key in job.keys)
    ]
    for number, job in enumerate(jobs, start=1):
        spent = (time.monotonic() - started) / 60
        if spent > minutes:
            sys.stderr.write(f"{len(jobs) - number + 1} jobs left: time is up\n")
            return False
        names = ", ".join(f"{key.measure} of {key.name}" for key in job.keys)
        sys.stderr.write(f"[{number}/{len(jobs)}, {spent:.0f} min] {names}\n")
        sys.stderr.flush()
        job.run()
    return True


def same_budget(out: Path, budget: Budget) -> None:
    """Note the budget, or compare. ValueError when the folder holds figures of another one."""
    path = out / "budget.json"
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known != asdict(budget):
            raise ValueError(f"{out} holds figures of another budget: {known}")
        return
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(budget)), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__)
    for name in ("masks", "hashtags", "tagged", "general"):
        made.add_argument(f"--{name}", type=Path)
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    made.add_argument("--sizes", type=int, nargs="+", default=[0, 500], help="images; 0: all")
    made.add_argument("--minutes", type=float, default=float("inf"))
    made.add_argument("--report", action="store_true", help="only the tables")
    for field in fields(Budget):
        kind = type(field.default)
        made.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if not options.report:
        wanted = (options.masks, options.hashtags, options.tagged, options.general)
        if None in wanted:
            sys.exit("error: --masks, --hashtags, --tagged and --general are needed")
        budget = Budget(**{field.name: getattr(options, field.name) for field in fields(Budget)})
        try:
            same_budget(options.out, budget)
            proof = Proof(Folders(*wanted), options.out, budget)
            run(proof, options.seeds, options.sizes, options.minutes)
        except (ValueError, OSError) as error:
            sys.exit(f"error: {error}")
    used = options.out / "budget.json"
    if used.exists():
        sys.stdout.write(f"{Budget(**json.loads(used.read_text(encoding='utf-8')))}\n\n")
    sys.stdout.write(report(Book(options.out), selection()) + "\n")


if __name__ == "__main__":
    main()
