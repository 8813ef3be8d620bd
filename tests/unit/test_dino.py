"""Self-distillation on tiny data (needs torch)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.dino import train as dino  # noqa: E402
from models.dino.evaluate import embed, held_out, knn_accuracy, load_teacher  # noqa: E402
from models.dino.loss import Collapsed, CollapseWatch, DinoLoss, Head, spread  # noqa: E402
from models.dino.vit import Shape, ViT  # noqa: E402

pytestmark = pytest.mark.learn

TINY = dino.Recipe(
    steps=8, batch=4, global_side=32, local_side=16, locals=2, outputs=16, warmup=2,
    frozen_prototypes=1, depth=1,
)  # fmt: skip


def photos(count: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return [block.repeat(8, 0).repeat(8, 1) for block in blocks]


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


def test_identical_photos_collapse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dino, "CollapseWatch", lambda outputs: CollapseWatch(outputs, patience=3))
    grey = [np.full((48, 48, 3), 128, np.uint8)] * 4
    monkeypatch.setattr(dino, "distort", lambda image, *_: image)
    with pytest.raises(Collapsed, match=r"every image|uniform"):
        dino.train(grey, TINY, tmp_path)


def test_one_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="several"):
        dino.train(photos(1), TINY, tmp_path)


def test_loss_goes_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dino, "distort", lambda image, *_: image)
    rng = np.random.default_rng(0)
    plain = [
        (colour + rng.normal(0, 9, (48, 48, 3))).clip(0, 255).astype(np.uint8)
        for colour in rng.uniform(0, 255, (8, 3))
    ]
    recipe = dino.Recipe(
        steps=100, batch=8, global_side=32, local_side=16, locals=2, outputs=32, warmup=5,
        frozen_prototypes=5, depth=1, rate=2e-3, momentum=0.9,
    )  # fmt: skip
    dino.train(plain, recipe, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert lines[-1]["mean_entropy"] > lines[-1]["entropy"] + 0.5


def test_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dino.train(photos(), TINY, tmp_path / "whole")
    draw = dino.draw_batch

    def killed(images: list[np.ndarray], recipe: dino.Recipe, step: int) -> object:
        if step == 5:
            raise KeyboardInterrupt
        return draw(images, recipe, step)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(dino, "draw_batch", killed)
        dino.train(photos(), TINY, tmp_path / "part", save_every=4)
    resumed = dino.train(photos(), TINY, tmp_path / "part")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_checkpoint_gives_the_teacher_back(tmp_path: Path) -> None:
    recipe = dino.Recipe(
        steps=1, batch=2, global_side=32, local_side=16, locals=1, outputs=8, warmup=1
    )
    teacher = dino.train(photos(2), recipe, tmp_path)
    loaded = load_teacher(tmp_path / "last.pt")
    assert torch.equal(loaded.positions, teacher.positions)
    assert embed(loaded, photos(2), side=32).shape == (2, 192)


def test_knn_by_hand() -> None:
    known = np.array([[1, 0], [0.9, 0.1], [0, 1]], np.float32)
    asked = np.array([[1, 0], [0, 1]], np.float32)
    assert knn_accuracy(known, ["a", "a", "b"], asked, ["a", "b"], k=1) == 1
    assert knn_accuracy(known, ["a", "a", "b"], asked, ["b", "a"], k=1) == 0
    authors = [f"author{i}" for i in range(500)]
    assert 0.12 < sum(map(held_out, authors)) / 500 < 0.3
