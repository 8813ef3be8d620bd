"""The proof: its bookkeeping, its controls, and the whole of it on small drawings (needs torch)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.base import Segmentation  # noqa: E402
from models.dino.recipe import DinoRecipe  # noqa: E402
from models.dino.vit import Shape, ViT  # noqa: E402
from models.metrics.labelled import Labelled  # noqa: E402
from models.metrics.masks import iou  # noqa: E402
from models.segment.evaluate import selection, split_names  # noqa: E402
from models.segment.samples import Pool, Sample, background_strips  # noqa: E402
from models.segment.train import SegmentRecipe, train  # noqa: E402
from models.serving.packs import EMBEDDED  # noqa: E402
from research.proof import masks as proof_masks  # noqa: E402
from research.proof import pretrain as pretraining  # noqa: E402
from research.proof import superres  # noqa: E402
from research.proof import teacher as proof_teacher  # noqa: E402
from research.proof.arms import TRAINED, Job, Proof  # noqa: E402
from research.proof.book import Book, Key  # noqa: E402
from research.proof.budget import Budget  # noqa: E402
from research.proof.data import Folders, arm_photos, known_shots  # noqa: E402
from research.proof.frozen import Tokens, fit_head, head_probability, on_grid, tokens  # noqa: E402
from research.proof.pretrain import distilled, supervised, untrained  # noqa: E402
from research.proof.report import report  # noqa: E402
from research.proof.score import predictor, score  # noqa: E402
from research.proof.unet import UNet  # noqa: E402

pytestmark = pytest.mark.learn
torch.set_num_threads(1)


def drawing(seed: int, height: int = 96, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A bright ellipse before a coarse texture of its own, and its mask."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    tall, wide = rng.uniform(0.25, 0.4) * height, rng.uniform(0.2, 0.3) * width
    mask = ((rows - height / 2) / tall) ** 2 + ((columns - width / 2) / wide) ** 2 < 1
    grain = rng.integers(0, 90, (height // 8 + 1, width // 8 + 1, 3))
    coarse = grain.repeat(8, 0).repeat(8, 1)[:height, :width]
    image = np.where(mask[..., None], rng.integers(150, 255, 3), coarse)
    return (image + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8), mask


def folders(root: Path, count: int = 14) -> list[str]:
    """Arguments of the command line for folders as it wants them, with drawings in them."""
    ids = [*sorted(selection())[:4], *(f"x{number}" for number in range(6))]
    for part in ("photos", "labels"):
        (root / "masks" / part).mkdir(parents=True)
    for number, name in enumerate(ids):
        image, mask = drawing(number)
        Pil.fromarray(image).save(root / "masks" / "photos" / f"{name}.jpg", quality=95)
        Pil.fromarray(mask.astype(np.uint8)).save(root / "masks" / "labels" / f"{name}.png")
    for part, field in (("hashtags", "hashtag"), ("tagged", "hashtags")):
        (root / part / "photos").mkdir(parents=True)
        lines = []
        for number in range(count):
            image, _ = drawing(100 + number if part == "tagged" else 200 + number)
            if part == "tagged" and number == 0:
                image, _ = drawing(5)  # a shot of the masks
            Pil.fromarray(image).save(root / part / "photos" / f"{part}{number}.jpg", quality=95)
            tag = ("hat", "shoe", "skip")[number % 3]
            lines.append({"id": f"{part}{number}", field: tag if field == "hashtag" else [tag]})
        text = "\n".join(map(json.dumps, lines))
        (root / part / "posts.jsonl").write_text(text)
    (root / "general" / "things").mkdir(parents=True)
    for number in range(count):
        Pil.fromarray(drawing(300 + number)[0]).save(root / "general" / "things" / f"{number}.jpg")
    return arguments(root)


SMALL = [
    "--steps", "2", "--tune-steps", "2", "--head-steps", "2", "--batch", "4", "--tune-batch", "2",
    "--width", "16", "--depth", "1", "--locals", "1", "--side", "32", "--seeds", "0",
    "--sizes", "8", "0",
]  # fmt: skip


@pytest.mark.slow
def test_the_whole_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    proof_masks.main([*folders(tmp_path), "--out", str(out), *SMALL])
    table = capsys.readouterr().out
    for arm in ("(a)", "(b)", "(d)", "(d2)", "(e)", "centre box", "GrabCut", "U-Net"):
        assert f"| {arm}" in table or f"control: {arm}" in table
    assert "8 images" in table
    assert "pushed to a border" in table
    assert "A second round minus" in table
    assert table.startswith("ViT 16x1, patch 8, 32 px; pre-training 2 steps of 4 photos")
    assert json.loads((out / "repeats.json").read_text()) == ["tagged0"]
    before = {path: path.stat().st_mtime_ns for path in (out / "results").rglob("*.json")}
    proof_masks.main([*arguments(tmp_path), "--out", str(out), *SMALL])
    assert capsys.readouterr().out == table
    assert before == {p: p.stat().st_mtime_ns for p in (out / "results").rglob("*.json")}


def arguments(root: Path) -> list[str]:
    names = ("masks", "hashtags", "tagged", "general")
    return [part for name in names for part in (f"--{name}", str(root / name))]


def book(tmp_path: Path) -> Book:
    made = Book(tmp_path)
    rng = np.random.default_rng(0)
    base = dict(zip(map(str, range(60)), rng.uniform(0.4, 0.9, 60), strict=True))
    for arm, lift in (("dino", 0.05), ("random", 0.0), ("tags", 0.051), ("unet", 0.1)):
        for seed in (0, 1):
            noise = rng.normal(0, 0.01, 60)
            ious = {n: v + lift + e for (n, v), e in zip(base.items(), noise, strict=True)}
            made.write(Key("tuned", arm, 0, seed), ious, {"threshold": 0.5})
    return made


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made, key = Book(tmp_path), Key("ncut", "dino", 500, 1)
    assert not made.has(key)
    made.write(key, {"b": 0.25, "a": 1.0}, {"grid": 8})
    assert made.has(key)
    assert made.read(key) == {"a": 1.0, "b": 0.25}
    assert made.facts(key) == {"grid": 8}
    assert list(Book(tmp_path).measured()) == [key]
    with pytest.raises(ValueError, match="no images"):
        made.write(Key("ncut", "dino"), {}, {})
    assert not list(tmp_path.rglob("*.part"))


def test_figures_are_means_over_images_and_seeds(tmp_path: Path) -> None:
    made = Book(tmp_path)
    made.write(Key("tuned", "dino", 0, 0), {"a": 0.2, "b": 0.6, "c": 1.0}, {})
    made.write(Key("tuned", "dino", 0, 1), {"a": 0.4, "b": 0.8, "c": 0.0}, {})
    figure = made.mean("tuned", "dino", 0, without={"c"})
    assert figure is not None
    assert figure.value == pytest.approx(0.5)
    assert (figure.images, figure.seeds) == (2, 2)
    assert made.mean("tuned", "random", 0, without=()) is None


def test_differences_are_paired(tmp_path: Path) -> None:
    made = book(tmp_path)
    gain = made.difference("tuned", ("dino", 0), ("random", 0), without=())
    assert gain is not None
    assert gain.value == pytest.approx(0.05, abs=0.005)
    assert gain.proven  # though the images differ by far more than that
    assert gain.high - gain.low < 0.01
    level = made.difference("tuned", ("dino", 0), ("tags", 0), without=())
    assert level is not None
    assert not level.proven
    made.write(Key("tuned", "grabcut", 0, 7), {"0": 0.5}, {})
    assert made.difference("tuned", ("dino", 0), ("grabcut", 0), without=()) is None


def test_the_report_says_first_what_counts(tmp_path: Path) -> None:
    made = book(tmp_path)
    assert "nothing is decided" in report(made, ())
    ious = made.read(Key("tuned", "random", 0, 0))
    made.write(Key("tuned", "dino-general", 0, 0), ious, {})
    text = report(made, ())
    assert text.startswith("**The U-Net beats the ViT**")
    assert "**Null result**" in text  # d − b is not above 0
    better = {name: value - 0.2 for name, value in ious.items()}
    for arm in ("tags", "unet"):
        for seed in (0, 1):
            made.write(Key("tuned", arm, 0, seed), better, {})
    text = report(made, ())
    assert "**helps**" in text
    assert "U-Net beats" not in text


def test_no_id_that_chose_is_reported(tmp_path: Path) -> None:
    made = Book(tmp_path)
    chosen = sorted(selection())[0]
    made.write(Key("tuned", "dino", 0, 0), {chosen: 1.0, "other": 0.5}, {})
    for measure, name in (("border", f"{chosen}-left"), ("canvas", f"{chosen}-canvas")):
        made.write(Key(measure, "dino", 0, 0), {name: 1.0, "other-left": 0.25}, {})
    text = report(made, selection())
    assert "0.500 [0.500–0.500]" in text
    assert text.count("0.250 [0.250–0.250]") == 2
    assert "1.000" not in text


def test_selection_and_report_share_nothing(tmp_path: Path) -> None:
    names = [*sorted(selection())[:3], "x1", "x2"]
    (tmp_path / "labels").mkdir()
    for name in names:
        (tmp_path / "labels" / f"{name}.png").touch()
    parts = split_names(tmp_path, "selection"), split_names(tmp_path, "report")
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == set(names)
    assert len(selection()) == 100


def test_only_selection_ids_choose_the_threshold() -> None:
    chooser = sorted(selection())[0]
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    soft = np.where(mask, np.float32(0.45), np.float32(0.0))  # right below 0.45
    hard = np.where(mask, np.float32(0.9), np.float32(0.55))  # right above 0.55
    image = np.zeros((4, 4, 3), np.uint8)
    items = [Labelled(chooser, image, mask), *(Labelled(f"x{i}", image, mask) for i in range(9))]

    def predict(item: Labelled) -> np.ndarray:
        return soft if item.name == chooser else hard

    found = score(predict, items)
    assert found.threshold < 0.45
    assert found.ious[chooser] == 1
    assert found.ious["x0"] == 0.5
    assert score(predict, items, 0.6).ious["x0"] == 1
    with pytest.raises(ValueError, match="selection"):
        score(predict, items[1:])


def test_which_photos_an_arm_sees(tmp_path: Path) -> None:
    folders(tmp_path)
    where = Folders(*(tmp_path / part for part in ("masks", "hashtags", "tagged", "general")))
    known = known_shots(where)
    assert known == {"tagged0"}
    seen = {arm: arm_photos(arm, where, known, 0) for arm in TRAINED}
    assert len(seen["dino"]) == 13 + 14
    assert len(seen["dino-tagged"]) == 13
    assert len(seen["dino-general"]) == 14  # all there are, and never more than (d) has
    assert all(photo.tags for photo in seen["tags"])
    assert len(seen["tags"]) < len(seen["dino"])
    for photos in seen.values():
        assert "tagged0" not in {photo.path.stem for photo in photos}
        assert not any(photo.path.is_relative_to(where.masks) for photo in photos)
    few = arm_photos("dino", where, known, 5)
    assert len(few) == 5
    assert few == arm_photos("dino", where, known, 5)
    assert len(arm_photos("dino-general", where, known, 5)) == 5
    with pytest.raises(ValueError, match="no photos"):
        arm_photos("random", where, known, 0)


def test_masks_of_known_shots_stop_the_proof(tmp_path: Path) -> None:
    folders(tmp_path)
    where = Folders(*(tmp_path / part for part in ("masks", "hashtags", "tagged", "general")))
    out = tmp_path / "out"
    (out / "masks").mkdir(parents=True)
    (out / "masks" / "rejected.txt").touch()
    Pil.fromarray(drawing(5)[1].astype(np.uint8) * 255).save(out / "masks" / "tagged0.png")
    with pytest.raises(ValueError, match="evaluated on"):
        _ = Proof(where, out, Budget()).pool


def test_figures_of_two_budgets_are_not_mixed(tmp_path: Path) -> None:
    proof_masks.same_budget(tmp_path, Budget(steps=5))
    proof_masks.same_budget(tmp_path, Budget(steps=5))
    with pytest.raises(ValueError, match="another budget"):
        proof_masks.same_budget(tmp_path, Budget(steps=6))


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    done: list[str] = []

    class Three:
        book = Book(tmp_path)

        def jobs(self, seeds: list[int], sizes: list[int]) -> list[Job]:
            return [self.job(name, seeds[0]) for name in ("one", "two", "three")]

        def job(self, name: str, seed: int) -> Job:
            key = Key("tuned", name, 0, seed)

            def run() -> None:
                done.append(name)
                if done.count("two") == 1 and name == "two":
                    raise KeyboardInterrupt
                self.book.write(key, {"a": 0.5}, {})

            return Job((key,), run)

    with pytest.raises(KeyboardInterrupt):
        proof_masks.run(Three(), [0], [0], 60)
    assert not proof_masks.run(Three(), [0], [0], -1)  # no time: nothing is begun
    assert proof_masks.run(Three(), [0], [0], 60)
    assert done == ["one", "two", "two", "three"]


RECIPE = DinoRecipe(
    steps=24, batch=8, global_side=16, local_side=8, locals=1, width=16, depth=1, heads=2, patch=8,
    grid=2, warmup=1, frozen_prototypes=0, outputs=16, hidden=16, bottleneck=8, rate=5e-3,
)  # fmt: skip


def colours(count: int = 12) -> tuple[list[np.ndarray], list[tuple[str, ...]]]:
    """Red and blue pictures, and the tag that says which."""
    plain = [np.full((20, 20, 3), rgb, np.uint8) for rgb in ((220, 40, 20), (20, 40, 220))]
    return [plain[i % 2] for i in range(count)], [(("red", "blue")[i % 2],) for i in range(count)]


def test_the_supervised_arm_learns_its_tags_and_goes_on(tmp_path: Path) -> None:
    images, tags = colours()
    whole = supervised(images, tags, RECIPE, tmp_path / "whole")
    figures = json.loads((tmp_path / "whole" / "log.jsonl").read_text())
    assert figures["loss"] < 0.5  # mean of all steps; not knowing costs log 2 = 0.69
    part = tmp_path / "part"
    draw = pretraining.draw
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def killed(images: list[np.ndarray], recipe: DinoRecipe, step: int) -> object:
            if step == 7:
                raise KeyboardInterrupt
            return draw(images, recipe, step)

        patch.setattr(pretraining, "draw", killed)
        supervised(images, tags, RECIPE, part, save_every=3)
    resumed = supervised(images, tags, RECIPE, part)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    with pytest.raises(ValueError, match="no tags"):
        supervised(images, [()] * len(images), RECIPE, tmp_path / "none")


def test_which_photos_a_step_draws() -> None:
    images = [np.full((16, 16, 3), 20 * number, np.uint8) for number in range(12)]
    recipe = replace(RECIPE, locals=0, batch=64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.dino.crops.distort", lambda image, *_: image)
        large = pretraining.draw(images, recipe, 3).large
    seen = (large.mean((2, 3, 4)) * 255 / 20).round().long()
    wanted = torch.from_numpy(pretraining.drawn(12, recipe, 3))
    assert torch.equal(seen, wanted.expand(2, -1))


def test_all_arms_start_alike(tmp_path: Path) -> None:
    images, tags = colours()
    still = replace(RECIPE, steps=1, rate=0.0, decay=(0.0, 0.0), momentum=1.0)
    start = untrained(still).state_dict()
    trained = {
        "tags": supervised(images, tags, still, tmp_path / "tags"),
        "dino": distilled(varied(), still, tmp_path / "dino"),
    }
    for arm, vit in trained.items():
        for name, value in vit.state_dict().items():
            assert torch.allclose(value, start[name], atol=1e-4), (arm, name)


def varied() -> list[np.ndarray]:
    return [drawing(seed, 24, 20)[0] for seed in range(8)]


def test_a_finished_backbone_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(RECIPE, steps=2)
    first = distilled(varied(), short, tmp_path)
    monkeypatch.setattr(pretraining, "distil", None)
    again = distilled(varied(), short, tmp_path)
    assert torch.equal(first.positions, again.positions)


def test_a_linear_head_finds_what_the_features_tell() -> None:
    rng = np.random.default_rng(0)
    masks = [np.zeros((32, 32), bool) for _ in range(12)]
    for mask in masks:
        top, left = rng.integers(0, 16, 2)
        mask[top : top + 16, left : left + 16] = True
    wanted = np.stack([on_grid(mask, 8) for mask in masks])
    features = rng.normal(0, 1, (12, 64, 6)).astype(np.float32)
    features[..., 2] = 100 * wanted + 7  # whatever their size
    head = fit_head(features, masks, steps=60)
    found = head_probability(head, Tokens(features[0], features[0]), (32, 32)) > 0.5
    assert iou(found, masks[0]) > 0.65  # a mask of 8 x 8 cells, stretched
    blind = fit_head(features[..., :2], masks, steps=60)
    unseen = head_probability(blind, Tokens(features[0], features[0, :, :2]), (32, 32)) > 0.5
    assert iou(unseen, masks[0]) < 0.6


def test_tokens_of_pictures() -> None:
    vit = ViT(Shape(width=12, depth=1, heads=3, patch=8, grid=4)).eval()
    images = [drawing(seed)[0] for seed in range(5)]
    one_by_one = list(tokens(vit, images, 24, batch=1))
    together = list(tokens(vit, images, 24, batch=3))
    assert len(together) == 5
    for a, b in zip(one_by_one, together, strict=True):
        assert a.keys.shape == a.features.shape == (9, 12)
        assert np.allclose(a.keys, b.keys, atol=1e-5)
        assert np.allclose(a.features, b.features, atol=1e-5)


def test_the_unet_is_of_the_same_size_and_learns(tmp_path: Path) -> None:
    network = UNet()
    weights = sum(p.numel() for p in network.parameters())
    assert 0.9e6 < weights < 3e6
    logits, embedding = network.eval()(torch.rand(2, 3, 32, 48))
    assert logits.shape == (2, 1, 32, 48)
    assert embedding.shape == (2, 160)
    samples = [Sample(*drawing(seed, 48, 40)) for seed in range(4)]
    pool = Pool([samples], [1.0], [b for s in samples for b in background_strips(s)])
    recipe = SegmentRecipe(steps=25, batch=8, side=32, warmup=2, momentum=0.9, rate=4e-3)
    torch.manual_seed(0)
    trained = train(pool, recipe, tmp_path, start=UNet((8, 12, 16, 24)))
    predict = predictor(trained, 32)
    values = [iou(predict(Labelled("", s.image, s.mask)) > 0.5, s.mask) for s in samples]
    assert np.mean(values) > 0.5


class Bright:
    """A segmenter that finds what is bright."""

    version = "bright"

    def __call__(self, image: np.ndarray) -> Segmentation:
        mask = image.mean(2) > 120
        return Segmentation(mask.astype(np.float32), mask, 1.0, np.zeros(1, np.float32))


def test_super_resolution_is_measured_at_the_size_of_the_original(tmp_path: Path) -> None:
    items = [Labelled(f"x{i}", *drawing(i, 360, 300)) for i in range(3)]
    sizes: list[tuple[int, ...]] = []

    def nearest(scale: int) -> superres.Enlarge:
        def enlarge(image: np.ndarray) -> np.ndarray:
            sizes.append((max(image.shape), scale))
            return image.repeat(scale, 0).repeat(scale, 1)

        return enlarge

    made = Book(tmp_path)
    superres.measure(made, items, Bright(), {2: nearest(2), 4: nearest(4)})
    assert set(sizes) == {(96, 4), (96, 2), (160, 4), (160, 2), (320, 2)}
    lines = list(superres.table(made))
    assert len(lines) == 2 + 5
    assert made.mean("long-320", "ours-x2", 0, without=()).value > 0.9
    before = len(sizes)
    superres.measure(made, items, Bright(), {2: nearest(2), 4: nearest(4)})
    assert len(sizes) == before  # all of it was there


def test_pictures_are_thinned_evenly() -> None:
    names = [str(number) for number in range(10)]
    assert superres.thinned(names, 3) == ["0", "3", "6"]
    assert superres.thinned(names, None) == superres.thinned(names, 99) == names


def test_the_table_of_the_teacher(tmp_path: Path) -> None:
    items = [Labelled(f"x{i}", *drawing(i)) for i in range(3)]
    finds = {
        "nothing": lambda item: np.zeros_like(item.mask),
        proof_teacher.BASE: lambda item: item.mask,
    }
    made = Book(tmp_path)
    proof_teacher.measure(made, items, finds)
    lines = list(proof_teacher.table(made, list(finds)))
    assert "0.000 [0.000–0.000] | **-100.0 [-100.0, -100.0]**" in lines[2]
    assert "1.000 [1.000–1.000] | – |" in lines[3]
    assert proof_teacher.FILTERED in lines[4]
    proof_teacher.measure(made, items, dict.fromkeys(finds))  # nothing is measured twice


def test_the_ways_of_the_table() -> None:
    vit = ViT(Shape(width=12, depth=1, heads=3, patch=16, grid=4)).eval()
    item = Labelled("x", *drawing(1))
    all_ways = proof_teacher.ways(vit, EMBEDDED)
    assert len(all_ways) >= 13
    for name in ("colour graph", "combined: rectangle begun from the graph", "TokenCut, DINO"):
        assert all_ways[name](item).shape == item.mask.shape
    assert len(proof_teacher.ways(None, EMBEDDED)) < len(all_ways)
