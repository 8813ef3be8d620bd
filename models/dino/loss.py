"""What self-distillation minimises: the loss of DINO, of iBOT's masked patches, and KoLeo.

All are means over the photos of this process; `models.dino.distributed` says why that is enough.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.dino.distributed import all_sum, gather, largest, processes, rank, wide


class Targets(nn.Module):
    """Teacher logits → what the student shall say, sharpened and kept from collapse.

    `centring` "centre": a softmax of the logits less their running mean (Caron et al., "Emerging
    properties in self-supervised vision transformers", ICCV 2021). "sinkhorn": see `sinkhorn`.
    """

    center: Tensor

    def __init__(
        self,
        outputs: int,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
        centring: str = "centre",
    ) -> None:
        super().__init__()
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.center_momentum = center_momentum
        self.centring = centring
        self.register_buffer("center", torch.zeros(1, outputs))

    @torch.no_grad()
    def targets(self, teacher: Tensor) -> Tensor:
        """(..., K) logits → (..., K) probabilities."""
        if self.centring == "sinkhorn":
            rows = sinkhorn(teacher.flatten(0, -2), self.teacher_temperature)
            return rows.view_as(teacher)
        return F.softmax((teacher - self.center) / self.teacher_temperature, dim=-1)

    @torch.no_grad()
    def follow(self, teacher: Tensor) -> None:
        """The centre moves towards the mean of the (..., K) logits of all processes."""
        rows = teacher.flatten(0, -2)
        if processes() == 1:
            mean = rows.mean(0, keepdim=True)
        else:
            sums = all_sum(torch.cat([rows.sum(0), rows.new_tensor([float(len(rows))])]))
            mean = (sums[:-1] / sums[-1])[None]
        self.center.lerp_(mean, 1 - self.center_momentum)

    def logs(self, student: Tensor) -> Tensor:
        return F.log_softmax(student / self.student_temperature, dim=-1)


class DinoLoss(Targets):
    """Cross-entropy between what the teacher says of a large crop and the student of others."""

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """student (V, B, K): all crops, the global ones first; teacher (G, B, K): global crops.

        The mean over all pairs of different crops; then the centre follows the teacher.
        """
        loss = self.compare(student, self.targets(teacher))
        self.follow(teacher)
        return loss

    def compare(self, student: Tensor, targets: Tensor) -> Tensor:
        """As above, for targets (G, B, K) that are probabilities; the centre stays."""
        logs = self.logs(student)
        total, pairs = student.new_zeros(()), 0
        for view in range(targets.shape[0]):
            for crop in range(student.shape[0]):
                if crop != view:
                    total = total - (targets[view] * logs[crop]).sum(-1).mean()
                    pairs += 1
        return total / pairs


class PatchLoss(Targets):
    """What the student says of patches it cannot see, against the teacher, which sees them.

    Zhou et al., "iBOT: image BERT pre-training with online tokenizer", ICLR 2022.
    """

    def compare(self, student: Tensor, targets: Tensor, hidden: Tensor) -> Tensor:
        """(M, K) logits and probabilities of the M patches that are True in `hidden` (N, T).

        The mean of each picture's patches, then of the pictures; one without hidden patches is 0.
        """
        each = -(targets * self.logs(student)).sum(-1)
        share = 1 / hidden.sum(1, keepdim=True).clamp_min(1)
        return (each * share.expand_as(hidden)[hidden]).sum() / len(hidden)


@torch.no_grad()
def sinkhorn(logits: Tensor, temperature: float, rounds: int = 3) -> Tensor:
    """(N, K) logits → (N, K) probabilities that use all prototypes equally, over all processes.

    Sinkhorn-Knopp: Cuturi, "Sinkhorn distances", NeurIPS 2013; for prototypes, Caron et al.,
    "Unsupervised learning of visual features by contrasting cluster assignments", NeurIPS 2020.
    """
    top = largest(logits.max() if len(logits) else logits.new_tensor(-torch.inf))
    weights = ((wide(logits) - top) / temperature).exp()
    for _ in range(rounds):
        weights = weights / all_sum(weights.sum(0)).clamp_min(1e-30)  # each prototype as much
        weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-30)  # each row 1
    return weights


def koleo(features: Tensor) -> Tensor:
    """Pushes each of (N, D) features away from its nearest, among those of all processes.

    Sablayrolles et al., "Spreading vectors for similarity search", ICLR 2019.
    """
    with torch.autocast(features.device.type, enabled=False):
        mine = F.normalize(wide(features), dim=-1, eps=1e-8)
        everyone = gather(mine)
        near = mine.detach() @ everyone.detach().T
        own = torch.arange(len(mine), device=near.device)
        near[own, own + rank() * len(mine)] = -2
        distance = F.pairwise_distance(mine, everyone[near.argmax(1)], eps=1e-8)
        return -(distance + 1e-8).log().mean()
