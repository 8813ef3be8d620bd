"""The student: which photos it learns from, what it is shown, how it is taught (needs torch)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("onnx", reason="needs the [learn] extra (onnx)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.dino.vit import Shape  # noqa: E402
from models.metrics.labelled import Labelled  # noqa: E402
from models.segment.export import export_network  # noqa: E402
from models.segment.network import SegmentNet, network_of  # noqa: E402
from models.segment.restore import disagreement, restore  # noqa: E402
from models.student import choose  # noqa: E402
from models.student import photos as photos_module  # noqa: E402
from models.student import train as teaching  # noqa: E402
from models.student.evaluate import EDITS, nearest_class, same_hashtag  # noqa: E402
from models.student.features import Basis, basis_of, turned  # noqa: E402
from models.student.photos import judges, judging_author, learning, sets, withheld  # noqa: E402
from models.student.samples import (  # noqa: E402
    NONE,
    Lesson,
    PhotoPool,
    background_strips,
    clear,
    draw,
    load_pool,
    pasted,
)
from models.student.targets import MASK_SIDE, squeezed, target_path  # noqa: E402

torch.set_num_threads(1)
pytestmark = pytest.mark.learn
TINY = Shape(width=64, depth=2, heads=1, patch=14, grid=4)


def picture(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on something dark, and where it is (0 or 255)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:96, :128]
    disc = (rows - 48) ** 2 + (columns - 64) ** 2 < 28**2
    image = np.where(disc[..., None], rng.integers(150, 255, 3), rng.integers(0, 100, 3))
    image = image + rng.normal(0, 6, image.shape)
    return image.clip(0, 255).astype(np.uint8), disc.astype(np.uint8) * 255


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six folders of general, six authors of hashtags, four street photos, all small."""
    root = tmp_path_factory.mktemp("photos")
    number = 0

    def put(path: Path) -> None:
        nonlocal number
        path.parent.mkdir(parents=True, exist_ok=True)
        Pil.fromarray(picture(number)[0]).save(path, quality=90)
        number += 1

    for folder in ("ant", "bee", "barrel", "cat", "dog", "eel"):
        for place in range(8):
            put(root / "general" / folder / f"{place}.jpg")
    posts = [
        {"id": f"{author}-{place}", "author": author, "hashtag": ("hat", "shirt")[place % 2]}
        for author in (f"user{n}" for n in range(12))
        for place in range(2)
    ]
    for post in posts:
        put(root / "hashtags" / "photos" / f"{post['id']}.jpg")
    lines = "".join(json.dumps(post) + "\n" for post in posts)
    (root / "hashtags" / "posts.jsonl").write_text(lines)
    for place in range(4):
        put(root / "tagged" / "photos" / f"{place}.jpg")
    return root


