"""One step of self-distillation, after Caron et al., "Emerging properties in self-supervised
vision transformers", ICCV 2021; with the options of iBOT and DINOv2 (Oquab et al., 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.dino import distributed
from models.dino.collapse import spread
from models.dino.crops import Batch
from models.dino.loss import DinoLoss, PatchLoss, koleo
from models.dino.model import Model, Said, parameter_groups
from models.dino.recipe import DinoRecipe
from models.dino.vit import ViT
from models.training.loop import Ema, cosine


class Wanted(NamedTuple):
    """What the teacher says of a batch, or of a part of it."""

    classes: Tensor  # (2, B, outputs) logits or probabilities
    patches: Tensor | None  # (M, outputs), with the patch loss


class Learner:
    """Student, teacher and optimiser.

    A batch may be computed in parts (`recipe.accumulate`). The targets, the centre and Sinkhorn see
    the whole batch all the same; batch norm and KoLeo see the part. Without those two, parts give
    the gradients of the whole.
    """

    def __init__(
        self,
        recipe: DinoRecipe,
        device: torch.device | None = None,
        *,
        bfloat16: bool = False,
        start: ViT | None = None,
    ) -> None:
        self.recipe, self.bfloat16 = recipe, bfloat16
        self.device = device or torch.device("cpu")
        torch.manual_seed(recipe.seed)
        self.student = Model(recipe)
        if start is not None:
            self.student.vit.load_state_dict(start.state_dict())
        self.student.to(self.device)
        self.ema = Ema(self.student, recipe.momentum)
        self.teacher = self.ema.network.train()  # its batch norms see the batch, as the student's
        temperatures = (recipe.student_temperature, recipe.teacher_temperature)
        how = (*temperatures, recipe.center_momentum, recipe.centring)
        self.loss = DinoLoss(recipe.outputs, *how).to(self.device)
        self.patch_loss = PatchLoss(recipe.outputs, *how).to(self.device)
        self.optimiser = torch.optim.AdamW(parameter_groups(self.student))

    def parts(self) -> dict[str, object]:
        """What a checkpoint holds."""
        parts: dict[str, object] = {
            "student": self.student,
            "teacher": self.teacher,
            "loss": self.loss,
            "optimiser": self.optimiser,
        }
        return parts | ({"patch_loss": self.patch_loss} if self.recipe.ibot else {})

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """Learn from this process's share of a batch; figures are those of the whole batch.

        FloatingPointError, and nothing learned, when the loss is not finite.
        """
        rate = self._schedule(step)
        figures, said = self.gradients(batch)
        if not all(map(math.isfinite, figures.values())):
            raise FloatingPointError(f"step {step}: the loss is {figures['loss']}")
        self.loss.follow(said.classes)
        if said.patches is not None:
            self.patch_loss.follow(said.patches)
        self._descend(step)
        return figures | {"rate": rate}

    def gradients(self, batch: Batch) -> tuple[dict[str, float], Wanted]:
        """Put a batch's gradients into the student. Its figures, and the teacher's logits."""
        pieces = batch.to(self.device).split(self.recipe.accumulate)
        said = self._ask_teacher(pieces)
        patches = None if said.patches is None else self.patch_loss.targets(said.patches)
        wanted = Wanted(self.loss.targets(said.classes), patches)
        entropy, mean_entropy = spread(wanted.classes.flatten(0, 1))
        losses = self._backward(pieces, wanted)
        distributed.average(self.student.parameters())
        figures = {name: value.item() for name, value in losses.items()}
        return figures | {"entropy": entropy, "mean_entropy": mean_entropy}, said

    def _schedule(self, step: int) -> float:
        recipe = self.recipe
        rate = cosine(step, recipe.steps, recipe.rate, 1e-6, recipe.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
            if group.get("decays"):
                group["weight_decay"] = cosine(step, recipe.steps, *recipe.decay)
        return rate

    @torch.no_grad()
    def _ask_teacher(self, pieces: list[Batch]) -> Wanted:
        said = [self._said(self.teacher, piece, piece.large) for piece in pieces]
        classes = torch.cat([x.classes.view(2, -1, self.recipe.outputs) for x in said], 1)
        patches = [x.patches for x in said if x.patches is not None]
        return Wanted(classes, torch.cat(patches) if patches else None)

    def _said(self, model: Model, piece: Batch, *crops: Tensor, hide: bool = False) -> Said:
        hidden = piece.hidden.flatten(0, 1) if self.recipe.ibot else None
        with self._precision():
            said = model(*(crop.flatten(0, 1) for crop in crops), hidden=hidden, hide=hide)
        return Said(*(x if x is None else distributed.wide(x) for x in said))

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def _backward(self, pieces: list[Batch], wanted: Wanted) -> dict[str, Tensor]:
        """Gradients of the mean loss over the pieces; the losses, over all processes."""
        self.optimiser.zero_grad(set_to_none=True)
        classes = wanted.classes.chunk(len(pieces), 1)
        patches: Sequence[Tensor | None] = [None] * len(pieces)
        if wanted.patches is not None:
            patches = wanted.patches.split([int(piece.hidden.sum()) for piece in pieces])
        sums: dict[str, Tensor] = {}
        for piece, *said in zip(pieces, classes, patches, strict=True):
            losses = self._losses(piece, Wanted(*said))
            (losses["loss"] / len(pieces)).backward()
            for name, value in losses.items():
                share = distributed.mean(value.detach()) / len(pieces)
                sums[name] = sums[name] + share if name in sums else share
        return sums

    def _losses(self, piece: Batch, wanted: Wanted) -> dict[str, Tensor]:
        recipe = self.recipe
        hide = recipe.ibot > 0
        said = self._said(self.student, piece, piece.large, piece.small, hide=hide)
        count = piece.large.shape[1]
        views = said.classes.view(2 + recipe.locals, count, -1)
        loss = self.loss.compare(views, wanted.classes)
        losses = {"loss": loss}
        if said.patches is not None and wanted.patches is not None:
            hidden = piece.hidden.flatten(0, 1)
            patch = self.patch_loss.compare(said.patches, wanted.patches, hidden)
            losses |= {"dino": loss, "patch": patch}
            losses["loss"] = losses["loss"] + recipe.ibot * patch
        if recipe.koleo:
            views = said.features[: 2 * count].view(2, count, -1)
            far = (koleo(views[0]) + koleo(views[1])) / 2
            losses |= {"dino": loss, "koleo": far}
            losses["loss"] = losses["loss"] + recipe.koleo * far
        return losses

    def _descend(self, step: int) -> None:
        recipe = self.recipe
        if step < recipe.frozen_prototypes:
            for head in self.student.heads():
                head.prototypes.grad = None
        nn.utils.clip_grad_norm_(self.student.parameters(), recipe.clip)
        self.optimiser.step()
        self.ema.momentum = cosine(step, recipe.steps, recipe.momentum, 1.0)
        self.ema.update(self.student)
