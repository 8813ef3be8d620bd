"""From probabilities to per-image IoU, with the threshold that the selection photos prefer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.base import Mask
from models.metrics.labelled import Labelled
from models.metrics.masks import iou
from models.segment.evaluate import selection
from models.training.augment import to_batch
from research.proof.frozen import stretched

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
Predict = Callable[[Labelled], NDArray[np.float32]]  # probability at the size of the picture


class Scored(NamedTuple):
    ious: dict[str, float]
    threshold: float


def score(predict: Predict, items: Iterable[Labelled], threshold: float | None = None) -> Scored:
    """IoU of each picture at the threshold with the best mean on the selection ids.

    `threshold`: take this one instead. ValueError when it is to be chosen and no picture may
    choose.
    """
    tried = (threshold,) if threshold is not None else THRESHOLDS
    table: dict[str, list[float]] = {}
    for item in items:
        probability = predict(item)
        table[item.name] = [iou(probability > t, item.mask) for t in tried]
    best = 0 if threshold is not None else best_column(table)
    return Scored({name: row[best] for name, row in table.items()}, tried[best])


def best_column(table: Mapping[str, list[float]]) -> int:
    choosers = [row for name, row in table.items() if name in selection()]
    if not choosers:
        raise ValueError("none of the selection ids is among the pictures")
    return int(np.mean(choosers, axis=0).argmax())


def score_masks(find: Callable[[Labelled], Mask], items: Iterable[Labelled]) -> dict[str, float]:
    return {item.name: iou(find(item), item.mask) for item in items}


def predictor(network: nn.Module, side: int) -> Predict:
    """A segmentation network on the picture squeezed to `side` × `side`."""
    network = network.eval().to(memory_format=torch.channels_last)

    def predict(item: Labelled) -> NDArray[np.float32]:
        square = cv2.resize(item.image, (side, side), interpolation=cv2.INTER_AREA)
        with torch.no_grad():
            logits, _ = network(torch.from_numpy(to_batch([square])))
        return stretched(torch.sigmoid(logits)[0, 0].numpy(), item.mask.shape)

    return predict
