"""What a run writes down for its trainings, and how it calls them."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

from bot.learn import photos
from bot.learn.photos import POSTS, START, Layout
from bot.learn.replies_first import Turn
from bot.learn.telling_hashtags import telling
from bot.learn.training import IN_SERVICE, SCRATCH, LearningRecipe, Teacher, commands
from storage.blobs import BlobStore
from storage.learning import TrainingPicture
from tests.learning import people

KNOWN, HELD_OUT = people(3, out=False), people(3, out=True)


def laid_out(tmp_path: Path, posts: list[tuple[str, tuple[str, ...]]]) -> Layout:
    """One small photo for each post: its author's user id, its hashtags."""
    store, rng = BlobStore(tmp_path / "originals"), np.random.default_rng(0)
    pictures = []
    for number, (user, hashtags) in enumerate(posts):
        file = io.BytesIO()
        Pil.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(file, "PNG")
        sha256 = store.put(file.getvalue())
        pictures.append(TrainingPicture(sha256, number, f"instagram/{user}", hashtags))
    turn = Turn(lambda: 0, 60, lambda _text: None)
    run = tmp_path / "runs" / "1"
    return photos.lay_out(pictures, store, run, turn, lambda _text: None, max_pixels=10**6)


def selection(layout: Layout) -> list[dict[str, str]]:
    path = layout.folder / POSTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_hashtags_that_tell_posts_apart() -> None:
    posts = [("all", "half")] * 6 + [("all", "few")] * 4 + [("all", "other", "other")] * 2
    assert telling(posts) == {"half": 6}
    assert telling([]) == {}


def test_a_photo_stands_for_its_commonest_telling_hashtag(tmp_path: Path) -> None:
    posts = [(KNOWN[n % 3], ("all", "red", *["warm"] * (n < 5))) for n in range(6)]
    posts += [(KNOWN[n % 3], ("all", "blue")) for n in range(5)]
    posts += [(KNOWN[0], ("all",)), (KNOWN[1], ())]
    posts += [(user, ("all", "red")) for user in HELD_OUT]
    layout = laid_out(tmp_path, posts)
    rows = selection(layout)
    assert [row["hashtag"] for row in rows] == ["#red"] * 6 + ["#blue"] * 5
    assert [row["id"] for row in rows] == [picture.sha256 for picture in layout.train[:11]]
    assert {row["author"] for row in rows} == {"0", "1", "2"}, "nobody is named"
    assert not {row["id"] for row in rows} & {picture.sha256 for picture in layout.held_out}


def test_without_several_hashtags_or_people_there_is_nothing_to_choose_by(tmp_path: Path) -> None:
    """A kNN accuracy of one hashtag is 1, and one person has no neighbours."""
    one_tag = [(KNOWN[n % 3], ("red",) * (n < 5)) for n in range(10)]
    one_person = [(KNOWN[0], ("red" if n < 5 else "blue",)) for n in range(10)]
    for name, posts in {"tag": one_tag, "person": one_person, "none": [(KNOWN[0], ())] * 4}.items():
        layout = laid_out(tmp_path / name, posts)
        assert not (layout.folder / POSTS).exists(), name
        assert "--posts" not in commands("dino", layout.folder, LearningRecipe())[0][1]


def test_what_is_of_somebody_who_left_goes_from_the_list_as_well(tmp_path: Path) -> None:
    posts = [(KNOWN[n % 3], ("red" if n < 5 else "blue",)) for n in range(10)]
    layout = laid_out(tmp_path, posts)
    photos.Runs(tmp_path).remove(["0" * 64])
    assert len(selection(layout)) == 10
    photos.Runs(tmp_path).remove([layout.train[0].sha256])
    assert not selection(layout)


