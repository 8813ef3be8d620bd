"""Training and export of the super-resolution networks (needs torch)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("onnx", reason="needs the [learn] extra (onnx)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.onnx.exporter import ExportError, export  # noqa: E402
from models.serving.packs import embedded_weights  # noqa: E402
from models.serving.runtime import Runtime  # noqa: E402
from models.superres.degrade import (  # noqa: E402
    HARSH,
    REAL_WORLD,
    USUAL,
    Range,
    degrade,
    degrade_for_benchmark,
    shrink,
)
from models.superres.export import export_network, load_network  # noqa: E402
from models.superres.network import Compact, CompactShape  # noqa: E402
from models.superres.start import started  # noqa: E402
from models.superres.train import SuperresRecipe, draw_batch, load_targets, train  # noqa: E402
from models.superres.upscaler import TiledUpscaler  # noqa: E402
from models.training.loop import photo_paths  # noqa: E402

pytestmark = pytest.mark.learn


def photos() -> list[np.ndarray]:
    y, x = np.mgrid[:96, :120]
    waves = [127 + 100 * np.sin(x / a + y / b) for a, b in ((3, 7), (9, 2), (5, 5))]
    return [np.stack([w, w * 0.7, 255 - w], -1).clip(0, 255).astype(np.uint8) for w in waves]


@pytest.mark.parametrize("scale", [2, 4])
def test_shape_and_start(scale: int) -> None:
    network = Compact(scale).eval()
    x = torch.full((2, 3, 24, 36), 0.25)
    with torch.no_grad():
        y = network(x)
    assert y.shape == (2, 3, 24 * scale, 36 * scale)
    assert torch.allclose(y, torch.full_like(y, 0.25), atol=1e-6)  # untrained: interpolation


@pytest.mark.parametrize("scale", [2, 4])
def test_reach_is_what_the_network_sees(scale: int) -> None:
    torch.manual_seed(1)
    network = Compact(scale, CompactShape(8, 2, 2 if scale == 2 else 1)).eval()
    torch.nn.init.normal_(network.body[-1].weight)
    x = torch.rand(1, 3, 64, 64)
    nudged = x.clone()
    nudged[..., 32] += 1.0
    with torch.no_grad():
        changed = (network(nudged) - network(x)).abs().amax((0, 1, 2)).nonzero().flatten()
    furthest = max(32 - int(changed.min()) // scale, int(changed.max()) // scale - 32)
    assert furthest <= network.reach
    assert furthest >= network.reach - network.shape.fold * 2


@pytest.mark.parametrize("scale", [2, 4])
def test_export_equals_torch_and_serves(tmp_path: Path, scale: int) -> None:
    network = Compact(scale, CompactShape(8, 2, 2 if scale == 2 else 1))
    torch.nn.init.normal_(network.body[-1].weight, std=0.05)
    path = tmp_path / f"superres-x{scale}.onnx"
    assert export_network(network, path) <= 1e-3
    upscaler = TiledUpscaler(embedded_weights(path.stem, tmp_path), Runtime(threads=1), 64)
    assert upscaler(photos()[0]).shape == (96 * scale, 120 * scale, 3)


def test_an_export_that_differs_leaves_no_file(tmp_path: Path) -> None:
    class Noisy(torch.nn.Module):
        calls = 0

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            Noisy.calls += 1
            return image + float(Noisy.calls)

    with pytest.raises(ExportError, match="differs"):
        export(Noisy(), [torch.zeros(1, 3, 4, 4)], tmp_path / "n.onnx", ["y"], {})
    assert list(tmp_path.iterdir()) == []


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    recipe = SuperresRecipe(scale=2, steps=6, batch=2, patch=16, warmup=2)
    whole = train(photos(), recipe, tmp_path / "whole")
    part = tmp_path / "part"
    stopper = Stop(3)
    with pytest.raises(KeyboardInterrupt):
        train(stopper.wrap(photos()), recipe, part, save_every=3)
    resumed = train(photos(), recipe, part)
    assert stopper.seen > 3
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    with pytest.raises(ValueError, match="another recipe"):
        train(photos(), replace(recipe, seed=1), part)
    assert load_network(part / "last.pt").scale == 2


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", None])
def test_a_foreign_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "last.pt"
    if content is None:
        torch.save([1, 2], path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"last\.pt"):
        train(photos(), SuperresRecipe(scale=2, steps=1, batch=1, patch=16), tmp_path)


def test_no_usable_photo_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no photos"):
        photo_paths([tmp_path])
    Pil.fromarray(photos()[0]).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match="short side"):
        load_targets(photo_paths([tmp_path]), 128)


class Stop:
    """Photos that end the run, as a kill would, in the batch after `steps` batches of two."""

    def __init__(self, steps: int) -> None:
        self.left, self.seen = steps * 2, 0

    def wrap(self, images: list[np.ndarray]) -> list[np.ndarray]:
        outer = self

        class Photos(list):  # type: ignore[type-arg]
            def __getitem__(self, index: object) -> object:
                outer.seen += 1
                if outer.seen > outer.left:
                    raise KeyboardInterrupt
                return super().__getitem__(index)  # type: ignore[index]

        return Photos(images)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    recipe = SuperresRecipe(scale=2, steps=250, batch=4, patch=16, warmup=5, rate=2e-3)
    inputs, targets = draw_batch(photos(), recipe, 10_000)
    network = train(photos(), recipe, tmp_path)
    with torch.no_grad():
        before = (Compact(2)(inputs) - targets).abs().mean()
        after = (network(inputs) - targets).abs().mean()
    assert after < 0.9 * before


def test_batches_depend_on_seed_and_step_only() -> None:
    recipe = SuperresRecipe(scale=4, batch=2, patch=16)
    first, again = draw_batch(photos(), recipe, 5), draw_batch(photos(), recipe, 5)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], draw_batch(photos(), recipe, 6)[0])
    assert first[0].shape == (2, 3, 16, 16)
    assert first[1].shape == (2, 3, 64, 64)


def test_degradations_keep_size_and_do_harm() -> None:
    image = photos()[0]
    for seed in range(20):
        assert degrade(image, 4, np.random.default_rng(seed)).shape == (24, 30, 3)
    clean, harmed = shrink(image, 4), degrade_for_benchmark(image, 4, 0)
    assert np.array_equal(harmed, degrade_for_benchmark(image, 4, 0))
    assert float(np.abs(clean.astype(int) - harmed).mean()) > 2


def test_the_real_world_harms_more_than_the_fixed_strengths() -> None:
    image = photos()[0]

    def harm(strength: str) -> float:
        clean = shrink(image, 4).astype(int)
        found = [degrade_for_benchmark(image, 4, seed, strength) for seed in range(20)]
        return float(np.mean([np.abs(clean - one).mean() for one in found]))

    assert harm("light") < harm("degraded") < harm("heavy") < harm(REAL_WORLD)
    once = degrade_for_benchmark(image, 4, 3, REAL_WORLD)
    assert np.array_equal(once, degrade_for_benchmark(image, 4, 3, REAL_WORLD))
    assert not np.array_equal(once, degrade_for_benchmark(image, 4, 4, REAL_WORLD))


def test_a_harsh_recipe_draws_worse_inputs() -> None:
    grey = np.full((96, 120, 3), 128, np.uint8)  # only noise and JPEG show

    def harm(worst: Range) -> float:
        small = [degrade(grey, 4, np.random.default_rng(seed), 0.0, worst) for seed in range(60)]
        return float(np.mean([np.abs(one.astype(int) - 128).mean() for one in small]))

    assert harm(HARSH) > 1.5 * harm(USUAL)
    recipe = SuperresRecipe(scale=4, batch=8, patch=16, clean=0.0)
    usual, _ = draw_batch(photos(), recipe, 0)
    harsh, _ = draw_batch(photos(), replace(recipe, harsh=True), 0)
    assert not torch.equal(usual, harsh)


def exported(folder: Path, shape: CompactShape | None = None) -> tuple[Compact, Path]:
    torch.manual_seed(2)
    network = Compact(4, shape)
    torch.nn.init.normal_(network.body[-1].weight, std=0.05)
    path = folder / "superres-x4.onnx"
    export_network(network, path)
    return network.eval(), path


@pytest.mark.parametrize("depth", [None, 8, 10])
def test_a_network_starts_as_an_exported_one_does(tmp_path: Path, depth: int | None) -> None:
    network, path = exported(tmp_path)
    later = started(path, 4, depth).eval()
    assert later.shape.depth == (depth or 8)
    x = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        assert torch.allclose(later(x), network(x), atol=1e-5)
    assert all(parameter.requires_grad for parameter in later.parameters())


def test_a_start_of_another_kind_is_refused(tmp_path: Path) -> None:
    _, deep = exported(tmp_path, CompactShape(48, 9, 1))
    with pytest.raises(ValueError, match="10 layers, more than 9"):
        started(deep, 4)
    _, narrow = exported(tmp_path, CompactShape(8, 2, 1))
    with pytest.raises(ValueError, match="another width or scale"):
        started(narrow, 4)


def test_training_goes_on_from_a_start(tmp_path: Path) -> None:
    _, path = exported(tmp_path)
    recipe = SuperresRecipe(scale=4, steps=1, batch=1, patch=16, rate=1e-9, start="its hash")
    trained = train(photos(), recipe, tmp_path / "run", start=started(path, 4))
    wanted = started(path, 4).state_dict()
    for name, value in trained.state_dict().items():
        assert torch.allclose(value, wanted[name], atol=1e-6), name
