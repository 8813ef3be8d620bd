"""A segmenter of a few weights in the place of the shipped one, which computes for a long time.

For tests that are about what goes on around a network. It has the shipped one's inputs and outputs:
its mask is where the picture is colourful, its embedding the colours of the picture's parts.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from models.serving import packs
from tests.trainer import VARIABLE

SIDE = 32  # px of its input
SHIPPED = packs.EMBEDDED


@pytest.fixture(scope="session")
def small_networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `models/embedded`, with another segmenter."""
    folder = tmp_path_factory.mktemp("embedded")
    entries = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))
    for name in set(entries) - {"segment"}:
        (folder / f"{name}.onnx").symlink_to(SHIPPED / f"{name}.onnx")
    path = folder / "segment.onnx"
    write(path)
    data = path.read_bytes()
    facts = {"side": SIDE, "dimensions": 48, "threshold": 0.5, "least_confidence": 0.5}
    entries["segment"] |= {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "facts": facts | {"least_area": 0.01},
    }
    (folder / "manifest.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder


@pytest.fixture
def small_segmenter(small_networks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Serves in this test; returns the folder of what is shipped."""
    monkeypatch.setattr(packs, "EMBEDDED", small_networks)
    monkeypatch.setenv(VARIABLE, str(small_networks))
    return small_networks


def write(path: Path) -> None:
    """probability = sigmoid(10 · (most - least of red, green, blue) - 2); embedding: the mean
    colours of 4 × 4 parts, of length 1."""
    onnx = pytest.importorskip("onnx", reason="a network for this test is made with it")
    node, value, tensor = (
        onnx.helper.make_node, onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT,
    )  # fmt: skip
    constants = {"ten": 10.0, "two": 2.0}
    graph = onnx.helper.make_graph(
        [
            node("ReduceMax", ["image"], ["most"], axes=[1], keepdims=1),
            node("ReduceMin", ["image"], ["least"], axes=[1], keepdims=1),
            node("Sub", ["most", "least"], ["colour"]),
            node("Mul", ["colour", "ten"], ["more"]),
            node("Sub", ["more", "two"], ["logit"]),
            node("Sigmoid", ["logit"], ["probability"]),
            node(
                "AveragePool", ["image"], ["parts"],
                kernel_shape=[SIDE // 4] * 2, strides=[SIDE // 4] * 2,
            ),
            node("Flatten", ["parts"], ["flat"]),
            node("LpNormalization", ["flat"], ["embedding"], axis=1, p=2),
        ],
        "small",
        [value("image", tensor, [1, 3, SIDE, SIDE])],
        [
            value("probability", tensor, [1, 1, SIDE, SIDE]),
            value("embedding", tensor, [1, 48]),
        ],
        [
            onnx.numpy_helper.from_array(np.array(number, np.float32), name)
            for name, number in constants.items()
        ],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
