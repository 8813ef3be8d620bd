"""Self-distillation without labels: the head, the loss, and a watch for collapse."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Head(nn.Module):
    """(B, width) features → (B, outputs) logits: an MLP with batch norm, then unit prototypes.

    Batch norm is what kept small runs from drifting to uniform outputs.
    """

    def __init__(
        self, width: int, outputs: int = 1024, hidden: int = 512, bottleneck: int = 128
    ) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.GELU(),
            nn.Linear(hidden, hidden, bias=False), nn.BatchNorm1d(hidden), nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )  # fmt: skip
        self.prototypes = nn.Parameter(torch.randn(outputs, bottleneck))

    def forward(self, x: Tensor) -> Tensor:
        points = F.normalize(self.mlp(x), dim=-1)
        return points @ F.normalize(self.prototypes, dim=-1).T


class DinoLoss(nn.Module):
    """Cross-entropy between sharpened, centred teacher outputs and student outputs."""

    center: Tensor

    def __init__(
        self,
        outputs: int,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
    ) -> None:
        super().__init__()
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(1, outputs))

    def targets(self, teacher: Tensor) -> Tensor:
        return F.softmax((teacher - self.center) / self.teacher_temperature, dim=-1)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """student (V, B, K): all crops, the global ones first; teacher (G, B, K): global crops.

        The mean over all pairs of different crops; then the centre follows the teacher.
        """
        targets = self.targets(teacher).detach()
        logs = F.log_softmax(student / self.student_temperature, dim=-1)
        total, pairs = student.new_zeros(()), 0
        for view in range(teacher.shape[0]):
            for crop in range(student.shape[0]):
                if crop != view:
                    total = total - (targets[view] * logs[crop]).sum(-1).mean()
                    pairs += 1
        self.follow(teacher)
        return total / pairs

    @torch.no_grad()
    def follow(self, teacher: Tensor) -> None:
        mean = teacher.flatten(0, 1).mean(0, keepdim=True)
        self.center.lerp_(mean, 1 - self.center_momentum)


class Collapsed(RuntimeError):
    """The teacher says the same of every image, or nothing of any."""


@torch.no_grad()
def spread(targets: Tensor) -> tuple[float, float]:
    """For (N, K) probabilities: their mean entropy, and the entropy of their mean.

    Both lie in [0, log K]. Healthy: the first low, the second high. Equal: all images alike.
    """
    entropy = -(targets * targets.clamp_min(1e-9).log()).sum(-1).mean()
    mean = targets.mean(0)
    return float(entropy), float(-(mean * mean.clamp_min(1e-9).log()).sum())


class CollapseWatch:
    """Raises Collapsed when outputs stay uniform, or alike for all images, `patience` times."""

    def __init__(self, outputs: int, patience: int = 200) -> None:
        self.limit = math.log(outputs)
        self.patience = patience
        self.bad = 0

    def __call__(self, entropy: float, mean_entropy: float) -> None:
        uniform = entropy > 0.97 * self.limit
        alike = mean_entropy - entropy < 0.02 * self.limit
        self.bad = self.bad + 1 if uniform or alike else 0
        if self.bad >= self.patience:
            kind = "uniform" if uniform else "the same for every image"
            raise Collapsed(f"teacher outputs have been {kind} for {self.bad} steps")
