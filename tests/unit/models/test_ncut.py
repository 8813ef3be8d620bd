"""Normalised cuts of tokens: which tokens are the object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.learn

from models.base import Mask  # noqa: E402
from models.dino.ncut import affinity, fiedler, last_keys, ncut_mask  # noqa: E402
from models.dino.vit import Shape, ViT  # noqa: E402

torch.set_num_threads(1)


def keys_of(mask: Mask, noise: float = 0.03, seed: int = 0) -> np.ndarray:
    """Two directions, one for the object and one for the rest, with noise."""
    rng = np.random.default_rng(seed)
    inner, outer = np.eye(16)[0], np.eye(16)[1]
    return np.where(mask.reshape(-1, 1), inner, outer) + rng.normal(0, noise, (mask.size, 16))


def square(rows: int, cols: int, top: int, left: int, side: int) -> Mask:
    mask = np.zeros((rows, cols), bool)
    mask[top : top + side, left : left + side] = True
    return mask


@settings(max_examples=25)
@given(top=st.integers(0, 7), left=st.integers(0, 5), side=st.integers(2, 5))
def test_finds_the_object_wherever_it_is(top: int, left: int, side: int) -> None:
    wanted = square(12, 10, top, left, side)
    assert np.array_equal(ncut_mask(keys_of(wanted), 12, 10), wanted)


def test_the_object_is_not_what_fills_the_corners() -> None:
    wanted = square(9, 9, 2, 2, 5)
    assert np.array_equal(ncut_mask(keys_of(wanted), 9, 9), wanted)
    assert np.array_equal(ncut_mask(keys_of(~wanted), 9, 9), wanted)


def test_only_the_part_with_the_strongest_token_is_kept() -> None:
    both = square(12, 12, 1, 1, 5) | square(12, 12, 8, 8, 3)
    found = ncut_mask(keys_of(both), 12, 12)
    assert found.any()
    assert not (found[1:6, 1:6].any() and found[8:11, 8:11].any())


def test_nothing_to_tell_apart_is_an_empty_mask() -> None:
    assert not ncut_mask(np.ones((20, 4)), 4, 5).any()
    assert not ncut_mask(np.ones((1, 4)), 1, 1).any()


def test_the_eigenvector_solves_its_equation() -> None:
    weights = affinity(np.random.default_rng(0).normal(size=(30, 5)))
    vector = fiedler(weights)
    assert vector is not None
    degrees = np.diag(weights.sum(1))
    laplacian = degrees - weights
    value = (vector @ laplacian @ vector) / (vector @ degrees @ vector)
    assert np.allclose(laplacian @ vector, value * degrees @ vector, atol=1e-8)
    values = np.linalg.eigvals(np.linalg.solve(degrees, laplacian)).real
    assert value == pytest.approx(np.sort(values)[1], abs=1e-8)


@pytest.mark.parametrize("keys", [np.ones((5, 3)), np.full((6, 3), np.nan)])
def test_bad_keys_are_refused(keys: np.ndarray) -> None:
    with pytest.raises(ValueError, match="keys"):
        ncut_mask(keys, 2, 3)


def test_keys_of_the_last_layer() -> None:
    vit = ViT(Shape(width=12, depth=2, heads=3, patch=8, grid=4)).eval()
    pictures = torch.rand(2, 3, 32, 24)
    keys = last_keys(vit, pictures)
    assert keys.shape == (2, 12, 12)
    kept: list[torch.Tensor] = []
    hook = vit.blocks[-1].norm1.register_forward_hook(lambda _m, _i, out: kept.append(out))
    with torch.no_grad():
        vit(pictures)
        hook.remove()
        weight, bias = vit.blocks[-1].attention.qkv.weight, vit.blocks[-1].attention.qkv.bias
        wanted = kept[0] @ weight[12:24].T + bias[12:24]
    assert torch.allclose(keys, wanted[:, 1:], atol=1e-5)
    vit(pictures)  # the hook is gone
    assert not vit.blocks[-1].attention.qkv._forward_hooks
