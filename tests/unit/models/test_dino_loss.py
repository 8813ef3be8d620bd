"""Options of the loss: Sinkhorn, hidden patches, KoLeo; all against lightly where it is there."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.dino.crops import draw, hide_blocks  # noqa: E402
from models.dino.learner import Learner  # noqa: E402
from models.dino.loss import DinoLoss, PatchLoss, koleo, sinkhorn  # noqa: E402
from models.dino.vit import Shape, ViT  # noqa: E402
from tests.dino import TINY, photos  # noqa: E402

pytestmark = pytest.mark.learn
needs_lightly = pytest.mark.skipif(
    find_spec("lightly") is None or find_spec("torchvision") is None,
    reason="needs lightly and torchvision, the oracle of the losses",
)


def test_sinkhorn_uses_all_prototypes_and_each_row_is_a_distribution() -> None:
    torch.manual_seed(0)
    logits = torch.rand(64, 8) + torch.tensor([0.5] + 7 * [0.0])  # one is everybody's favourite
    rows = sinkhorn(logits, 0.1, rounds=30)
    assert torch.allclose(rows.sum(1), torch.ones(64), atol=1e-5)
    assert torch.allclose(rows.mean(0), torch.full((8,), 1 / 8), atol=1e-3)
    assert (logits / 0.1).softmax(1).mean(0)[0] > 0.4  # what it is there against


def test_sinkhorn_by_hand() -> None:
    logits = torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.5, 0.5]])
    weights = np.exp(logits.numpy() / 0.5)
    for _ in range(3):
        weights = weights / weights.sum(0, keepdims=True) / 2
        weights = weights / weights.sum(1, keepdims=True) / 3
    wanted = torch.from_numpy(weights * 3)
    assert torch.allclose(sinkhorn(logits, 0.5), wanted, atol=1e-6)
    assert torch.allclose(sinkhorn(logits + 500, 0.5), wanted, atol=1e-4)  # nothing overflows


def test_sinkhorn_is_an_option_of_the_loss() -> None:
    torch.manual_seed(0)
    student, teacher = torch.rand(3, 5, 4), torch.rand(2, 5, 4)
    loss = DinoLoss(4, centring="sinkhorn")
    rows = sinkhorn(teacher.flatten(0, 1), 0.04).view(2, 5, 4)
    assert torch.equal(loss.targets(teacher), rows)
    assert float(loss(student, teacher)) != pytest.approx(float(DinoLoss(4)(student, teacher)))


def test_patch_loss_by_hand() -> None:
    hidden = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    student, targets = torch.rand(3, 4), torch.rand(3, 4).softmax(-1)
    each = -(targets * (student / 0.1).log_softmax(-1)).sum(-1)
    wanted = ((each[0] + each[1]) / 2 + each[2] + 0) / 3
    assert torch.allclose(PatchLoss(4).compare(student, targets, hidden), wanted)


def test_koleo_pushes_the_nearest_apart() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]], requires_grad=True)
    loss = koleo(x)
    loss.backward()
    assert x.grad is not None
    moved = koleo((x - 0.01 * x.grad).detach())
    assert moved < loss.detach()
    assert x.grad[0, 1] > 0 > x.grad[1, 1]


def test_blocks_hide_a_share_of_the_patches() -> None:
    rng = np.random.default_rng(0)
    shares = [hide_blocks(rng, 14).mean() for _ in range(200)]
    assert 0.09 < min(shares) < 0.15
    assert 0.45 < max(shares) < 0.6
    assert hide_blocks(rng, 1).all()
    together = [hide_blocks(rng, 14) for _ in range(50)]
    beside = np.mean([(m[:, 1:] & m[:, :-1]).sum() / max(1, m[:, :-1].sum()) for m in together])
    assert beside > 0.6  # single patches at random would have 0.3


def test_of_each_photo_one_large_crop_has_hidden_patches() -> None:
    hidden = draw(photos(), replace(TINY, ibot=1.0), 0).hidden
    assert torch.equal(hidden.any(-1).sum(0), torch.ones(TINY.batch, dtype=torch.long))
    assert not draw(photos(), TINY, 0).hidden.any()


def test_a_vit_does_not_see_what_is_hidden() -> None:
    torch.manual_seed(0)
    vit = ViT(Shape(width=24, depth=1, heads=3, patch=8, grid=4))
    x = torch.rand(1, 3, 32, 32)
    changed = x.clone()
    changed[..., :8, :8] = 0
    hidden = torch.zeros(1, 16, dtype=torch.bool)
    hidden[0, 0] = True
    blank = torch.rand(24)
    with torch.no_grad():
        assert torch.equal(vit(x, hidden, blank), vit(changed, hidden, blank))
        assert not torch.equal(vit(x, hidden, blank), vit(x, hidden, -blank))
        assert not torch.equal(vit(x), vit(changed))
        assert torch.equal(vit(x, ~hidden & hidden, blank), vit(x))


@pytest.mark.parametrize("head", ["own", "shared"])
def test_the_patch_loss_teaches(head: str) -> None:
    recipe = replace(TINY, ibot=1.0, koleo=0.1, patch_head=head, centring="sinkhorn")
    learner = Learner(recipe)
    assert len(learner.student.heads()) == (2 if head == "own" else 1)
    figures, _ = learner.gradients(draw(photos(), recipe, 0))
    whole = figures["dino"] + figures["patch"] + 0.1 * figures["koleo"]
    assert figures["loss"] == pytest.approx(whole, abs=1e-5)
    gradient = learner.student.blank.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    before = learner.patch_loss.center.clone()
    learner.step(draw(photos(), recipe, 0), 0)
    assert not torch.equal(learner.patch_loss.center, before)


@needs_lightly
def test_loss_and_centre_equal_lightlys_over_steps() -> None:
    from lightly.loss import DINOLoss

    torch.manual_seed(0)
    ours, theirs = DinoLoss(32), DINOLoss(32, teacher_temp=0.04)
    for _ in range(4):
        student = torch.randn(5, 6, 32, requires_grad=True)
        same = student.detach().clone().requires_grad_()
        teacher = torch.randn(2, 6, 32)
        loss, wanted = ours(student, teacher), theirs(list(teacher), list(same))
        loss.backward()
        wanted.backward()
        assert torch.allclose(loss, wanted, rtol=1e-5)
        assert torch.allclose(student.grad, same.grad, atol=1e-6)
        assert torch.allclose(ours.center, theirs.center.view(1, -1), atol=1e-6)


@needs_lightly
def test_options_equal_lightlys() -> None:
    from lightly.loss import IBOTPatchLoss, KoLeoLoss

    torch.manual_seed(0)
    ours, theirs = PatchLoss(16), IBOTPatchLoss(16)
    for _ in range(3):
        hidden = torch.rand(4, 3, 3) < 0.4
        student, teacher = torch.randn(2, int(hidden.sum()), 16)
        wanted = theirs(teacher, student, hidden)
        loss = ours.compare(student, ours.targets(teacher), hidden.flatten(1))
        ours.follow(teacher)
        assert float(loss) == pytest.approx(float(wanted), rel=1e-5)
    x = torch.randn(12, 8)
    assert float(koleo(x)) == pytest.approx(float(KoLeoLoss()(x)), rel=1e-5)
