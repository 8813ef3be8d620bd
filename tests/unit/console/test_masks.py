"""Masks in the API of the console: versions, conflicts, hostile bytes, who may save."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image as Pil

from models.images.codec import png_mask
from storage.tables import ConsoleAction, DrawnMask
from tests.databases import rows
from tests.datasets import SIZE, disc, mask, put
from tests.unit.console.conftest import VIEWING, Console

WIDTH, HEIGHT = SIZE


def png(array: np.ndarray[Any, Any], **save: Any) -> bytes:
    file = io.BytesIO()
    Pil.fromarray(array).save(file, "PNG", **save)
    return file.getvalue()


def seen(data: bytes) -> np.ndarray[Any, Any]:
    with Pil.open(io.BytesIO(data)) as image:
        assert image.mode == "L"
        return np.asarray(image) > 127


def test_a_mask_is_saved_as_the_next_version_with_its_author(guarded: Console) -> None:
    (media,) = put(guarded.app, "p1")
    mask(guarded.app, media, version="net-1")
    path = f"/api/images/{media}/masks"
    with guarded.browser() as browser:
        browser.log_in(name="eva")
        before = browser.get(path).json()
        assert before["computed"] == "net-1" and before["versions"] == []
        assert (before["width"], before["height"]) == SIZE
        assert np.array_equal(seen(browser.get(f"{path}/0").content), disc())
        token = {"x-csrf-token": browser.csrf()}
        half = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        half[:, 32:] = (255, 255, 255)
        saved = browser.post(f"{path}?base=0", content=png(half), headers=token)
        assert saved.status_code == 201
        assert (saved.json()["version"], saved.json()["who"]) == (1, "eva")
        assert saved.json()["coverage"] == 0.5
        assert seen(browser.get(f"{path}/1").content)[:, 32:].all()
        assert browser.get(f"{path}/2").status_code == 404
        assert [one["version"] for one in browser.get(path).json()["versions"]] == [1]
    (action,) = [one for one in rows(guarded.app.database, ConsoleAction) if "mask" in one.action]
    assert (action.who, action.target) == ("eva", f"image {media}, version 1")


def test_the_second_of_two_reviewers_is_told_and_writes_over_nothing(console: Console) -> None:
    (media,) = put(console.app, "p1")
    path = f"/api/images/{media}/masks"
    with console.program() as program:
        assert program.post(f"{path}?base=0", content=png_mask(disc())).status_code == 201
        empty = png_mask(np.zeros((HEIGHT, WIDTH), np.bool_))
        late = program.post(f"{path}?base=0", content=empty)
        assert late.status_code == 409 and "saved version 1 meanwhile" in late.json()["error"]
        assert program.post(path, content=empty).status_code == 422  # without a base
        assert np.array_equal(seen(program.get(f"{path}/1").content), disc())
        assert program.post(f"{path}?base=1", content=empty).json()["version"] == 2
    outcomes = [one.outcome for one in rows(console.app.database, ConsoleAction)]
    assert len(outcomes) == 3 and "meanwhile" in outcomes[1]
    files = [one for one in console.app.artifacts.root.glob("??/??/*") if one.is_file()]
    assert len(files) == len({one.sha256 for one in rows(console.app.database, DrawnMask)})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n" + b"0" * 99,
        png(np.zeros((HEIGHT, HEIGHT), np.uint8)),  # other proportions
        png(np.zeros((HEIGHT * 2, WIDTH * 2), np.uint8)),  # larger than its image
        png(np.zeros((1, 1), np.uint8)),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused(console: Console, data: bytes) -> None:
    (media,) = put(console.app, "p1")
    with console.program() as program:
        answer = program.post(f"/api/images/{media}/masks?base=0", content=data)
        assert answer.status_code in (400, 422), answer.text
        assert program.post("/api/images/999/masks?base=0", content=data).status_code in (404, 422)
    assert rows(console.app.database, DrawnMask) == []


def test_a_smaller_mask_is_kept_at_the_size_of_its_image(console: Console) -> None:
    (media,) = put(console.app, "p1", size=(640, 481))
    small, tiny = (png(np.full(shape, 255, np.uint8)) for shape in ((240, 320), (75, 100)))
    with console.program() as program:
        saved = program.post(f"/api/images/{media}/masks?base=0", content=small)
        assert program.post(f"/api/images/{media}/masks?base=1", content=tiny).status_code == 400
        drawn_on = program.get(f"/api/images/{media}/masks/1?width=320&height=240")
        larger = program.get(f"/api/images/{media}/masks/1?width=1280&height=962")
    assert (saved.json()["width"], saved.json()["height"]) == (640, 481)
    assert Pil.open(io.BytesIO(drawn_on.content)).size == (320, 240)
    assert larger.status_code == 404


def test_a_viewer_sees_masks_and_saves_none(guarded: Console) -> None:
    (media,) = put(guarded.app, "p1")
    mask(guarded.app, media)
    path = f"/api/images/{media}/masks"
    with guarded.browser() as browser:
        browser.log_in("only looking")
        assert browser.get(f"{path}/0").status_code == 200
        token = {"x-csrf-token": browser.csrf()}
        refused = browser.post(f"{path}?base=0", content=png_mask(disc()), headers=token)
        assert refused.status_code == 403
    assert rows(guarded.app.database, DrawnMask) == []


def test_the_next_image_without_a_persons_mask(console: Console) -> None:
    images = [put(console.app, f"p{n}", into="street" if n else "")[0] for n in range(3)]
    with console.program() as program:

        def following(query: str = "") -> Any:
            return program.get(f"/api/masks/next{query}").json()["media"]

        assert following() == images[2] and following(f"?after={images[2]}") == images[1]
        for media in images[1:]:
            program.post(f"/api/images/{media}/masks?base=0", content=png_mask(disc()))
        assert following() == images[0] and following("?dataset=street") is None


def suggested(program: Any, media: int, points: list[dict[str, Any]], box: Any = None) -> Any:
    return program.post(f"/api/images/{media}/masks/suggest", json={"points": points, "box": box})


def test_points_and_a_box_suggest_a_mask_and_save_nothing(console: Console) -> None:
    photo = io.BytesIO()
    Pil.fromarray(skimage.data.astronaut()).save(photo, "JPEG")
    (media,) = put(console.app, "p1", images=[photo.getvalue()], size=(512, 512))
    with console.program() as program:
        person = suggested(program, media, [{"x": 220, "y": 350}])
        assert person.status_code == 200 and person.headers["tagecho-model"].startswith("segment-")
        mask_of = seen(person.content)
        assert mask_of.shape == (512, 512) and mask_of[350, 220] and not mask_of[20, 20]
        inside = seen(suggested(program, media, [], [10, 20, 200, 300]).content)
        assert not inside[300:].any() and not inside[:, 200:].any()
        own = suggested(program, media, [])  # what the network finds by itself
        assert own.status_code == 200 and seen(own.content).any()
        for points, box in (
            ([{"x": 600, "y": 5}], None),
            ([{"x": 5, "y": 5, "object": False}], None),
            ([], [9, 9, 9, 9]),
            ([{"x": -1, "y": 5}], None),
            ([{"x": 5, "y": 5}] * 101, None),
        ):
            assert suggested(program, media, points, box).status_code in (400, 422)
        assert suggested(program, 999, []).status_code == 404
    assert rows(console.app.database, DrawnMask) == []


def test_a_viewer_is_suggested_nothing(guarded: Console) -> None:
    (media,) = put(guarded.app, "p1")
    with guarded.program(VIEWING) as viewer:
        assert suggested(viewer, media, []).status_code == 403
