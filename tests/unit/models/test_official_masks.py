"""DINO features and segment-anything: real layouts, the cut, prompts, what the refiner takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pil

from bot.config import Settings
from bot.core.errors import UsageError
from bot.verbs import images
from models.base import Image, Mask, Prompt, PromptedMask, Segmentation, WeightsError
from models.segment.refined import Refined, iou, prompt_of
from models.serving.packs import load_refiner, load_segmenter
from models.serving.runtime import Runtime
from tests import official

RUNTIME = Runtime(threads=1)
SIZE = (40, 60)


def disc(row: float, column: float, radius: float, size: tuple[int, int] = SIZE) -> Mask:
    y, x = np.ogrid[: size[0], : size[1]]
    mask: Mask = (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return mask


# --- The refiner's judgement: numpy only ----------------------------------------------------------


class Coarse:
    version = "coarse-1"

    def __init__(self, mask: Mask) -> None:
        embedding = np.ones(1, np.float32)
        self.found = Segmentation(mask.astype(np.float32), mask, 0.8, embedding)

    def __call__(self, image: Image) -> Segmentation:
        return self.found


class Answers:
    """Says what it was told to say, and keeps what it was asked."""

    version = "answers-1"

    def __init__(self, *answers: tuple[Mask, float]) -> None:
        self.answers = [PromptedMask(mask.astype(np.float32), quality) for mask, quality in answers]
        self.asked: list[Prompt] = []

    def __call__(self, image: Image, prompt: Prompt) -> list[PromptedMask]:
        self.asked.append(prompt)
        return self.answers


PICTURE = official.picture(*SIZE)
COARSE = disc(20, 30, 10)
BETTER = disc(20, 31, 11)
EMPTY = np.zeros(SIZE, bool)


def test_the_first_answer_about_the_same_object_is_taken() -> None:
    prompter = Answers((disc(20, 30, 2), 0.95), (BETTER, 0.9), (COARSE, 0.8))
    found = Refined(Coarse(COARSE), prompter)(PICTURE)
    assert np.array_equal(found.mask, BETTER)
    assert np.array_equal(found.probability > 0.5, BETTER)
    assert found.confidence == 0.8
    (prompt,) = prompter.asked
    assert prompt.box == (20, 10, 41, 31)
    assert prompt.points[0] == (30.5, 20.5)


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [(EMPTY, 0.99)],
        [(disc(20, 50, 9), 0.99)],  # something else
        [(BETTER, 0.2)],  # the network itself does not believe it
        [(~EMPTY, 0.99)],  # the whole picture
    ],
)
def test_a_worse_answer_leaves_the_coarse_mask(answers: list[tuple[Mask, float]]) -> None:
    coarse = Coarse(COARSE)
    assert Refined(coarse, Answers(*answers))(PICTURE) is coarse.found


def test_without_an_object_nothing_is_asked() -> None:
    coarse, prompter = Coarse(EMPTY), Answers((BETTER, 0.9))
    assert Refined(coarse, prompter)(PICTURE) is coarse.found
    assert prompter.asked == []


def test_the_version_names_both() -> None:
    version = Refined(Coarse(COARSE), Answers()).version
    assert "coarse-1" in version
    assert "answers-1" in version


@given(st.lists(st.tuples(st.floats(0, 39), st.floats(0, 59), st.floats(0.6, 15)), min_size=1))
@settings(max_examples=40)
def test_prompts_lie_in_the_mask(discs: list[tuple[float, float, float]]) -> None:
    mask = np.logical_or.reduce([disc(*each) for each in discs])
    if not mask.any():
        return
    prompt = prompt_of(mask)
    prompt.check(SIZE[1], SIZE[0])
    assert 1 <= len(prompt.points) <= 3
    assert all(mask[int(y), int(x)] for x, y in prompt.points)
    left, top, right, bottom = (int(v) for v in prompt.box or ())
    assert mask[top:bottom, left:right].sum() == mask.sum()
    assert mask[top].any() and mask[bottom - 1].any() and mask[:, left].any()


def test_two_parts_get_two_points() -> None:
    prompt = prompt_of(disc(20, 12, 9) | disc(20, 45, 8))
    assert sorted(round(x) for x, _ in prompt.points) == pytest.approx([12, 45], abs=1)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(),
        Prompt(((60, 5),)),
        Prompt(((5, -1),)),
        Prompt(((float("nan"), 5),)),
        Prompt((), (10, 10, 10, 20)),
        Prompt((), (0, 0, 61, 40)),
    ],
)
def test_prompts_outside_of_the_picture(prompt: Prompt) -> None:
    with pytest.raises(ValueError, match=r"needs a point|outside"):
        prompt.check(60, 40)


def test_iou() -> None:
    assert iou(EMPTY, EMPTY) == 0
    assert iou(COARSE, COARSE) == 1
    assert iou(disc(20, 30, 10), EMPTY) == 0


# --- segment-anything -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny SAM and a tiny DINO in the official layouts."""
    for name in ("torchvision", "segment_anything", "transformers", "safetensors"):
        pytest.importorskip(name, reason="needs tagecho[official], and transformers to save with")
    import torch

    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        official.unpinned(patch)
        official.put(
            folder, "sam-vit-b", lambda path: torch.save(official.sam().state_dict(), path)
        )
        dino = official.CATALOGUE["dino-vits16"]
        official.put(folder, "dino-vits16", lambda path: official.save_dino(path.parent))
        official.put(folder, "dino-vits16", lambda path: None, dino.files[0])
        yield folder


