"""Batch norms of a network whose own statistics are lost, as those of a restored one."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def settle(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give the batch norms the statistics of pictures (B, 3, H, W), changing nothing that the
    network computes in eval mode.

    A restored batch norm divides by one. In training it divides by the spread of the batch, which
    would be another network; with the spread it is used to in its scale, it stays about the same.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}

    def look(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].double()
        seen[norm].append((x.mean((0, 2, 3)), x.square().mean((0, 2, 3))))

    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    try:
        for batch in batches:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for norm in norms:
        means, squares = (torch.stack(each).mean(0) for each in zip(*seen[norm], strict=True))
        _scale(norm, means, (squares - means.square()).clamp_min(0))


def _scale(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Other statistics, the same function."""
    old_mean, old_variance = statistics(norm)
    slope = norm.weight / (old_variance + norm.eps).sqrt()
    offset = norm.bias - slope * old_mean
    old_mean.copy_(mean)
    old_variance.copy_(variance)
    norm.weight.copy_(slope * (old_variance + norm.eps).sqrt())
    norm.bias.copy_(offset + slope * old_mean)


def statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Its running mean and variance, (C,) each, to be read or written."""
    assert norm.running_mean is not None and norm.running_var is not None  # noqa: S101
    return norm.running_mean, norm.running_var