@pytest.fixture(scope="module")
def targets(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("targets")
    rng = np.random.default_rng(0)
    for photo in learning(root):
        path = target_path(out, photo)
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Pil.fromarray(picture(0)[1]).resize((MASK_SIDE, MASK_SIDE), Pil.Resampling.BOX)
        feature = rng.normal(0, 1, 48)
        feature = (feature / np.linalg.norm(feature)).astype(np.float16)
        np.savez_compressed(path, mask=np.asarray(small), feature=feature)
    return out


@pytest.fixture(scope="module")
def pool(root: Path, targets: Path) -> PhotoPool:
    return load_pool(learning(root), targets)


def test_what_judges_is_never_learned_from(root: Path) -> None:
    learned = {photo.path for photo in learning(root)}
    judged = [path for _, gallery, queries in judges(root) for path in gallery + queries]
    assert judged
    assert not learned & set(judged)
    assert not any(path.parent.name in withheld() for path in learned)
    assert "barrel" in withheld()
    posts = photos_module.hashtag_posts(root)
    held = {post["id"] for post in posts if judging_author(post["author"])}
    assert held
    assert len(held) < len(posts) / 2
    assert not held & {path.stem for path in learned}
    assert judges(root) == judges(root)


def test_whatever_part_comes_first_is_balanced(root: Path) -> None:
    found = learning(root)
    assert sorted(photo.name for photo in found) == sorted(
        photo.name for photos in sets(root).values() for photo in photos
    )
    first = [photo.name.partition("/")[0] for photo in found[:8]]
    assert first.count("general") == 4
    assert {"hashtags", "tagged"} <= set(first)


def test_a_teacher_in_doubt_teaches_no_mask() -> None:
    sure = np.zeros((160, 160), np.uint8)
    sure[40:120, 40:120] = 255
    assert clear(sure)
    assert not clear(np.zeros_like(sure))
    assert not clear(np.full_like(sure, 255))
    assert not clear(np.where(sure > 0, 140, 20).astype(np.uint8))


def test_pictures_for_the_teachers_are_normalised() -> None:
    x = squeezed(np.full((30, 50, 3), 255, np.uint8), 32, ((0.5, 0.4, 0.3), (0.5, 0.3, 0.7)))
    assert x.shape == (1, 3, 32, 32)
    assert x[0, :, 0, 0].tolist() == pytest.approx([1, 2, 1])


def test_samples_are_soft_masks_anywhere_and_some_show_nothing(pool: PhotoPool) -> None:
    rng = np.random.default_rng(0)
    centres, empty, known = [], 0, 0
    for _ in range(150):
        sample = draw(pool, rng, 64)
        assert sample.image.shape == (64, 64, 3)
        assert sample.image.dtype == np.uint8
        assert sample.mask.shape == (64, 64)
        assert 0 <= sample.mask.min() <= sample.mask.max() <= 1
        known += sample.feature != NONE
        if sample.mask.any():
            ys, xs = np.nonzero(sample.mask > 0.5)
            centres.append((xs.mean() / 64, ys.mean() / 64))
        else:
            empty += 1
            assert sample.feature == NONE
    assert 8 < empty < 40
    assert 40 < known < 130
    assert np.std(centres, axis=0).min() > 0.12


def test_what_lies_on_any_side_of_an_object_shows_none() -> None:
    image = np.zeros((240, 260, 3), np.uint8)
    mask = np.zeros((240, 260), np.uint8)
    mask[60:140, 100:200] = 255
    sizes = {strip.shape[:2] for strip in background_strips(Lesson(image, mask))}
    assert sizes == {(240, 95), (240, 55), (55, 260), (95, 260)}


def test_a_basis_is_turned_to_what_a_network_gives() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 8)).astype(np.float32)
    basis = Basis(features.mean(0), np.eye(8, 5, dtype=np.float32))
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0].astype(np.float32)
    given = basis.wanted(features) @ rotation
    assert not np.allclose(basis.wanted(features), given, atol=0.1)
    found = turned(basis, features[:40], given[:40])
    assert np.allclose(found.wanted(features[40:]), given[40:], atol=1e-4)


def test_all_that_is_pasted_is_wanted(pool: PhotoPool) -> None:
    rng = np.random.default_rng(2)
    one = np.mean([pasted(pool, rng, 64, 1).mask.mean() for _ in range(20)])
    three = [pasted(pool, rng, 64, 3) for _ in range(20)]
    assert one > 0
    assert all(sample.feature == NONE and sample.sure for sample in three)


def test_the_basis_is_found_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(0, 1, (80, 12)) + 5).astype(np.float32)
    first = basis_of(tmp_path / "basis.npz", features, 8)
    assert first.axes.shape == (12, 8)
    again = basis_of(tmp_path / "basis.npz", features[:3], 8)
    assert np.array_equal(first.axes, again.axes)
    wanted = first.wanted(features)
    np.testing.assert_allclose(np.linalg.norm(wanted, axis=1), 1, atol=1e-5)
    assert abs(wanted.mean()) < 0.1, "the cone's axis is taken away"


def test_the_losses_rank() -> None:
    wanted = torch.zeros(2, 1, 32, 32)
    wanted[0, :, 8:24, 8:24] = 1
    sure = torch.ones(2)
    good, bad = (wanted * 2 - 1) * 6, (1 - wanted * 2) * 6
    assert teaching.mask_loss(good, wanted, sure) < 0.1 < teaching.mask_loss(bad, wanted, sure)
    assert teaching.mask_loss(bad, wanted, torch.zeros(2)) == 0
    features = torch.nn.functional.normalize(torch.randn(6, 8), dim=-1)
    near, far = (teaching.likeness_loss(x, features) for x in (features * 3, -features))
    assert near < far
    assert teaching.likeness_loss(features[:1], features[:1]) == 0


def basis_for(pool: PhotoPool) -> Basis:
    return Basis(pool.features.mean(0), np.eye(48, 24, dtype=np.float32))


def small() -> SegmentNet:
    torch.manual_seed(0)
    return SegmentNet(TINY, 24, light=True)