def settings_of(tmp_path: Path, home: Path, **models: Any) -> Settings:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(home)
    return Settings(data={"dir": tmp_path / "data"}, models={"threads": 1, **models})


def test_sam_answers_as_its_own_predictor(home: Path) -> None:
    """Our loading and prompting against the package's classes, on the same weights."""
    from segment_anything import SamPredictor

    image = official.picture(48, 64)  # its own size: nothing is reduced
    predictor = SamPredictor(official.sam())
    predictor.set_image(image)
    points, box = np.array([[30.0, 20.0], [12, 9]]), np.array([4.0, 6, 50, 40])
    masks, quality, _ = predictor.predict(points, np.ones(2, int), box, return_logits=True)
    prompt = Prompt(((30, 20), (12, 9)), (4, 6, 50, 40))
    answers = load_refiner("sam-vit-b", RUNTIME, home)(image, prompt)
    assert [answer.quality for answer in answers] == pytest.approx(sorted(quality, reverse=True))
    assert answers[0].probability.std() > 0.01
    for answer, place in zip(answers, np.argsort(-quality), strict=True):
        assert answer.probability == pytest.approx(1 / (1 + np.exp(-masks[place])), abs=1e-4)


def test_prompts_are_scaled_with_the_picture(home: Path) -> None:
    ask = load_refiner("sam-vit-b", RUNTIME, home)
    small = official.picture(48, 64)
    large = np.asarray(Pil.fromarray(small).resize((640, 480), Pil.Resampling.NEAREST))
    here = ask(small, Prompt(((30, 20),)))[0]
    there = ask(large, Prompt(((300, 200),)))[0]
    assert there.probability.shape == (480, 640)
    assert there.quality == pytest.approx(here.quality, rel=0.05)
    with pytest.raises(ValueError, match="outside"):
        ask(small, Prompt(((64, 20),)))


def test_another_point_gives_another_answer(home: Path) -> None:
    ask = load_refiner("sam-vit-b", RUNTIME, home)
    image = official.picture(48, 64)
    one, other = (ask(image, Prompt((point,)))[0].probability for point in ((5, 5), (60, 40)))
    assert np.abs(one - other).max() > 1e-3


def test_points_beside_the_object_are_told_and_a_picture_is_looked_at_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segment_anything import SamPredictor

    looks = []
    known = SamPredictor.set_image
    monkeypatch.setattr(
        SamPredictor, "set_image", lambda self, image: (looks.append(1), known(self, image))[1]
    )
    ask, image = load_refiner("sam-vit-b", Runtime(threads=1), home), official.picture(48, 64)
    plain = ask(image, Prompt(((30, 20),)))[0].probability
    beside = ask(image, Prompt(((30, 20),), None, ((50, 40),)))[0].probability
    both = ask(image, Prompt(((30, 20), (50, 40))))[0].probability
    assert np.abs(plain - beside).max() > 1e-3 and np.abs(both - beside).max() > 1e-3
    assert len(looks) == 1
    ask(np.ascontiguousarray(image[:, ::-1]), Prompt(((30, 20),)))
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state.pop("image_encoder.pos_embed"), "pos_embed"),
        (lambda state: state.pop("mask_decoder.mask_tokens.weight"), "mask_tokens"),
        (lambda state: state.update(extra=state["no_mask"]), "no_mask"),
    ],
)
def test_other_weights_are_no_sam(tmp_path: Path, home: Path, change: Any, match: str) -> None:
    import torch

    from models.official.sam import load

    state = official.sam().state_dict()
    state["no_mask"] = state["prompt_encoder.no_mask_embed.weight"]
    change(state)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=f"not a segment-anything network.*{match}"):
        load(tmp_path / "x.pth")


# --- DINO -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(48, 64), (64, 20), (1, 1), (17, 400)])
def test_dino_segments_any_size(home: Path, size: tuple[int, int]) -> None:
    found = load_segmenter("dino-vits16", RUNTIME, home)(official.picture(*size))
    assert found.probability.shape == found.mask.shape == size
    assert found.mask.dtype == bool
    assert 0 <= found.confidence <= 1
    assert float(np.linalg.norm(found.embedding)) == pytest.approx(1, abs=1e-5)


