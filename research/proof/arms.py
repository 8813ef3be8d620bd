"""The arms of the proof: what is trained, and what is measured of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from models.base import Image, Mask
from models.dino.vit import ViT
from models.metrics.labelled import Labelled, canvas, labelled
from models.metrics.masks import iou
from models.segment.evaluate import centre_box, off_centre
from models.segment.network import SegmentNet
from models.segment.samples import Pool, build_pool
from models.segment.train import train
from research.proof.book import Book, Key
from research.proof.budget import Budget
from research.proof.data import Folders, arm_photos, known_shots, load
from research.proof.frozen import fit_head, head_probability, raw_ncut, tokens
from research.proof.grabcut import grabcut
from research.proof.pretrain import distilled, supervised, untrained
from research.proof.pseudo_masks import make
from research.proof.score import predictor, score, score_masks
from research.proof.selftrain import refined
from research.proof.unet import UNet

TRAINED = ("dino", "dino-general", "tags", "dino-tagged")  # arms with a pre-trained backbone
ARMS = ("random", *TRAINED)
SECOND, MORE = "second-round", "more-steps"  # self-training, and its control
OFF_CENTRE = ("border", "canvas")
MARGINS = (0.2, 0.05)  # of GrabCut's rectangle


class Job(NamedTuple):
    keys: tuple[Key, ...]  # what it measures
    run: Callable[[], None]


class Proof:
    """All jobs of one folder. Whatever is needed by several is made once and kept there."""

    def __init__(self, folders: Folders, out: Path, budget: Budget) -> None:
        self.folders, self.out, self.budget = folders, out, budget
        self.book = Book(out)

    @cached_property
    def items(self) -> list[Labelled]:
        return list(labelled(self.folders.masks))

    @cached_property
    def known(self) -> frozenset[str]:
        """Tagged photos that repeat a shot of the masks."""
        path = self.out / "repeats.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(sorted(known_shots(self.folders))), encoding="utf-8")
        return frozenset(json.loads(path.read_text(encoding="utf-8")))

    @cached_property
    def pool(self) -> Pool:
        """Tagged photos with their pseudo-masks. ValueError when a repeated shot is among them."""
        photos = self.folders.tagged / "photos"
        masks = self.out / "masks"
        if not (masks / "rejected.txt").exists():  # written last
            make(photos, masks, partial(grabcut, margins=MARGINS), self.folders.masks / "photos")
        if self.known & {path.stem for path in masks.rglob("*.png")}:
            raise ValueError(f"{masks} has masks of shots that are evaluated on")
        return build_pool([(photos, masks, 1.0)])

    def jobs(self, seeds: list[int], sizes: list[int]) -> Iterator[Job]:
        """In the order in which a run that is cut short says most."""
        for size in sorted(sizes, key=lambda size: size or 10**9, reverse=True):
            for seed in seeds:
                if size == 0:
                    yield self._unet(seed)
                for arm in ARMS:
                    if arm in TRAINED or size == 0:
                        yield self._arm(arm, size, seed)
                if (size, seed) == (0, seeds[0]):
                    yield from self._controls(("tuned",))
        if 0 in sizes:
            for seed in seeds:
                for arm in ("unet", *ARMS):
                    yield self._off_centre(arm, seed)
            yield from self._controls(OFF_CENTRE)
            for seed in seeds:
                yield self._round(SECOND, seed)
                yield self._round(MORE, seed)

    def _controls(self, measures: tuple[str, ...]) -> Iterator[Job]:
        ways: dict[str, Callable[[Labelled], Mask]] = {
            "box": centre_box,
            "grabcut": lambda item: grabcut(item.image, MARGINS),
        }
        for arm, find in ways.items():
            for measure in measures:
                key = Key(measure, arm)
                yield Job((key,), partial(self._control, key, find))

    def _control(self, key: Key, find: Callable[[Labelled], Mask]) -> None:
        self.book.write(key, score_masks(find, self.pictures(key.measure)), {})

    def pictures(self, measure: str) -> Iterable[Labelled]:
        """What a measurement is made on: whole photos, or each with its object moved aside."""
        if measure == "border":
            return off_centre(self.items)
        if measure == "canvas":
            rng = np.random.default_rng(0)
            return (canvas(item, rng) for item in self.items)
        return self.items

    def _unet(self, seed: int) -> Job:
        key = Key("tuned", "unet", 0, seed)
        return Job((key,), partial(self._tune, key))

    def _arm(self, arm: str, size: int, seed: int) -> Job:
        keys = tuple(Key(measure, arm, size, seed) for measure in ("ncut", "frozen", "tuned"))

        def run() -> None:
            if not (self.book.has(keys[0]) and self.book.has(keys[1])):
                self._frozen(keys[0], keys[1])
            if not self.book.has(keys[2]):
                self._tune(keys[2])

        return Job(keys, run)

    def backbone(self, key: Key) -> ViT:
        """Of an arm; trained when it is not yet."""
        recipe = self.budget.distillation(key.seed)
        if key.arm == "random":
            return untrained(recipe)
        photos = arm_photos(key.arm, self.folders, self.known, key.size)
        out = self.out / "backbones" / key.name
        if key.arm == "tags":
            return supervised(load(photos), [photo.tags for photo in photos], recipe, out)
        return distilled(load(photos), recipe, out)

    def _frozen(self, ncut: Key, frozen: Key) -> None:
        vit, budget = self.backbone(ncut), self.budget
        side = budget.grid * budget.patch
        samples = [sample for samples in self.pool.sets for sample in samples]
        taught = tokens(vit, [sample.image for sample in samples], side)
        features = np.stack([found.features for found in taught])
        head = fit_head(
            features, (sample.mask for sample in samples), steps=budget.head_steps, seed=ncut.seed
        )
        looked = tokens(vit, [item.image for item in self.items], side)
        seen = {item.name: found for item, found in zip(self.items, looked, strict=True)}
        cuts = {
            item.name: iou(raw_ncut(seen[item.name], budget.grid, item.mask.shape), item.mask)
            for item in self.items
        }
        self.book.write(ncut, cuts, {"grid": budget.grid})
        found = score(
            lambda item: head_probability(head, seen[item.name], item.mask.shape), self.items
        )
        self.book.write(frozen, found.ious, {"threshold": found.threshold})

    def network(self, key: Key) -> SegmentNet | UNet:
        """Of an arm, fine-tuned on the pseudo-masks; trained when it is not yet."""
        torch.manual_seed(key.seed)  # the head starts alike in all arms
        recipe = self.budget.tuning(key.seed)
        out = self.out / "networks" / key.name
        if key.arm == "unet":
            return train(self.pool, recipe, out, start=UNet())
        start = SegmentNet(self.budget.distillation(key.seed).shape)
        return train(self.pool, recipe, out, start=start, backbone=self.backbone(key))

    def _tune(self, key: Key) -> None:
        predict = predictor(self.network(key), self.budget.side)
        found = score(predict, self.items)
        self.book.write(key, found.ious, {"threshold": found.threshold})

    def _round(self, arm: str, seed: int) -> Job:
        """The fine-tuned DINO arm goes on for as long again: on its own masks, or on the first."""
        key, first = Key("tuned", arm, 0, seed), Key("tuned", "dino", 0, seed)

        def run() -> None:
            network = self.network(first)
            pool = self._own_masks(network, first) if arm == SECOND else self.pool
            recipe = replace(self.budget.tuning(seed), seed=seed + 100)  # other crops
            start = network.requires_grad_(True)  # an average is handed out for use only
            later = train(pool, recipe, self.out / "networks" / key.name, start=start)
            found = score(predictor(later, self.budget.side), self.items)
            self.book.write(key, found.ious, {"threshold": found.threshold})

        return Job((key,), run)

    def _own_masks(self, network: SegmentNet | UNet, first: Key) -> Pool:
        """What the network says of its training photos, moved to their edges by GrabCut."""
        photos, out = self.folders.tagged / "photos", self.out / "second-masks" / first.name
        predict, threshold = (
            predictor(network, self.budget.side),
            self.book.facts(first)["threshold"],
        )

        def find(image: Image) -> Mask:
            nothing = np.zeros(image.shape[:2], bool)
            return predict(Labelled("", image, nothing)) > threshold

        if not (out / "rejected.txt").exists():
            way = refined(find, "grabcut")  # a network's own masks need no filter
            make(photos, out, way, self.folders.masks / "photos", judged=False)
        return build_pool([(photos, out, 1.0)])

    def _off_centre(self, arm: str, seed: int) -> Job:
        keys = tuple(Key(measure, arm, 0, seed) for measure in OFF_CENTRE)

        def run() -> None:
            tuned = Key("tuned", arm, 0, seed)
            threshold = self.book.facts(tuned)["threshold"]
            predict = predictor(self.network(tuned), self.budget.side)
            for key in keys:
                found = score(predict, self.pictures(key.measure), threshold)
                self.book.write(key, found.ious, {"threshold": threshold})

        return Job(keys, run)
