"""Who teaches `tagecho learn` its masks: networks that have learned, where they are sure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

from models.base import Image, Probability, Segmentation, Segmenter, WeightsError
from models.metrics.masks import iou
from models.segment import teacher as teaching
from models.segment.saliency import installed
from models.segment.teacher import make, opened, teacher
from models.serving.catalogue import CATALOGUE
from models.serving.packs import EMBEDDED
from models.serving.shelf import Record, Shelf

CORNER = (slice(70, 120), slice(0, 30))  # of 120 × 100: no rectangle in the middle meets it


class Network:
    """Says what `see` makes of a picture; finds nothing below its own limit."""

    version = "test"

    def __init__(self, see: Callable[[Image], Probability], least: float = 0.5) -> None:
        self._see, self._least = see, least

    def __call__(self, image: Image) -> Segmentation:
        said = self._see(image).astype(np.float32)
        inside = said > 0.5
        confidence = float(said[inside].mean()) if inside.any() else 0.0
        mask = inside & (confidence >= self._least)
        return Segmentation(said, mask, confidence, np.zeros(1, np.float32))


def red(image: Image, sure: float = 1.0) -> Probability:
    return np.where(image[..., 0] > 150, np.float32(sure), np.float32(0))


def at(*places: tuple[slice, slice]) -> Image:
    image = np.full((120, 100, 3), 60, np.uint8)
    for place in places:
        image[place] = (220, 60, 50)
    return image


def test_an_object_in_a_corner_teaches() -> None:
    image = at(CORNER)
    lesson = teacher([Network(red)])(image)
    assert lesson.doubt == ""
    assert np.array_equal(lesson.mask > 0.5, image[..., 0] > 150)


def test_what_a_network_says_of_the_left_whatever_is_there_is_halved_by_the_mirror() -> None:
    """It is believed where it says the same of the mirror image."""

    def left(image: Image) -> Probability:
        said = red(image)
        said[:, :20] = 1
        return said

    middle = at((slice(30, 90), slice(30, 80)))
    lesson = teacher([Network(left)])(middle)
    assert lesson.doubt == ""
    assert np.array_equal(lesson.mask == 1, middle[..., 0] > 150)
    assert np.unique(lesson.mask[:, :20]).tolist() == [0.5]
    assert np.unique(lesson.mask[:, -20:]).tolist() == [0.5]


def test_networks_that_see_different_things_teach_nothing() -> None:
    two = at((slice(0, 40), slice(0, 40)), (slice(80, 120), slice(60, 100)))

    def upper(image: Image) -> Probability:
        said = red(image)
        said[60:] = 0
        return said

    def lower(image: Image) -> Probability:
        return red(image) - upper(image)

    assert not teacher([Network(upper)])(two).doubt
    assert not teacher([Network(lower)])(two).doubt
    assert teacher([Network(upper), Network(lower)])(two).doubt == "no object that all agree about"


@pytest.mark.parametrize(
    ("network", "image", "doubt"),
    [
        (Network(red), at(), "no object that is sure"),
        (Network(lambda i: red(i, 0.75)), at(CORNER), "confidence 0.75"),
        (Network(lambda i: red(i, 0.95), least=0.97), at(CORNER), "no object that is sure"),
        (Network(red), at((slice(0, 120), slice(0, 98))), "area 0.98"),
    ],
)
def test_what_is_not_sure_teaches_nothing(network: Segmenter, image: Image, doubt: str) -> None:
    assert teacher([network])(image).doubt == doubt


def test_one_of_two_that_finds_nothing_is_enough_to_doubt() -> None:
    blind = Network(lambda image: red(image, 0.3))
    assert not teacher([Network(red)])(at(CORNER)).doubt
    assert teacher([Network(red), blind])(at(CORNER)).doubt == "no object that is sure"


def test_soft_masks_are_kept_of_what_is_sure(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "masks"
    (photos / "below").mkdir(parents=True)
    out.mkdir()
    Pil.fromarray(at(CORNER)).save(photos / "below" / "a.png")
    Pil.fromarray(at()).save(photos / "b.png")
    (out / "b.png").write_bytes(b"of a teacher that was broken off")
    counts = make(photos, out, teacher([Network(lambda image: red(image, 0.9))]))
    assert counts == {"photos": 2, "rejected": 1, "kept": 1}
    assert [path.relative_to(out) for path in out.rglob("*.png")] == [Path("below/a.png")]
    with Pil.open(out / "below" / "a.png") as mask:
        assert np.unique(np.asarray(mask)).tolist() == [0, 230]
    assert (out / "rejected.txt").read_text() == "b\tno object that is sure\n"


def pulled(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack whose network says how red a pixel is, in place of the real one."""
    onnx = pytest.importorskip("onnx", reason="the network of this test is made with it")
    helper, tensor, side = onnx.helper, onnx.TensorProto.FLOAT, 320
    kernel = np.array([0.35, 0, 0], np.float32).reshape(1, 3, 1, 1)  # ImageNet's red: -2.1 to 2.2
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "kernel", "bias"], ["said"])],
        "tiny",
        [helper.make_tensor_value_info("x", tensor, [1, 3, side, side])],
        [helper.make_tensor_value_info("said", tensor, [1, 1, side, side])],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(np.array([0.3], np.float32), "bias"),
        ],
    )
    data = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    sha256 = hashlib.sha256(data).hexdigest()
    pack = CATALOGUE[name]
    pack = replace(pack, files=(replace(pack.files[0], sha256=sha256),))
    monkeypatch.setitem(CATALOGUE, name, pack)
    shelf = Shelf(home, pack)
    shelf.folder.mkdir(parents=True)
    shelf.path(pack.files[0]).write_bytes(data)
    shelf.record(pack.files[0], Record(sha256, len(data), "catalogue"))