def test_a_run_that_ends_meanwhile_takes_nothing_from_forgetting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files may go between being found and being read."""
    posts = [(KNOWN[n % 3], ("red" if n < 5 else "blue",)) for n in range(10)]
    layout = laid_out(tmp_path, posts)
    found, read = Path.glob, Path.read_text
    looks = []

    def vanishing(path: Path, pattern: str) -> Iterator[Path]:
        looks.append(pattern)
        if len(looks) == 1:
            raise FileNotFoundError(path)
        return found(path, pattern)

    def gone(path: Path, *arguments: str) -> str:
        if path.name.startswith("dataset."):
            path.unlink()
        return read(path, *arguments)

    monkeypatch.setattr(Path, "glob", vanishing)
    monkeypatch.setattr(Path, "read_text", gone)
    photo = layout.photo(layout.train[0])
    photos.Runs(tmp_path).remove([layout.train[0].sha256])
    assert not photo.exists()
    assert len(looks) > 3


def test_dino_reads_what_was_written(tmp_path: Path) -> None:
    select = pytest.importorskip("models.dino.select", reason="needs the [learn] extra (torch)")
    posts = [(KNOWN[n % 3], ("other" if n < 5 else "blue",)) for n in range(10)]
    layout = laid_out(tmp_path, posts)  # "other" is a hashtag that is dropped elsewhere
    found = select.read_selection(layout.folder / POSTS, None, None, limit=99, side=32)
    assert len(found.photos) == 10
    assert {post.hashtag for post in found.posts} == {"#other", "#blue"}


def options(stage: str, folder: Path) -> dict[str, str]:
    """Of the only command of a stage; each option with the value after it."""
    ((_, arguments),) = commands(stage, folder, LearningRecipe())
    return dict(itertools.pairwise(arguments))


def test_from_scratch_and_without_hashtags(tmp_path: Path) -> None:
    assert not {"--start", "--rate", "--posts"} & set(options("dino", tmp_path))
    head = options("head", tmp_path)
    assert not {"--start", "--rate", "--vit-rate"} & set(head)
    assert head["--backbone"] == str(tmp_path / "dino/last.pt")


def test_from_a_network_it_learns_more_slowly(tmp_path: Path) -> None:
    from models.dino.recipe import DinoRecipe

    start = tmp_path / START
    start.touch()
    assert options("start", tmp_path)["--network"] == str(start)
    for stage in ("dino", "head"):
        assert options(stage, tmp_path)["--start"] == str(start)
        assert float(options(stage, tmp_path)["--rate"]) < DinoRecipe().rate
    assert float(options("head", tmp_path)["--vit-rate"]) < DinoRecipe().rate


def test_who_teaches_makes_the_masks_and_gives_the_limits(tmp_path: Path) -> None:
    ours, both = Teacher(tmp_path / "net"), Teacher(tmp_path / "net", "u2netp", tmp_path / "home")
    for teacher in (ours, both):
        for module, arguments in commands("masks", tmp_path, LearningRecipe(threads=3), teacher):
            said = dict(itertools.pairwise(arguments))
            assert module == "models.segment.teacher"
            assert (said["--network"], said["--threads"]) == (str(tmp_path / "net"), "3")
            given = (said.get("--pack"), said.get("--home"))
            assert given == (
                (None, None) if teacher is ours else ("u2netp", str(tmp_path / "home"))
            )
    ((_, export),) = commands("export", tmp_path, LearningRecipe(), both)
    assert dict(itertools.pairwise(export))["--limits-of"] == str(tmp_path / "net")


def test_the_head_takes_the_best_backbone(tmp_path: Path) -> None:
    (tmp_path / "dino").mkdir()
    (tmp_path / "dino/best.pt").touch()
    assert options("head", tmp_path)["--backbone"] == str(tmp_path / "dino/best.pt")
    (tmp_path / POSTS).parent.mkdir(parents=True)
    (tmp_path / POSTS).touch()
    assert options("dino", tmp_path)["--posts"] == str(tmp_path / POSTS)


def test_a_recipe_of_an_older_run_began_from_nothing() -> None:
    recipe = LearningRecipe(dino_steps=3)
    assert recipe.start == IN_SERVICE
    assert LearningRecipe.of(recipe.as_dict()) == recipe
    older = recipe.as_dict()
    del older["start"]
    assert LearningRecipe.of(older).start == SCRATCH


def test_nothing_of_a_start_stays(tmp_path: Path) -> None:
    (tmp_path / START).touch()
    photos.clear(tmp_path)
    assert not (tmp_path / START).exists()
