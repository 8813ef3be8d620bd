"""Weights that come as pickles, read without running anything that stands in them."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from models.base import WeightsError

# Where a network runs: what official packs need is hours on some CPUs and seconds on a GPU.
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read(path: Path) -> dict[str, Any]:
    """What a .pth holds: tensors, plain containers, nothing else.

    torch's own reader is told `weights_only`: a pickle that names any function or class beyond
    those is refused before anything of it is called. Raises WeightsError.
    """
    try:
        with warnings.catch_warnings():  # what torch finds odd in it, it refuses anyway
            warnings.simplefilter("ignore")
            state = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path} holds more than weights and is refused: {reason}") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds no named weights")
    return state
