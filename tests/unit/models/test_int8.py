"""Weights in eight bits: rounded, recognised, stored, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
onnx = pytest.importorskip("onnx", reason="needs the [learn] extra (onnx)")

from models.onnx.constants import Constants  # noqa: E402
from models.onnx.exporter import export  # noqa: E402
from models.onnx.int8 import on_a_grid, restored, round_to_int8, rounded  # noqa: E402
from models.serving.runtime import Runtime  # noqa: E402

pytestmark = pytest.mark.learn


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


@given(axis=st.sampled_from([0, 1]), seed=st.integers(0, 20))
def test_rounding_errs_by_half_a_step_and_is_recognised(axis: int, seed: int) -> None:
    before = weights(96, 64, seed=seed)
    found = rounded(before, axis)
    after = restored(found)
    steps = found.scales[:, None] if axis == 0 else found.scales[None]
    assert (np.abs(after - before) <= 0.5001 * steps).all()
    again = on_a_grid(after)
    assert again is not None
    assert np.array_equal(again.values, found.values) or again.axis != axis
    np.testing.assert_allclose(restored(again), after, atol=1e-6)


def test_other_weights_are_on_no_grid() -> None:
    assert on_a_grid(weights(96, 64)) is None
    assert on_a_grid(restored(rounded(weights(10, 10)))) is None  # too small to be worth it


def test_a_channel_of_zeros_stays_so() -> None:
    before = weights(96, 64)
    before[3] = 0
    assert (restored(rounded(before))[3] == 0).all()


def test_the_file_is_a_quarter_and_computes_what_torch_does(tmp_path: Path) -> None:
    """Linear layers of tokens and of vectors, and a convolution with its batch norm folded in."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 64, 8, stride=8, bias=False), torch.nn.BatchNorm2d(64),
        torch.nn.Flatten(2), torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.Flatten(1),
        torch.nn.Linear(64 * 128, 32),
    ).eval()  # fmt: skip
    network[1].weight.data.uniform_(0.5, 2)
    round_to_int8(network)
    path = tmp_path / "network.onnx"
    picture = torch.rand(1, 3, 64, 64)
    assert export(network, [picture], path, ["out"], {}) < 1e-4
    count = sum(parameter.numel() for parameter in network.parameters())
    assert path.stat().st_size < 1.2 * count + 8000
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert "DequantizeLinear" in kinds
    last = Constants(path).layers("Gemm")[-1]
    np.testing.assert_allclose(last.weight, network[-1].weight.detach().numpy(), atol=1e-6)
    near = Runtime(threads=1).run(path, {"image": picture.numpy()})[0]
    exact = Runtime(threads=1, exact=True).run(path, {"image": picture.numpy()})[0]
    np.testing.assert_allclose(near, exact, atol=0.05)