def test_only_what_is_free_learns_and_a_training_resumes(pool: PhotoPool, tmp_path: Path) -> None:
    recipe = teaching.StudentRecipe(steps=4, batch=4, side=56, free=1, warmup=1)
    before = small()
    whole = teaching.train(pool, basis_for(pool), recipe, small(), tmp_path / "whole")
    ours, theirs = dict(whole.named_parameters()), dict(before.named_parameters())
    for name, value in ours.items():
        frozen = name.startswith(("vit.blocks.0", "vit.embed", "vit.cls", "vit.positions"))
        assert torch.equal(value, theirs[name]) == frozen, name
    half = teaching.StudentRecipe(steps=4, batch=4, side=56, free=1, warmup=1)
    batches = teaching.batches

    def killed(lessons: teaching.Lessons, first: int, workers: int) -> object:
        for step, batch in enumerate(batches(lessons, first, workers), start=first):
            if step == 3:
                raise KeyboardInterrupt
            yield batch

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(teaching, "batches", killed)
        teaching.train(pool, basis_for(pool), half, small(), tmp_path / "part", teaching.Host(2))
    resumed = teaching.train(pool, basis_for(pool), half, small(), tmp_path / "part")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_student_is_exported_and_comes_back(tmp_path: Path) -> None:
    network = small().eval()
    path = tmp_path / "segment.onnx"
    export_network(network, path, 56, 0.5)
    found = restore(path)
    assert disagreement(found, path, 56) <= 1e-4
    assert found.vit.shape == TINY
    assert found.dimensions == 24
    again = network_of(network.state_dict())
    assert torch.equal(again.project[2].weight, network.project[2].weight)
    with pytest.raises(ValueError, match="no weights"):
        network_of({"vit.embed.weight": torch.zeros(1)})


def test_a_training_goes_on_from_an_exported_network(pool: PhotoPool, tmp_path: Path) -> None:
    path = tmp_path / "segment.onnx"
    export_network(small().eval(), path, 56, 0.5)
    network = teaching.load_network(path)
    recipe = teaching.StudentRecipe(steps=1, batch=4, side=56, rate=0, vit_rate=0, warmup=0)
    lessons = teaching.Lessons(pool, basis_for(pool).wanted(pool.features), recipe)
    picture = lessons[0][0]
    with torch.no_grad():
        before = network.eval()(picture)[0]
        teaching.settled(network, lessons)
        assert torch.allclose(network(picture)[0], before, atol=1e-3)
        spread = network.train()(picture)[0] - before
    assert spread.abs().mean() < 0.5 * before.std() + 0.1  # of the batch's own statistics


class Limits:
    """A disc of .9 in .2, or all .2 where the picture is dark."""

    version = "limits"

    def __call__(self, image: np.ndarray) -> object:
        from models.base import Segmentation

        bright = image.max(2) > 140
        probability = np.where(bright, 0.9, 0.2).astype(np.float32)
        return Segmentation(probability, bright, 0.9, np.ones(1, np.float32))


def test_limits_are_tried_on_what_the_network_gave() -> None:
    image, mask = picture(0)
    large = [
        np.kron(part, np.ones((4, 4) + (1,) * (part.ndim - 2), np.uint8)) for part in (image, mask)
    ]
    items = [Labelled("disc", large[0], large[1] > 0)]
    seen = choose.given(Limits(), items)
    ious, edges, sure = choose.figures(seen[:1], 0.5)
    assert ious[0] > 0.9
    assert edges[0] > 0.9
    assert sure == pytest.approx([0.9])
    assert choose.figures(seen[:1], 0.1)[0][0] < 0.5
    beside = [one for one in seen if one.wanted is None]
    assert beside
    assert choose.confidence(beside[0].probability, 0.5) == 0
    rows = choose.table(seen).splitlines()
    assert len(rows) == 2 + len(choose.THRESHOLDS) * len(choose.CONFIDENCES)


class Mean:
    """Sees the mean colour."""

    version = "mean"

    def __call__(self, image: np.ndarray) -> object:
        from models.base import Segmentation

        colour = image.reshape(-1, 3).mean(0) - 110
        nothing = np.zeros(image.shape[:2], np.float32)
        unit = (colour / np.linalg.norm(colour)).astype(np.float32)
        return Segmentation(nothing, nothing > 0, 0.0, unit)


def test_figures_of_an_embedding(root: Path) -> None:
    found = nearest_class(Mean(), root)["1-NN"]
    assert len(found) == sum(len(queries) for _, _, queries in judges(root))
    assert set(found) <= {0.0, 1.0}
    shares = same_hashtag(Mean(), root)["P@5"]
    assert ((shares >= 0) & (shares <= 1)).all()
    image, _ = picture(0)
    shapes = {name: edit(image).shape for name, edit in EDITS.items()}
    assert shapes["mirror + half size"] == (48, 64, 3)
    assert shapes["frame + tint"][0] > 96
    assert shapes["crop 60 % + JPEG 30"][0] == round(96 * 0.6**0.5)
