"""Read weights from pickles without running any of their code."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from models.base import WeightsError

# Where a network runs: official packs need hours on some CPUs and seconds on a GPU.
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read(path: Path) -> dict[str, Any]:
    """The content of a .pth file: tensors and plain containers, nothing else.

    torch reads it with `weights_only`: a pickle that names any other function or class is refused
    before any of it is called. Raises WeightsError.
    """
    try:
        with warnings.catch_warnings():  # torch warns about odd files, and refuses them anyway
            warnings.simplefilter("ignore")
            state = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path} contains more than weights and is refused: {reason}") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} contains no named weights")
    return state