def test_the_class_token_is_that_of_transformers(home: Path) -> None:
    import torch
    from transformers import ViTModel

    from models.dino.vit import MEAN, STD

    image = official.picture(64, 64)
    found = load_segmenter("dino-vits16", RUNTIME, home)
    large = np.array(Pil.fromarray(image).resize((448, 448), Pil.Resampling.BILINEAR))
    x = (large / 255 - MEAN) / STD
    theirs = ViTModel.from_pretrained(home / "official" / "dino-vits16", add_pooling_layer=False)
    with torch.no_grad():
        pixels = torch.from_numpy(x).permute(2, 0, 1)[None].float()
        token = theirs(pixels, interpolate_pos_encoding=True).last_hidden_state[0, 0].numpy()
    assert found(image).embedding == pytest.approx(token / np.linalg.norm(token), abs=1e-4)


def test_a_flat_picture_has_no_object(home: Path) -> None:
    """All patches alike but for their positions, which tokens of other layouts may still show."""
    from models.official.dino import separation

    flat = np.full((32, 32, 3), 128, np.uint8)
    found = load_segmenter("dino-vits16", RUNTIME, home)(flat)
    assert not found.mask.any() or found.confidence > 0
    weights = np.ones((4, 4))
    assert separation(weights, np.array([True, True, False, False])) == 0
    apart = np.kron(np.eye(2), np.ones((2, 2)))
    assert separation(apart, np.array([True, True, False, False])) == 1
    assert separation(weights, np.ones(4, bool)) == 0


def test_keys_that_differ_become_the_mask(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From keys on: tokens of a disc that differ from the others come out as the disc."""
    from models.official import dino

    grid = disc(14, 20, 7, (28, 28))
    keys = np.where(grid.reshape(-1, 1), [1.0, 0.1], [0.1, 1.0]).astype(np.float32)
    token = np.ones(2, np.float32)
    monkeypatch.setattr(dino, "look", lambda vit, image: (keys, token, (28, 28)))
    image = np.full((280, 280, 3), 40, np.uint8)
    wanted = np.kron(grid, np.ones((10, 10), bool))
    image[wanted] = (200, 180, 90)
    found = load_segmenter("dino-vits16", RUNTIME, home)(image)
    assert iou(found.mask, wanted) > 0.9
    assert found.confidence > 0.9


def test_dino_refined_by_sam_as_configured(home: Path, tmp_path: Path) -> None:
    from bot.service.app import ServingStages

    chosen = settings_of(tmp_path, home, segmenter="dino-vits16", refiner="sam-vit-b")
    found = ServingStages(chosen).segmenter()
    assert isinstance(found, Refined)
    assert found.version.startswith("dino-vits16-")
    assert "+sam-vit-b-" in found.version
    assert found(official.picture(48, 64)).mask.shape == (48, 64)


# --- Prompts on the command line ------------------------------------------------------------------


def test_prompts_write_a_mask(home: Path, tmp_path: Path) -> None:
    chosen = settings_of(tmp_path, home, refiner="sam-vit-b")
    source = tmp_path / "one.png"
    Pil.fromarray(official.picture(48, 64)).save(source)
    prompt = Prompt(((30, 20),), (4, 6, 50, 40))
    report = images.segment([source], tmp_path / "out", chosen, prompt)
    with Pil.open(report.written[0]) as mask:
        assert (mask.size, mask.mode) == ((64, 48), "L")
        assert set(np.unique(np.asarray(mask))) <= {0, 255}
    with pytest.raises(UsageError, match="outside of 64 x 48"):
        images.segment([source], tmp_path / "out", chosen, Prompt(((64, 20),)))


def test_prompts_without_a_refiner(tmp_path: Path) -> None:
    source = tmp_path / "one.png"
    Pil.fromarray(official.picture(48, 64)).save(source)
    with pytest.raises(UsageError, match='refiner = "sam-vit-b"'):
        images.segment([source], tmp_path / "out", Settings(), Prompt(((1, 1),)))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--point", "1,2,3"], "--point takes 2 numbers"),
        (["--point", "one"], "--point takes 2 numbers"),
        (["--point", "nan,2"], "--point takes 2 numbers"),
        (["--box", "1,2"], "--box takes 4 numbers"),
        (["--point", "1,2", "--box", "0,0,9,9", "second.png"], "one image"),
        (["--point", "1,2"], "refiner"),
    ],
)
def test_prompts_that_make_no_sense(
    tmp_path: Path,
    options: list[str],
    match: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from bot.cli import main as cli

    monkeypatch.chdir(tmp_path)
    Pil.fromarray(official.picture(48, 64)).save(tmp_path / "one.png")
    monkeypatch.setattr("sys.argv", ["tagecho", "segment", "one.png", "--out", "out", *options])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert match in capsys.readouterr().err
