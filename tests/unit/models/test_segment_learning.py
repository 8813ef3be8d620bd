"""Training samples, the network and its export (needs torch)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("onnx", reason="needs the [learn] extra (onnx)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")


from models.dino.vit import Shape  # noqa: E402
from models.segment import train as learning  # noqa: E402
from models.segment.export import export_network  # noqa: E402
from models.segment.export import main as export_main  # noqa: E402
from models.segment.network import SegmentNet  # noqa: E402
from models.segment.samples import (  # noqa: E402
    Pool,
    background_strips,
    build_pool,
    cut_off,
    draw,
    framed,
)
from models.segment.segmenter import OnnxSegmenter  # noqa: E402
from models.serving.packs import EMBEDDED, embedded_weights  # noqa: E402
from models.serving.runtime import Runtime  # noqa: E402
from tests.discs import disc, write  # noqa: E402

pytestmark = pytest.mark.learn


def pool(count: int = 4) -> Pool:
    samples = [disc(seed) for seed in range(count)]
    return Pool([samples], [1.0], [b for s in samples for b in background_strips(s)])


def test_soft_masks_stay_soft_and_hard_ones_hard(tmp_path: Path) -> None:
    sample = disc()
    for name, values in {"hard": (0, 255), "soft": (10, 200)}.items():
        photos, masks = tmp_path / name / "photos", tmp_path / name / "masks"
        write(photos, [sample])
        masks.mkdir()
        grey = np.where(sample.mask, values[1], values[0]).astype(np.uint8)
        Pil.fromarray(grey).save(masks / "00.png")
        loaded = build_pool([(photos, masks, 1.0)])
        read = loaded.sets[0][0]
        assert np.array_equal(read.mask, sample.mask), name
        assert read.target[60, 60] == pytest.approx(values[1] / 255), name
        rng = np.random.default_rng(0)
        drawn = np.concatenate([draw(loaded, rng, 48)[1].ravel() for _ in range(60)])
        assert (set(np.unique(drawn)) == {0.0, 1.0}) is (name == "hard")
        assert drawn.min() == 0.0, "what shows no object says so, whoever taught"
        assert drawn.max() == pytest.approx(1.0 if name == "hard" else 200 / 255)


def test_no_masks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no masks"):
        build_pool([(tmp_path, tmp_path, 1.0)])


def test_samples_move_the_object_about() -> None:
    things, rng = pool(), np.random.default_rng(0)
    centres, empty = [], 0
    for _ in range(200):
        image, mask = draw(things, rng, 64)
        assert image.shape == (64, 64, 3)
        assert image.dtype == np.uint8
        assert set(np.unique(mask)) <= {0.0, 1.0}
        if mask.any():
            ys, xs = np.nonzero(mask)
            centres.append((xs.mean() / 64, ys.mean() / 64))
        else:
            empty += 1
    assert np.std(centres, axis=0).min() > 0.12
    assert 10 < empty < 60


def test_cut_objects_touch_a_border() -> None:
    rng = np.random.default_rng(0)
    touching = 0
    for _ in range(40):
        image, mask = cut_off(disc(), rng, 48)
        assert image.shape == (48, 48, 3)
        assert mask.shape == (48, 48)
        assert 0.02 < mask.mean() < 0.95
        edges = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        touching += edges.any()
    assert touching >= 36  # a cut may leave so little that the whole object is shown instead


def test_framed_photos_lie_anywhere_on_a_larger_canvas() -> None:
    rng, everywhere = np.random.default_rng(0), np.zeros((48, 48))
    for _ in range(60):
        image, mask = framed(disc(), pool(), rng, 48)
        assert image.shape == (48, 48, 3)
        ys, xs = np.nonzero(mask)
        assert image[mask > 0].mean() > 110  # the bright disc went where its mask went
        everywhere[int(ys.mean()), int(xs.mean())] += 1
    rows, columns = np.nonzero(everywhere)
    assert rows.min() < 16
    assert rows.max() > 32
    assert columns.min() < 16
    assert columns.max() > 32


def test_shapes_of_the_network() -> None:
    network = SegmentNet(Shape(width=24, depth=1, heads=3)).eval()
    for height, width in ((64, 64), (96, 160)):
        logits, embedding = network(torch.rand(2, 3, height, width))
        assert logits.shape == (2, 1, height, width)
        assert embedding.shape == (2, 48)


def test_the_loss_ranks_masks() -> None:
    wanted = torch.zeros(2, 1, 8, 8)
    wanted[0, :, 2:6, 2:6] = 1
    good, bad = (wanted * 2 - 1) * 5, (1 - wanted * 2) * 5
    assert learning.mask_loss(good, wanted) < 0.05 < learning.mask_loss(bad, wanted)
    empty = torch.zeros(1, 1, 8, 8)
    assert torch.isfinite(learning.mask_loss(empty - 5, empty))


def test_export_equals_torch_and_serves(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SegmentNet(Shape(width=48, depth=2, heads=3)).eval()
    assert export_network(network, tmp_path / "segment.onnx", 64, 0.5) <= 1e-3
    segmenter = OnnxSegmenter(embedded_weights("segment", tmp_path), Runtime(threads=1))
    found = segmenter(disc().image)
    assert found.mask.shape == (120, 120)
    assert found.embedding.shape == (96,)
    assert float(np.linalg.norm(found.embedding)) == pytest.approx(1, abs=1e-4)


def test_the_command_exports_at_the_side_it_was_trained_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = learning.SegmentRecipe(steps=1, batch=2, side=48)
    learning.train(pool(), recipe, tmp_path / "run")
    arguments = ["export", "--checkpoint", str(tmp_path / "run/last.pt"), "--to", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    export_main()
    assert embedded_weights("segment", tmp_path).facts["side"] == 48


def test_a_new_network_has_the_limits_of_the_one_that_taught_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning.train(pool(), learning.SegmentRecipe(steps=1, batch=2, side=48), tmp_path / "run")
    arguments = ["export", "--checkpoint", str(tmp_path / "run/last.pt"), "--to", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*arguments, "--limits-of", str(EMBEDDED)])
    export_main()
    new, old = embedded_weights("segment", tmp_path), embedded_weights("segment")
    for name in ("threshold", "least_confidence"):
        assert new.facts[name] == old.facts[name], name


def test_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = learning.SegmentRecipe(steps=4, batch=2, side=32, warmup=1)
    whole = learning.train(pool(), recipe, tmp_path / "whole")
    draw_batch = learning.draw_batch

    def killed(*arguments: object) -> object:
        if arguments[-1] == 3:
            raise KeyboardInterrupt
        return draw_batch(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(learning, "draw_batch", killed)
        learning.train(pool(), recipe, tmp_path / "part", save_every=2)
    resumed = learning.train(pool(), recipe, tmp_path / "part")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_training_finds_discs(tmp_path: Path) -> None:
    recipe = learning.SegmentRecipe(steps=40, batch=8, side=32, warmup=3, momentum=0.9, rate=3e-3)
    start = SegmentNet(Shape(width=24, depth=1, heads=3))
    network = learning.train(pool(), recipe, tmp_path, start=start)
    images, wanted = learning.draw_batch(pool(), recipe, 10_000)
    with torch.no_grad():
        logits, _ = network(images)
    assert learning.batch_iou(logits > 0, wanted > 0) > 0.5


def test_a_backbone_is_taken_over(tmp_path: Path) -> None:
    torch.manual_seed(5)
    backbone = SegmentNet().vit
    recipe = learning.SegmentRecipe(steps=1, batch=2, side=32, rate=0.0, vit_rate=0.0)
    network = learning.train(pool(), recipe, tmp_path, backbone=backbone)
    assert torch.equal(network.vit.positions, backbone.positions)