def drawing() -> tuple[Image, np.ndarray]:
    """A red ellipse at the lower left border, before a blue, noisy wall."""
    rows, columns = np.mgrid[:160, :200]
    mask = ((rows - 110) / 40) ** 2 + ((columns - 40) / 45) ** 2 < 1
    image = np.where(mask[..., None], (225, 60, 50), (40, 80, 150))
    image = image + np.random.default_rng(0).normal(0, 6, image.shape)
    return image.clip(0, 255).astype(np.uint8), mask


def test_the_network_we_ship_and_a_pack_teach_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, photos, out = tmp_path / "home", tmp_path / "photos", tmp_path / "out"
    assert installed(home) == []
    pulled(home, "u2net", monkeypatch)
    assert installed(home) == ["u2net"]
    pulled(home, "u2netp", monkeypatch)
    assert installed(home) == ["u2netp", "u2net"], "the quickest first"
    image, wanted = drawing()
    photos.mkdir()
    Pil.fromarray(image).save(photos / "a.png")
    monkeypatch.setattr(
        "sys.argv",
        ["teacher", "--photos", str(photos), "--out", str(out), "--network", str(EMBEDDED),
         "--pack", "u2netp", "--home", str(home)],
    )  # fmt: skip
    teaching.main()
    with Pil.open(out / "a.png") as mask:
        grey = np.asarray(mask)
    assert iou(grey > 127, wanted) > 0.9
    assert len(np.unique(grey)) > 50, "its edges are soft"
    ours, theirs = opened(EMBEDDED, "u2netp", home)
    assert ours.version.startswith("segment-")
    assert theirs.version.startswith("u2netp-")


def test_a_pack_that_cannot_teach(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="u2netp is not here: `tagecho models pull u2netp`"):
        opened(EMBEDDED, "u2netp", tmp_path)
    with pytest.raises(WeightsError, match="'sam' is no pack of salient objects: u2netp"):
        opened(EMBEDDED, "sam", tmp_path)
