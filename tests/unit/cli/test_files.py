"""`upscale`, `segment` and `compose` on the operator's files: names, pipes, kinds of output."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from models.compose.palette import main_colours, strip
from models.compose.styles import styles
from models.images import decoder
from tests.command import Run
from tests.disk import full_after
from tests.paths import ROOT


@pytest.fixture
def tagecho(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagecho: Run) -> Run:
    """In an empty folder, with nothing of the shell's."""
    for name in [name for name in os.environ if name.startswith("TAGECHO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tagecho


def photo(path: Path, side: int = 96) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(data.chelsea()[:300, 80:380]).resize((side, side)).save(path)
    return path


def told(run: Run, *words: str | Path) -> list[dict[str, Any]]:
    done = run(*words, "--json")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def test_folders_with_all_below_and_a_line_for_what_is_left_out(
    tagecho: Run, tmp_path: Path
) -> None:
    photo(tmp_path / "in/a.png")
    photo(tmp_path / "in/sub/deep/b.jpg")
    (tmp_path / "in/notes.txt").write_text("x")
    flat = tagecho("segment", "in", "--out", "flat")
    assert flat.out.split() == ["flat/a.png"]
    assert set(flat.err.splitlines()) == {
        "in/notes.txt: skipped: not an image, by its name",
        "in/sub: skipped: a folder: --recursive takes what is in it",
    }
    deep = tagecho("segment", "in", "--out", "deep", "-r")
    assert set(deep.out.split()) == {"deep/a.png", "deep/sub/deep/b.png"}
    assert "in/sub" not in deep.err
    again = tagecho("segment", "in", "--out", "deep", "--recursive", "--skip-existing")
    assert (again.code, again.out) == (0, "")
    assert "in/a.png: skipped: deep/a.png is there already" in again.err.splitlines()


def test_what_has_no_end_is_not_read(tagecho: Run, tmp_path: Path) -> None:
    """A pipe, a device, a link that leads nowhere: by their names they are images."""
    photo(tmp_path / "in/a.png")
    os.mkfifo(tmp_path / "in/pipe.jpg")
    (tmp_path / "in/zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "in/gone.jpg").symlink_to("nowhere")
    done = tagecho("segment", "in", "--out", "out")
    assert (done.code, done.out.split()) == (0, ["out/a.png"])
    names = ("gone", "pipe", "zero")
    said = [f"in/{name}.jpg: skipped: not a regular file" for name in names]
    assert done.err.splitlines() == said


def test_a_full_disk_ends_it(tagecho: Run, tmp_path: Path) -> None:
    """Nothing is wrong with the pictures, and the next ones would meet it, too."""
    photo(tmp_path / "in/a.png")
    photo(tmp_path / "in/b.png")
    with full_after(100):
        done = tagecho("upscale", "in", "--out", "out", "--scale", "2")
    assert (done.code, done.err) == (10, "out/a.png: File too large\n")
    assert list(Path("out").iterdir()) == []


def test_an_output_below_the_input_is_not_read_again(tagecho: Run, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    for _ in range(2):
        assert tagecho("upscale", "in", "--out", "in/large", "--scale", "2", "-r").code == 0
    assert [p.name for p in (tmp_path / "in/large").rglob("*")] == ["a.png"]


def test_two_of_one_name_are_told_apart(tagecho: Run, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "a.png")
    done = tagecho("segment", "a.jpg", "a.png", "--out", "out")
    assert done.out.split() == ["out/a.png", "out/a-2.png"]
    assert done.err == "a.png is out/a-2.png: another image has the same name\n"
    rows = told(tagecho, "segment", "a.jpg", "a.png", "--out", "out")
    assert {row["source"]: row["target"] for row in rows} == {
        "a.jpg": "out/a.png",
        "a.png": "out/a-2.png",
    }


def test_each_file_says_how_sure_and_how_much(tagecho: Run, tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    done = tagecho("segment", "a.png", "b.png", "absent.png", "--out", "out", "--json")
    assert done.code == 1
    rows = {row["source"]: row for row in json.loads(done.out)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "a.png": "written",
        "b.png": "failed",
        "absent.png": "failed",
    }
    mask = np.asarray(Image.open(tmp_path / "out/a.png"))
    assert rows["a.png"]["coverage"] == pytest.approx((mask == 255).mean(), abs=1e-4)
    assert 0 <= rows["a.png"]["confidence"] <= 1
    assert rows["b.png"]["why"] == "not-an-image"


def test_soft_masks_and_cutouts(tagecho: Run, tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png", 160)
    for kind in ("--soft", "--cutout"):
        assert tagecho("segment", source, "--out", kind.strip("-"), kind).code == 0
    assert tagecho("segment", source, "--out", "hard").code == 0
    hard = np.asarray(Image.open(tmp_path / "hard/a.png"))
    soft = np.asarray(Image.open(tmp_path / "soft/a.png"))
    cut = Image.open(tmp_path / "cutout/a.png")
    assert soft.shape == hard.shape == (160, 160)
    assert len(np.unique(soft)) > 10
    assert soft[hard == 255].mean() > 128 > soft[hard == 0].mean()
    assert cut.mode == "RGBA"
    assert np.array_equal(np.asarray(cut)[..., 3], soft)
    assert np.array_equal(np.asarray(cut)[..., :3], np.asarray(Image.open(source)))
    assert tagecho("segment", source, "--out", "x", "--soft", "--cutout").code == 2


def test_a_cutout_keeps_what_was_transparent(tagecho: Run, tmp_path: Path) -> None:
    picture = Image.open(photo(tmp_path / "a.png")).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 96, 48))
    picture.save(tmp_path / "half.png")
    assert tagecho("segment", "half.png", "--out", "out", "--cutout").code == 0
    assert np.asarray(Image.open(tmp_path / "out/half.png"))[:48, :, 3].max() == 0


@pytest.mark.slow
def test_from_standard_input_to_standard_output(tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TAGECHO_")}
    command = [sys.executable, "-m", "bot", "segment", "-", "--out", "-", "--cutout"]
    done = subprocess.run(
        command,
        input=photo(tmp_path / "a.png").read_bytes(),
        capture_output=True,
        cwd=tmp_path,
        env=environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert Image.open(io.BytesIO(done.stdout)).mode == "RGBA"
    assert done.stderr == b""


def test_a_pipe_takes_one_image(tagecho: Run, tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    photo(tmp_path / "b.png")
    assert tagecho("segment", "a.png", "b.png", "--out", "-").code == 2
    assert tagecho("segment", "a.png", "--out", "-", "--json").code == 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA", "I;16"])
def test_tiff(tagecho: Run, tmp_path: Path, mode: str) -> None:
    picture = Image.open(photo(tmp_path / "a.png"))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "a.tif")
    assert [row["state"] for row in told(tagecho, "segment", "a.tif", "--out", "out")] == [
        "written"
    ]


def test_heic(tagecho: Run, tmp_path: Path) -> None:
    pytest.importorskip("pi_heif")
    (tmp_path / "a.heic").write_bytes(base64.b64decode(HEIC))
    (row,) = told(tagecho, "upscale", "a.heic", "--out", "out", "--scale", "2")
    assert (row["state"], row["size"]) == ("written", [128, 128])
    shown = np.asarray(Image.open(tmp_path / "out/a.png").resize((64, 64))).astype(int)
    assert abs(shown - np.asarray(Image.open(photo(tmp_path / "b.png", 64)))).mean() < 20


def test_heic_without_its_part_says_what_to_install(
    tagecho: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder is a process of its own: a package of that name that cannot be imported."""
    (tmp_path / "pi_heif.py").write_text("raise ImportError", encoding="utf-8")
    (tmp_path / "a.heic").write_bytes(base64.b64decode(HEIC))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    decoder.shared.stop()  # its children are of before
    decoder.shared.start()
    done = tagecho("upscale", "a.heic", "--out", "out")
    decoder.shared.stop()
    decoder.shared.start()
    assert (done.code, done.err) == (1, "a.heic: unsupported-format: HEIC needs tagecho[heic]\n")


@pytest.mark.slow
def test_every_picture_may_have_a_style_of_its_own(tagecho: Run, tmp_path: Path) -> None:
    for number in range(4):
        photo(tmp_path / f"in/{number}.png", 64 + number)
    rows = told(tagecho, "compose", "in", "--out", "out", "--style", "auto")
    assert {row["style"] for row in rows} <= set(styles())
    assert len({row["style"] for row in rows}) > 1
    assert rows == told(tagecho, "compose", "in", "--out", "out", "--style", "auto")


# The cat of scikit-image (CC0), 64 px, by an encoder that is not ours to ship.
HEIC = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAA"
    "AAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABegABAAAAAAAAAUYAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAAB"
    "AABodmMxAAAAAA5waXRtAAAAAAABAAAA1mlwcnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADw"
    "NgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgIaDAgA"
    "AAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAABBwaX"
    "hpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAAU5tZGF0AAABQigBrxmApDJJHhP8fYVEO8Ch4ehRn5SH"
    "ObcdXNtIHmGpVxXcPrW8EsuBl/P6ib+wBBHaY0KmqkAy9naSBVsqFcsAylKW+tpxVh8pgJnTfxF+SIZDWyBEOZIFZ8"
    "lehLWdNLQ43KNvURhIBO4TgbNoxcbL5gGCh070vAKHMH8/w7Oi4gCjjUp7nnfq06ZWNgLnbq/xgig5RSo9awaAE3Di"
    "M4iAXu0KhKicbnxTQgViURV7vD3yjnUR9v0esCoPoMchKlKVEzkNZVO7Ue9FKJxHJwI19e9hIvp3D0I+LP3Kz7w1zZ"
    "x3sFqDFDEfW/U7VuWGj02LjsMS9SwXGDXKvbmLXgGTZq8ig5ZHNLg8dyFaDh4wwVO04mXJCDkIslStnL9ARV8foevJ"
    "25fvmGTzqZI3rU5EfNKuCmAZeLXbh4CWIW5XV4A="
)


@pytest.mark.slow
def test_the_colours_of_each_picture(tagecho: Run, tmp_path: Path) -> None:
    """Of the object for `segment`, of the whole photo for `compose`; one file more for each."""
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "a.png")
    rows = told(tagecho, "segment", "a.jpg", "a.png", "--out", "out", "--palette")
    for row in rows:
        shares = [one["share"] for one in row["palette"]]
        assert sum(shares) == pytest.approx(1, abs=0.01)
        assert shares == sorted(shares, reverse=True) and 1 < len(shares) <= 6
        strip = Image.open(Path(row["target"]).with_suffix(".palette.png"))
        first = "#{:02x}{:02x}{:02x}".format(*strip.convert("RGB").getpixel((1, 50)))  # type: ignore[misc]
        assert first == row["palette"][0]["colour"]
    assert len(list(Path("out").iterdir())) == 4
    (whole,) = told(tagecho, "compose", "a.png", "--out", "made", "--palette")
    assert Path("made/a.palette.png").is_file()
    assert whole["palette"] != rows[1]["palette"]
    (plain,) = told(tagecho, "segment", "a.png", "--out", "plain")
    assert "palette" not in plain
    assert [path.name for path in Path("plain").iterdir()] == ["a.png"]
    done = tagecho("segment", "a.png", "--out", "-", "--palette")
    assert (done.code, len(done.err.splitlines())) == (2, 1)


def test_colours_of_an_empty_mask_are_none() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = (255, 0, 0)
    black, red = main_colours(image)
    assert {black.code, red.code} == {"#000000", "#ff0000"}
    assert (black.share, red.share) == (0.5, 0.5)
    assert main_colours(image, np.zeros((8, 8), bool)) == ()
    (only,) = main_colours(image, image[:, :, 0] > 0)
    assert only.code == "#ff0000"
    assert strip(()).min() == 255
