"""Self-distillation on tiny data (needs torch)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.dino import crops  # noqa: E402
from models.dino import train as dino  # noqa: E402
from models.dino.collapse import Collapsed, CollapseWatch, spread  # noqa: E402
from models.dino.head import Head  # noqa: E402
from models.dino.loss import DinoLoss  # noqa: E402
from models.dino.model import load_teacher  # noqa: E402
from models.dino.recipe import SIZES, DinoRecipe  # noqa: E402
from models.dino.select import embed  # noqa: E402
from models.dino.vit import Shape, ViT, bicubic  # noqa: E402
from tests.dino import TINY, photos, plain_photos  # noqa: E402

pytestmark = pytest.mark.learn


def test_vit_shapes_and_positions() -> None:
    vit = ViT(Shape(width=24, depth=2, heads=3, patch=8, grid=4)).eval()
    assert vit(torch.rand(2, 3, 32, 32)).shape == (2, 17, 24)
    assert vit(torch.rand(1, 3, 48, 16)).shape == (1, 13, 24)
    assert torch.equal(vit.positions_for(4, 4), vit.positions)
    flat = torch.nn.init.constant_(vit.positions, 0.5)
    assert torch.allclose(vit.positions_for(7, 3), torch.full((1, 24, 7, 3), 0.5), atol=1e-5)
    assert flat is vit.positions


def test_attention_mixes_all_patches() -> None:
    torch.manual_seed(0)
    vit = ViT(Shape(width=24, depth=1, heads=3, patch=8, grid=4)).eval()
    x = torch.rand(1, 3, 32, 32)
    changed = x.clone()
    changed[..., :8, :8] = 0
    with torch.no_grad():
        difference = (vit(x) - vit(changed)).abs().amax(-1)[0]
    assert (difference > 0).all()


def test_loss_by_hand() -> None:
    loss = DinoLoss(3, student_temperature=1.0, teacher_temperature=1.0)
    student = torch.tensor([[[2.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 3.0]]])
    teacher = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 0.0, 2.0]]])
    pairs = [(0, 1), (0, 2), (1, 0), (1, 2)]
    wanted = -sum(
        float((teacher[t].softmax(-1) * student[s].log_softmax(-1)).sum()) for t, s in pairs
    ) / len(pairs)
    assert float(loss(student, teacher)) == pytest.approx(wanted, abs=1e-6)
    assert torch.allclose(loss.center, 0.1 * teacher.mean((0, 1)), atol=1e-7)


def test_the_teacher_gets_no_gradient() -> None:
    loss = DinoLoss(4)
    student = torch.rand(3, 2, 4, requires_grad=True)
    teacher = torch.rand(2, 2, 4, requires_grad=True)
    loss(student, teacher).backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_head_prototypes_have_no_length() -> None:
    torch.manual_seed(0)
    head = Head(8, outputs=5, hidden=16, bottleneck=4).eval()
    x = torch.rand(3, 8)
    before = head(x)
    with torch.no_grad():
        head.prototypes.mul_(7.0)
    assert torch.allclose(head(x), before, atol=1e-6)
    assert before.abs().max() <= 1 + 1e-6


def test_spread_tells_health_from_collapse() -> None:
    certain = torch.eye(4)
    assert spread(certain) == pytest.approx((0, math.log(4)), abs=1e-4)
    same = torch.eye(4)[:1].repeat(8, 1)
    assert spread(same) == pytest.approx((0, 0), abs=1e-4)
    uniform = torch.full((8, 4), 0.25)
    assert spread(uniform) == pytest.approx((math.log(4), math.log(4)), abs=1e-4)


@pytest.mark.parametrize(("entropy", "mean", "word"), [(6.9, 6.93, "uniform"), (0.1, 0.1, "same")])
def test_collapse_is_noticed_after_patience(entropy: float, mean: float, word: str) -> None:
    watch = CollapseWatch(1024, patience=3)
    watch(entropy, mean)
    watch(2.0, 6.0)  # a healthy step forgives
    watch(entropy, mean)
    watch(entropy, mean)
    with pytest.raises(Collapsed, match=word):
        watch(entropy, mean)


def test_photos_that_hardly_differ_collapse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dino, "CollapseWatch", lambda outputs: CollapseWatch(outputs, patience=3))
    monkeypatch.setattr(crops, "distort", lambda image, *_: image)
    grey = [np.full((48, 48 + i, 3), 128, np.uint8) for i in range(4)]
    with pytest.raises(Collapsed, match=r"every image|uniform"):
        dino.train(grey, TINY, tmp_path)


@pytest.mark.parametrize(("count", "word"), [(0, "not 0"), (1, "not 1"), (5, "all 5 are the same")])
def test_photos_without_variety_are_refused(count: int, word: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=word):
        dino.train(photos(1) * count, TINY, tmp_path)
    assert not list(tmp_path.iterdir())


def test_loss_goes_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "distort", lambda image, *_: image)
    recipe = replace(
        TINY, steps=60, batch=8, outputs=32, warmup=5, frozen_prototypes=5, rate=2e-3, momentum=0.9
    )
    dino.train(plain_photos(), recipe, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert lines[-1]["mean_entropy"] > lines[-1]["entropy"] + 0.5


def test_a_checkpoint_gives_the_teacher_back_in_its_shape(tmp_path: Path) -> None:
    recipe = replace(TINY, steps=1, batch=2, depth=2, width=16, heads=2, grid=3, eps=1e-5)
    teacher = dino.train(photos(2), recipe, tmp_path)
    loaded = load_teacher(tmp_path / "last.pt")
    assert loaded.shape == teacher.shape == Shape(16, 2, 2, 8, 3, 1e-5)
    assert all(torch.equal(x, teacher.state_dict()[n]) for n, x in loaded.state_dict().items())
    assert embed(loaded, photos(2), side=32).shape == (2, 16)


@pytest.mark.parametrize(("size", "millions"), [("light", 2.9), ("tiny", 5.5), ("small", 21.7)])
def test_sizes_by_their_weights(size: str, millions: float) -> None:
    """ViT-Ti/16 has 5.5 M weights without its classifier, ViT-S/16 has 21.7 M."""
    with torch.device("meta"):
        vit = ViT(Shape(*SIZES[size]))
    assert sum(p.numel() for p in vit.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


def test_a_checkpoint_of_the_first_version_is_read(tmp_path: Path) -> None:
    """It stored neither the width nor the patch: they were the same for all."""
    torch.manual_seed(0)
    vit = ViT(Shape(depth=2))
    state = {f"vit.{name}": value for name, value in vit.state_dict().items()}
    old = {
        "steps": 900, "batch": 48, "global_side": 96, "local_side": 48, "locals": 6,
        "outputs": 1024, "rate": 5e-4, "warmup": 80, "frozen_prototypes": 100, "momentum": 0.99,
        "decay": (0.04, 0.4), "seed": 0, "depth": 2,
    }  # fmt: skip
    torch.save({"step": 3, "recipe": old, "parts": {"teacher": state}}, tmp_path / "old.pt")
    loaded = load_teacher(tmp_path / "old.pt")
    assert loaded.shape == Shape(depth=2)
    assert torch.equal(loaded.positions, vit.positions)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no weights")
    torch.save({"step": 1, "recipe": {"side": 128}, "parts": {}}, tmp_path / "segment.pt")
    torch.save({"step": 1, "recipe": {"depth": 2}, "parts": {"teacher": {}}}, tmp_path / "empty.pt")
    for name, word in [("text.pt", "cannot be read"), ("segment.pt", "side"), ("empty.pt", "cls")]:
        with pytest.raises(ValueError, match=word) as caught:
            load_teacher(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_positions_as_a_matrix_equal_the_interpolation() -> None:
    vit = ViT(Shape(width=6, depth=1, heads=1, patch=8, grid=5))
    wanted = vit.positions_for(9, 3)
    assert torch.allclose(bicubic(5, 9) @ vit.positions @ bicubic(5, 3).T, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"local_side": 20}, "no multiple of the patch"),
        ({"width": 100}, "multiple of heads"),
        ({"batch": 6, "accumulate": 4}, "multiple of accumulate"),
        ({"batch": 2, "accumulate": 2}, "need 2 photos at once"),
        ({"teacher_temperature": 0.0}, "must be above 0"),
        ({"centring": "none"}, "no centring 'none'"),
        ({"koleo": -1.0}, "must not be negative"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(changes: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        replace(TINY, **changes)


def test_every_field_of_a_recipe_survives_its_checkpoint() -> None:
    recipe = DinoRecipe(width=24, heads=3, ibot=1.0, koleo=0.1, centring="sinkhorn", start="ab12")
    assert DinoRecipe.read(asdict(recipe)) == recipe
