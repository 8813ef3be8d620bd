"""From a torch network to an ONNX file in a folder of weights with a manifest."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from models.onnx.int8 import on_a_grid
from models.serving.runtime import Runtime

TOLERANCE = 1e-3  # the largest difference between torch and ONNX Runtime that is let through


class ExportError(RuntimeError):
    """The exported network does not compute what the torch network computes. No file is kept."""


def export(
    network: nn.Module,
    examples: list[Tensor],
    path: Path,
    outputs: list[str],
    dynamic: Mapping[int, str],
) -> float:
    """Write `path`, run it on every example, and return the largest difference to torch.

    `dynamic`: axes of the input "image" that may vary, with names. Raises ExportError.
    """
    network = network.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    axes = {"image": dict(dynamic)} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        torch.onnx.export(
            network, (examples[0],), partial, input_names=["image"], output_names=outputs,
            opset_version=18, dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
    pack(partial)
    runtime, worst = Runtime(threads=1, exact=True), 0.0
    for example in examples:
        got = runtime.run(partial, {"image": example.numpy()})
        with torch.no_grad():
            wanted = network(example)
        for ours, theirs in zip(got, _arrays(wanted), strict=True):
            worst = max(worst, float(np.abs(ours - theirs).max()))
    if not worst <= TOLERANCE:
        partial.unlink()
        raise ExportError(f"{path.name} differs from torch by {worst:.2g}")
    partial.replace(path)
    return worst


def round_to_half(network: nn.Module) -> None:
    """Round the weights of all linear layers to what half precision can hold."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight.copy_(module.weight.half().float())


def pack(path: Path) -> None:
    """Store as eight bits or half precision every weight that loses nothing by it.

    Nodes in front restore it. ONNX Runtime folds the casts when it loads the file; by the eight
    bits of linear layers it multiplies as they are, which saves time and memory as well.
    """
    model = onnx.load(path)
    nodes = []
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 1024:
            continue
        stored, made = _smaller(tensor.name, values)
        if stored:
            tensor.CopyFrom(stored[0])
            model.graph.initializer.extend(stored[1:])
            nodes += made
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)
    onnx.save(model, path)


def _smaller(
    name: str, values: NDArray[np.float32]
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """What is stored instead, and the nodes that make `values` of it under their old name."""
    whole = on_a_grid(values)
    if whole is not None:
        parts = [(f"{name}.int8", whole.values), (f"{name}.scales", whole.scales)]
        names = [part for part, _ in parts]
        node = helper.make_node("DequantizeLinear", names, [name], axis=whole.axis)
        return [numpy_helper.from_array(array, part) for part, array in parts], [node]
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.array_equal(half.astype(np.float32), values):
        return [], []
    cast = helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
    return [numpy_helper.from_array(half, f"{name}.half")], [cast]


def _arrays(outputs: Tensor | tuple[Tensor, ...]) -> list[NDArray[np.float32]]:
    tensors = outputs if isinstance(outputs, tuple) else (outputs,)
    return [tensor.numpy() for tensor in tensors]


def register(path: Path, licence: str, facts: Mapping[str, Any]) -> None:
    """Enter a network into the manifest beside it, with its hash and what serving must know."""
    manifest = path.parent / "manifest.json"
    entries = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    data = path.read_bytes()
    entries[path.stem] = {
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": licence,
        "card": f"{path.stem}.md",
        "facts": dict(facts),
    }
    partial = manifest.with_suffix(".part")
    partial.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n", encoding="utf-8")
    partial.replace(manifest)
