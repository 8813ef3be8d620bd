"""From an exported segmenter back to a network that can be trained further (needs torch)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("onnx", reason="needs the [learn] extra (onnx)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.dino.exported import Exported, load_exported  # noqa: E402
from models.dino.start import load_start  # noqa: E402
from models.dino.vit import Shape  # noqa: E402
from models.segment import restore as restoring  # noqa: E402
from models.segment import train as learning  # noqa: E402
from models.segment.export import export_network  # noqa: E402
from models.segment.network import SegmentNet  # noqa: E402
from models.segment.restore import disagreement, restore  # noqa: E402
from models.segment.settle import settle  # noqa: E402
from models.serving.packs import EMBEDDED  # noqa: E402

torch.set_num_threads(1)
pytestmark = pytest.mark.learn
SHIPPED = EMBEDDED / "segment.onnx"
TINY = Shape(width=24, depth=2, heads=3, grid=4)


def worn(shape: Shape, *, like_shipped: bool = False, seed: int = 0) -> SegmentNet:
    """A network whose weights, biases and batch norms all hold something, as after a training."""
    torch.manual_seed(seed)
    network = SegmentNet(shape, 32, light=True) if like_shipped else SegmentNet(shape)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(torch.randn_like(tensor) * 0.05)
        for name, tensor in network.named_buffers():
            if "running" in name:
                tensor.add_(torch.rand_like(tensor) * 0.2)
    return network.eval()


def pictures(count: int = 4, side: int = 64) -> torch.Tensor:
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[SegmentNet, Path]:
    """A network, and its file."""
    network, path = worn(TINY), tmp_path_factory.mktemp("export") / "segment.onnx"
    export_network(network, path, 64, 0.5)  # 4 × 4 patches: its positions are not interpolated
    return network, path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a network whose shape it tells, as that of the shipped one does."""
    path = tmp_path_factory.mktemp("whole") / "segment.onnx"
    network = worn(Shape(width=64, depth=2, heads=1, grid=4), like_shipped=True)
    export_network(network, path, 64, 0.5)
    return path


def test_the_shipped_network_comes_back() -> None:
    network = restore(SHIPPED)
    assert disagreement(network, SHIPPED, Exported(SHIPPED).side) <= 1e-4
    assert not network.training
    assert all(map(torch.equal, load_start(SHIPPED).parameters(), network.vit.parameters()))


def test_a_number_that_is_none_is_a_disagreement(tiny: tuple[SegmentNet, Path]) -> None:
    _, path = tiny
    network = restore(path, TINY)
    with torch.no_grad():
        for value in network.parameters():
            value.fill_(float("nan"))
    assert np.isnan(disagreement(network, path, 64))


def test_a_fresh_export_comes_back_layer_by_layer(tiny: tuple[SegmentNet, Path]) -> None:
    network, path = tiny
    found = restore(path, TINY)
    assert disagreement(found, path, 64) <= 1e-4
    ours, theirs = dict(found.named_parameters()), dict(network.named_parameters())
    assert ours.keys() == theirs.keys()
    for name in ("vit.blocks.1.attention.qkv.weight", "vit.embed.bias", "tokens.weight"):
        assert torch.equal(ours[name], theirs[name]), name
    for side in (32, 96):  # other sizes than that of the export
        x = pictures(2, side)
        for mine, wanted in zip(found(x), network(x), strict=True):
            torch.testing.assert_close(mine, wanted, atol=1e-4, rtol=1e-4)


def test_a_network_that_was_never_trained_comes_back(tmp_path: Path) -> None:
    """Its norms and biases are all the same, and the exporter stores what is equal once; its
    positions are interpolated."""
    torch.manual_seed(0)
    export_network(SegmentNet(TINY), tmp_path / "segment.onnx", 32, 0.5)
    assert (
        disagreement(restore(tmp_path / "segment.onnx", TINY), tmp_path / "segment.onnx", 32) < 1e-4
    )


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (Shape(), r"weights of \(24, 3, 16, 16\) stand where the network has \(192, 3, 16, 16\)"),
        (None, "its copy differs by"),  # unless it is told, a head is 64 wide
        (TINY._replace(depth=3), "it has 8 linear layers, not 12"),
        (TINY._replace(grid=5), r"weights of \(1, 24, 4, 4\)"),
        (TINY._replace(heads=2), "its copy differs by"),  # seen in no weight, but in what comes out
    ],
)
def test_another_architecture(
    tiny: tuple[SegmentNet, Path], shape: Shape | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=f"segment.onnx cannot be trained further: {reason}"):
        restore(tiny[1], shape)


def test_what_is_no_segmenter(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"superres-x2\.onnx cannot be trained"):
        restore(EMBEDDED / "superres-x2.onnx")
    path = tmp_path / "none.onnx"
    with pytest.raises(ValueError, match=r"cannot be read as ONNX: .*No such file"):
        restore(path)
    path.write_bytes(b"none")
    with pytest.raises(ValueError, match="cannot be read as ONNX"):
        restore(path)
    monkeypatch.setattr(sys, "argv", ["restore", "--network", str(path)])
    with pytest.raises(SystemExit, match=r"error: .*cannot be trained further"):
        restoring.main()
    monkeypatch.setattr(sys, "argv", ["restore", "--network", str(whole)])
    restoring.main()


def test_settled_it_computes_the_same_and_in_training_about_the_same(
    tiny: tuple[SegmentNet, Path],
) -> None:
    """Without, a batch norm divides by the spread of the batch, and other masks come out."""
    network, x = restore(tiny[1], TINY), pictures(8)
    before = network(x)[0].detach()
    raw = restore(tiny[1], TINY).train()
    far = (raw(x)[0] - before).abs().mean()
    settle(network, [x[:4], x[4:]])
    torch.testing.assert_close(network(x)[0], before, atol=1e-4, rtol=1e-4)
    near = (network.train()(x)[0] - before).abs().mean()
    assert near < 0.2 * far


def test_the_backbone_alone(tiny: tuple[SegmentNet, Path], whole: Path) -> None:
    """What DINO goes on from; on another grid as well."""
    wanted = restore(whole).vit
    found = load_start(whole)
    assert all(map(torch.equal, found.parameters(), wanted.parameters()))
    assert load_start(whole, 7).positions.shape[-2:] == (7, 7)
    with pytest.raises(ValueError, match="cannot be trained further"):
        load_start(tiny[1])  # its heads are not 64 wide
    ours, theirs = load_exported(tiny[1], TINY).state_dict(), tiny[0].vit.state_dict()
    other = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert other == {"cls", "cls_position"}, "whose sum alone is in the file"
    with pytest.raises(ValueError, match="its ViT differs by"):
        load_exported(tiny[1], TINY._replace(heads=2))


def test_a_training_goes_on_from_the_file_with_another_backbone(whole: Path) -> None:
    backbone = worn(restore(whole).vit.shape, seed=1).vit
    x = pictures(2, 112)
    network = learning.load_start(whole, backbone, [x])
    assert all(map(torch.equal, network.vit.parameters(), backbone.parameters()))
    assert torch.equal(network.mask.weight, restore(whole).mask.weight)
    first, norm = network.stem2[:2]
    assert norm.running_var.allclose(first(x).var((0, 2, 3), correction=0), rtol=1e-3)


def test_numbers_come_out(tiny: tuple[SegmentNet, Path]) -> None:
    """A dead channel has no spread to be divided by."""
    network = restore(tiny[1], TINY)
    with torch.no_grad():
        network.stem2[0][0].weight[0].zero_()
    settle(network, [pictures()])
    assert np.isfinite(network.train()(pictures())[0].detach().numpy()).all()
