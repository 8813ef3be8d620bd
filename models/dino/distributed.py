"""Several processes as one: what is summed over all of them. Started by torchrun.

torchrun --nproc-per-node 2 -m models.dino.train ...

Each process computes the loss of its share of a batch. The loss of the whole is the mean of the
shares, so the gradients of the whole are the mean of theirs: `average`. Whatever looks at more than
one photo (batch norm, the centre, Sinkhorn, KoLeo) goes through `all_sum` or `gather`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE = timedelta(hours=1)  # the others wait while the first one evaluates and writes


def processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if processes() > 1 else 0


@contextmanager
def joined(device: str) -> Iterator[torch.device]:
    """Join the other processes when torchrun started several; gives this one's device.

    `device`: cpu or cuda. ValueError when there is no such device here.
    """
    if device == "cuda":
        if not torch.cuda.is_available():
            raise ValueError("no CUDA device here; try --device cpu")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the same sums each time
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        here = torch.device("cuda", torch.cuda.current_device())
    else:
        here = torch.device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield here
        return
    _load_what_keeps_groups()
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield here
    finally:
        dist.destroy_process_group()


def _load_what_keeps_groups() -> None:
    """The functions of this module have the group that exists at its import as a default argument,
    and the first step of an optimiser imports it. The group would outlive its end, and its threads
    with it, which may abort the process when they come back to an interpreter that is gone."""
    importlib.import_module("torch.distributed.nn.functional")


class _AllSum(torch.autograd.Function):
    """Every process's result depends on every process's input; so do the gradients."""

    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def wide(x: Tensor) -> Tensor:
    """At least float32: sums over a batch want more than autocast gives."""
    return x.float() if x.dtype in {torch.bfloat16, torch.float16} else x


def all_sum(x: Tensor) -> Tensor:
    """The sum of all processes' x, with gradients."""
    if processes() == 1:
        return x
    total: Tensor = _AllSum.apply(x)
    return total


def mean(x: Tensor) -> Tensor:
    """The mean of all processes' x, with gradients."""
    return x if processes() == 1 else all_sum(x) / processes()


def largest(x: Tensor) -> Tensor:
    """The largest of all processes' x, element by element; no gradients."""
    top = x.detach().clone()
    if processes() > 1:
        dist.all_reduce(top, dist.ReduceOp.MAX)
    return top


def gather(x: Tensor) -> Tensor:
    """(n, d) of each process → (processes · n, d), in their order, with gradients."""
    count = processes()
    if count == 1:
        return x
    places = x.new_zeros(count, *x.shape)
    mine = torch.arange(count, device=x.device).view(-1, *[1] * x.ndim) == rank()
    return all_sum(torch.where(mine, x.unsqueeze(0), places)).flatten(0, 1)


@torch.no_grad()
def average(parameters: Iterable[nn.Parameter]) -> None:
    """Gradients become their means over the processes, in one message."""
    if processes() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= processes()
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def from_first(value: Any) -> Any:
    """What the first process holds, for all: no shared disk is needed to resume."""
    if processes() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


class BatchNorm(nn.BatchNorm1d):
    """nn.BatchNorm1d over the batch of all processes; on a CPU as well, unlike SyncBatchNorm.

    A process may bring no rows at all.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or processes() == 1:
            out: Tensor = super().forward(x)
            return out
        with torch.autocast(x.device.type, enabled=False):
            x = wide(x)
            sums = all_sum(torch.cat([x.sum(0), x.new_tensor([float(len(x))])]))
            count = sums[-1].detach()
            centre = sums[:-1] / count
            variance = all_sum((x - centre).square().sum(0)) / count
            self._remember(centre, variance * count / (count - 1))
            unit = (x - centre) * torch.rsqrt(variance + self.eps)
            return unit * self.weight + self.bias

    @torch.no_grad()
    def _remember(self, centre: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(centre, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
