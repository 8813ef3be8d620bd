"""The network that learns, student or teacher: a ViT with a head, and its weights from a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.dino.head import Head
from models.dino.recipe import DinoRecipe
from models.dino.vit import ViT
from models.training.loop import read_checkpoint


class Said(NamedTuple):
    """Of N crops, with M hidden patches in all."""

    classes: Tensor  # (N, outputs) logits
    features: Tensor  # (N, width) class tokens
    patches: Tensor | None  # (M, outputs) logits, where patches were asked for


class Model(nn.Module):
    def __init__(self, recipe: DinoRecipe) -> None:
        super().__init__()
        self.vit = ViT(recipe.shape)
        self.head = self._head(recipe)
        if recipe.ibot:
            self.blank = nn.Parameter(torch.zeros(recipe.width))  # seen where a patch is hidden
            if recipe.patch_head == "own":
                self.patch_head = self._head(recipe)

    @staticmethod
    def _head(recipe: DinoRecipe) -> Head:
        return Head(
            recipe.width, recipe.outputs, recipe.hidden, recipe.bottleneck, recipe.head_norm
        )

    def heads(self) -> list[Head]:
        return [module for module in self.children() if isinstance(module, Head)]

    def forward(self, *crops: Tensor, hidden: Tensor | None = None, hide: bool = False) -> Said:
        """Crops (N, 3, H, W) in [0, 1] of several sizes; the head sees them together, as one batch.

        `hidden` (N, patches) bool is about the crops of the first size: what is said of those
        patches is returned. With `hide`, the ViT does not see them.
        """
        blank = self.blank if hide else None
        tokens = [self.vit(crops[0], hidden if hide else None, blank)]
        tokens += [self.vit(crop) for crop in crops[1:] if len(crop)]
        features = torch.cat([x[:, 0] for x in tokens])
        patches = None
        if hidden is not None:
            head = self.heads()[-1]  # its own, or the only one
            patches = head(tokens[0][:, 1:][hidden])
        return Said(self.head(features), features, patches)


def parameter_groups(model: nn.Module) -> list[dict[str, object]]:
    """Weights decay; biases, norms and positions do not."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    plain = [p for n, p in named if p.ndim < 2 or "position" in n or "cls" in n]
    kept = {id(p) for p in plain}
    heavy = [p for _, p in named if id(p) not in kept]
    return [{"params": heavy, "decays": True}, {"params": plain, "weight_decay": 0.0}]


def load_teacher(checkpoint: Path) -> ViT:
    """The teacher's ViT of a DINO checkpoint, in the shape it was trained in.

    ValueError when the file is none.
    """
    stored = read_checkpoint(checkpoint)
    try:
        vit = ViT(DinoRecipe.read(stored["recipe"]).shape)
        state = stored["parts"]["teacher"]
        vit.load_state_dict({k[4:]: v for k, v in state.items() if k.startswith("vit.")})
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{checkpoint} is no checkpoint of DINO: {reason}") from error
    return vit
