"""The training as a program: resuming, selection, curves, and what goes wrong."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

from tests.waiting import eventually

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")
pytest.importorskip("matplotlib", reason="needs the [learn] extra (matplotlib)")

from models.dino import crops, select  # noqa: E402
from models.dino import train as dino  # noqa: E402
from models.dino.crops import Steps, batches, draw  # noqa: E402
from models.dino.curves import draw_curves  # noqa: E402
from models.dino.learner import Learner  # noqa: E402
from models.dino.loss import DinoLoss  # noqa: E402
from models.dino.model import load_teacher  # noqa: E402
from models.dino.options import parse  # noqa: E402
from models.dino.recipe import DinoRecipe  # noqa: E402
from models.dino.select import Selection, Tagged, ncut_iou, read_posts, read_selection  # noqa: E402
from models.dino.vit import Shape, ViT  # noqa: E402
from models.metrics.labelled import Labelled  # noqa: E402
from models.training.loop import read_checkpoint  # noqa: E402
from models.training.training_log import read_log  # noqa: E402
from tests.dino import TINY, photos  # noqa: E402

pytestmark = pytest.mark.learn


def twice(by: Selection) -> dino.Rhythm:
    """Both at every second step."""
    return dino.Rhythm(save=2, select=2, by=by)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "photos"
    where.mkdir()
    for number, photo in enumerate(photos()):
        Pil.fromarray(photo).save(where / f"{number}.png")
    return where


def options(folder: Path, *more: object) -> list[str]:
    tiny = (
        "--device cpu --steps 4 --batch 4 --locals 2 --global-side 32 --local-side 16 --patch 8 "
        "--grid 4 --width 24 --heads 3 --depth 1 --outputs 16 --hidden 32 --bottleneck 8 "
        "--warmup 2 --save-every 2 --select-every 2"
    )
    out = folder.parent / "out"
    return ["--photos", str(folder), "--out", str(out), *tiny.split(), *map(str, more)]


def error_of(arguments: list[str]) -> str:
    """What is said on stderr by an exit with code 1: `sys.exit` of a text."""
    with pytest.raises(SystemExit) as caught:
        dino.main(arguments)
    assert isinstance(caught.value.code, str)
    assert caught.value.code.startswith("error: ")
    assert "\n" not in caught.value.code
    return caught.value.code


def same(one: ViT, other: ViT) -> bool:
    return all(torch.equal(x, other.state_dict()[name]) for name, x in one.state_dict().items())


def victim(recipe: DinoRecipe, out: Path, last: int) -> None:
    """Trains up to a step, and never ends: it is killed somewhere on the way."""
    whole = crops.draw

    def slow(images: list[np.ndarray], recipe: DinoRecipe, step: int, *share: int) -> crops.Batch:
        if step == last:
            threading.Event().wait()
        return whole(images, recipe, step, *share)

    crops.draw = slow
    dino.train(photos(), recipe, out, rhythm=dino.Rhythm(save=1))


def test_killed_again_and_again_equals_uninterrupted(tmp_path: Path) -> None:
    recipe = replace(TINY, steps=24, ibot=1.0, centring="sinkhorn")
    whole = dino.train(photos(), recipe, tmp_path / "whole")
    out = tmp_path / "killed"
    for last in (6, 12, 18, 23):
        before = stamp(out / "last.pt")
        child = multiprocessing.get_context("fork").Process(target=victim, args=(recipe, out, last))
        child.start()
        eventually("another checkpoint", lambda old=before: stamp(out / "last.pt") != old)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert 1 <= read_checkpoint(out / "last.pt")["step"] < recipe.steps
    assert same(dino.train(photos(), recipe, out), whole)
    assert [row["step"] for row in read_log(out / "log.jsonl")] == [10, 20, 24]


def stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def test_goes_on_from_any_checkpoint(tmp_path: Path) -> None:
    whole = dino.train(photos(), TINY, tmp_path / "whole", rhythm=twice(Scripted()))
    assert read_checkpoint(tmp_path / "whole" / "best.pt")["step"] == 4
    resumed = dino.train(photos(), TINY, tmp_path / "new", resume=tmp_path / "whole" / "best.pt")
    assert same(resumed, whole)


class Scripted(Selection):
    """Scores by the number of times it was asked: the third is worse than the second."""

    def __init__(self) -> None:
        object.__setattr__(self, "scores", [0.2, 0.9, 0.5, 0.1])

    def measure(self, vit: ViT) -> dict[str, float]:
        score = self.scores.pop(0)
        return {"knn": score, "ncut": score, "score": score}


def test_best_is_by_score_and_is_written_down(tmp_path: Path) -> None:
    dino.train(photos(), TINY, tmp_path, rhythm=twice(Scripted()))
    rows = [row for row in read_log(tmp_path / "log.jsonl") if "knn" in row]
    assert [(row["step"], row["score"]) for row in rows] == [(2, 0.2), (4, 0.9), (6, 0.5), (8, 0.1)]
    assert read_checkpoint(tmp_path / "best.pt")["step"] == 4
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 8


def test_a_resumed_training_remembers_its_best(tmp_path: Path) -> None:
    halted = Scripted()
    halted.scores[2:] = []  # asked a third time, it breaks
    with pytest.raises(IndexError):
        dino.train(photos(), TINY, tmp_path, rhythm=twice(halted))
    later = Scripted()
    later.scores[:2] = []
    dino.train(photos(), TINY, tmp_path, rhythm=twice(later))
    assert read_checkpoint(tmp_path / "best.pt")["step"] == 4


def test_a_start_that_nothing_betters_is_the_best(tmp_path: Path) -> None:
    """It is measured once, also when the training is killed before its first checkpoint."""
    start, scripted = ViT(TINY.shape), Scripted()
    scripted.scores[1:] = []  # asked a second time, it breaks
    with pytest.raises(IndexError):
        dino.train(photos(), TINY, tmp_path, rhythm=twice(scripted), start=start)
    scripted = Scripted()
    scripted.scores[:] = [0.9, 0.2, 0.5, 0.9, 0.1]
    dino.train(photos(), TINY, tmp_path, rhythm=twice(scripted), start=start)
    rows = [row["step"] for row in read_log(tmp_path / "log.jsonl") if "knn" in row]
    assert rows == [0, 2, 4, 6, 8]
    assert same(load_teacher(tmp_path / "best.pt"), start)
    whole = dino.train(photos(), TINY, tmp_path / "new", start=start)
    assert same(load_teacher(tmp_path / "last.pt"), whole), "asking changes nothing"


def test_knn_and_ncut_of_a_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are the patches' own colours cut a red square out of a green ground."""

    def colours(vit: ViT, pictures: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(pictures, vit.shape.patch)
        return small.flatten(2).transpose(1, 2)

    monkeypatch.setattr(select, "last_keys", colours)
    vit = ViT(Shape(24, 1, 3, 8, 4))
    mask = np.zeros((112, 224), bool)
    mask[32:80, 120:184] = True
    image = np.where(mask[..., None], (255, 0, 0), (0, 255, 0)).astype(np.uint8)
    item = Labelled("a", image, mask)
    assert ncut_iou(vit, [item]) > 0.9
    assert ncut_iou(vit, [replace(item, mask=~mask)]) < 0.1
    pictures = [np.full((40, 40, 3), colour, np.uint8) for colour in (10, 240) for _ in range(6)]
    posts = [Tagged(str(i), f"author{i % 3}", "dark" if i < 6 else "light") for i in range(12)]
    figures = Selection(pictures, posts, [item], side=32).measure(vit)
    assert figures["knn"] == 1
    assert figures["score"] == pytest.approx((1 + figures["ncut"]) / 2)


def test_a_selection_is_read_from_files(folder: Path) -> None:
    rows = [{"id": str(i), "author": "a", "hashtag": tag} for i, tag in enumerate("xyz")]
    rows += [
        {"id": "4", "author": "author7", "hashtag": "x"},
        {"id": "5", "author": "b", "hashtag": "skip"},
        {"id": "gone", "author": "b", "hashtag": "x"},
    ]
    posts = folder.parent / "posts.jsonl"
    posts.write_text("\n".join(map(json.dumps, rows)))
    found = read_selection(posts, None, None, limit=2, side=32)
    assert found is not None
    assert len(found.posts) == len(found.photos) == 2
    assert read_selection(None, None, None, limit=2, side=32) is None
    apart = read_selection(posts, None, None, limit=9, side=32, unseen=True)
    assert apart is not None
    assert [post.author for post in apart.posts] == ["author7"]
    posts.write_text('{"id": "1"}\n')
    with pytest.raises(ValueError, match=r"posts\.jsonl:1"):
        read_posts(posts)


def test_the_command_trains_selects_and_draws(folder: Path) -> None:
    rows = [{"id": str(i), "author": str(i % 2), "hashtag": "ab"[i % 2]} for i in range(6)]
    (folder / "posts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dino.main(options(folder, "--posts", folder / "posts.jsonl", "--koleo", "0.1", "--ibot", "1"))
    out = folder.parent / "out"
    assert {"last.pt", "best.pt", "log.jsonl", "curves.png"} == {p.name for p in out.iterdir()}
    figures = {name for row in read_log(out / "log.jsonl") for name in row}
    assert {"loss", "dino", "patch", "koleo", "entropy", "mean_entropy", "knn", "score"} <= figures
    with Pil.open(out / "curves.png") as picture:
        assert picture.size == (1000, 700)
    before = (out / "curves.png").read_bytes()
    with (out / "log.jsonl").open("a") as log:
        log.write('{"step": 4, "ncut": 0.4}\n{"step": 5, "nc')
    draw_curves(out / "log.jsonl", out / "curves.png")
    assert (out / "curves.png").read_bytes() != before


def test_sizes_and_starts_of_the_command_line(folder: Path, tmp_path: Path) -> None:
    few = ["--photos", str(folder), "--out", str(tmp_path / "out")]
    assert parse(few, None).recipe == DinoRecipe()
    small = parse([*few, "--size", "small", "--patch", "8"], None).recipe
    assert (small.width, small.depth, small.heads, small.patch) == (384, 12, 6, 8)
    dino.main(options(folder))
    start = folder.parent / "out" / "last.pt"
    recipe = parse([*few, "--start", str(start), "--grid", "6"], None).recipe
    assert recipe.shape == Shape(24, 1, 3, 8, 6)
    assert len(recipe.start) == 16
    assert "decides the size" in error_of([*few, "--start", str(start), "--size", "tiny"])


def test_starts_from_given_weights(tmp_path: Path) -> None:
    torch.manual_seed(5)
    start = ViT(TINY.shape)
    recipe = replace(TINY, steps=1, rate=0.0, warmup=0)
    learner = Learner(recipe, start=start)
    assert same(learner.student.vit, start)
    assert same(learner.teacher.vit, start)


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_give_the_gradients_of_the_whole(parts: int) -> None:
    """Without batch norm and KoLeo, which see a part only; the targets see all of it."""
    recipe = replace(TINY, head_norm="none", centring="sinkhorn", ibot=1.0)
    gradients = []
    for count in (1, parts):
        learner = Learner(replace(recipe, accumulate=count))
        figures, _ = learner.gradients(draw(photos(), recipe, 0))
        found = [parameter.grad.flatten() for parameter in learner.student.parameters()]
        gradients.append((figures["loss"], torch.cat(found)))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-5)
    assert torch.allclose(gradients[0][1], gradients[1][1], rtol=1e-3, atol=1e-6)
    assert gradients[0][1].abs().max() > 1e-2


def test_batch_norm_sees_a_part_only() -> None:
    losses = [
        Learner(replace(TINY, accumulate=count)).gradients(draw(photos(), TINY, 0))[0]["loss"]
        for count in (1, 2)
    ]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_bfloat16_computes_in_half_and_keeps_whole_weights() -> None:
    batch = draw(photos(), TINY, 0)
    exact, half = Learner(TINY), Learner(TINY, bfloat16=True)
    losses = [learner.step(batch, 0)["loss"] for learner in (exact, half)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert {p.dtype for p in half.student.parameters()} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_the_same_twice(tmp_path: Path) -> None:
    machine = dino.Machine(torch.device("cuda"), bfloat16=True)
    one, two = (dino.train(photos(), TINY, tmp_path / x, machine=machine) for x in "ab")
    assert same(one.cpu(), two.cpu())


def test_workers_cut_the_same_crops() -> None:
    recipe = replace(TINY, ibot=1.0, steps=3)
    source = Steps(photos(), recipe, 0, 1)
    alone, helped = (list(batches(source, 1, workers=n, pin=False)) for n in (0, 2))
    assert len(alone) == len(helped) == 2
    for one, two in zip(alone, helped, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


def test_shares_of_a_batch_are_the_batch() -> None:
    recipe = replace(TINY, ibot=1.0)
    whole = draw(photos(), recipe, 3)
    shares = [draw(photos(), recipe, 3, rank, 2) for rank in range(2)]
    for name in whole._fields:
        joined = torch.cat([getattr(share, name) for share in shares], 1)
        assert torch.equal(joined, getattr(whole, name)), name


def test_photos_that_are_not_there_or_not_different(folder: Path) -> None:
    empty = folder.parent / "empty"
    empty.mkdir()
    assert "no photos in" in error_of(options(empty))
    (empty / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    assert "broken.jpg cannot be read" in error_of(options(empty))
    (empty / "broken.jpg").unlink()
    Pil.new("RGB", (40, 40)).save(empty / "1.png")
    assert "several different photos, not 1" in error_of(options(empty))
    Pil.new("RGB", (40, 40)).save(empty / "2.png")
    assert "all 2 are the same" in error_of(options(empty))


def test_a_loss_that_is_no_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare, asked = DinoLoss.compare, []

    def broken(self: DinoLoss, *given: torch.Tensor) -> torch.Tensor:
        asked.append(1)
        return compare(self, *given) * (float("nan") if len(asked) == 4 else 1)

    monkeypatch.setattr(DinoLoss, "compare", broken)
    assert "step 3: the loss is nan" in error_of(options(folder))
    state = read_checkpoint(folder.parent / "out" / "last.pt")
    assert state["step"] == 2
    assert all(x.isfinite().all() for x in state["parts"]["student"].values())


def test_a_full_disk_leaves_the_earlier_checkpoint(folder: Path) -> None:
    out = folder.parent / "out"
    out.mkdir()
    dino.train(photos(), replace(TINY, steps=2), out)
    whole = (out / "last.pt").read_bytes()
    (out / "last.part").symlink_to("/dev/full")  # every write to it: no space left on device
    learner = Learner(TINY)
    diary = dino.Diary(out, learner, 0, dino.Rhythm(save=1))
    with pytest.raises(OSError, match=r"last\.pt cannot be written: .*No space left.*whole"):
        diary(1, {"loss": 1.0})
    assert (out / "last.pt").read_bytes() == whole
    (out / "last.pt").unlink()
    (out / "last.part").symlink_to("/dev/full")
    assert "No space left on device" in error_of(options(folder))


def test_checkpoints_of_something_else(folder: Path, tmp_path: Path) -> None:
    dino.main(options(folder))
    assert "made with another recipe: seed 0, not 1" in error_of(options(folder, "--seed", 1))
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no checkpoint")
    assert "cannot be read as a checkpoint" in error_of(options(folder, "--resume", broken))
    torch.save({"step": 1, "recipe": {"side": 96}, "parts": {}}, broken)
    assert "not a recipe of DINO: side" in error_of(options(folder, "--resume", broken))
    assert "config.json cannot be read" in error_of(
        ["--photos", str(folder), "--out", "x", "--start", str(folder)]
    )


@pytest.mark.slow
def test_the_program_ends_with_one_line_and_a_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.dino.train", "--photos", tmp_path, "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: no photos in {tmp_path}\n"
