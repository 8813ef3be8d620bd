"""The editor of masks as a person uses it: mouse, fingers, keys, two reviewers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image as Pil

from models.images.codec import png_mask
from storage.tables import DrawnMask
from tests.databases import rows
from tests.datasets import mask, put
from tests.unit.console.conftest import VIEWING, Console
from tests.unit.console.window import SHOTS, SIZES, Window, needs_chromium, serious
from tests.waiting import eventually

pytestmark = needs_chromium
SIDE = 512  # px of the photo


def photo(console: Console, name: str = "p1", quality: int = 90) -> int:
    """A stored portrait; its number."""
    file = io.BytesIO()
    Pil.fromarray(skimage.data.astronaut()).save(file, "JPEG", quality=quality)
    return put(console.app, name, images=[file.getvalue()], size=(SIDE, SIDE))[0]


@pytest.fixture
def media(console: Console) -> int:
    return photo(console)


def large(console: Console) -> int:
    """A stored image of 2400 x 1801 px, which is shown smaller; its number."""
    file = io.BytesIO()
    Pil.fromarray(skimage.data.astronaut()).resize((2400, 1801)).save(file, "JPEG", quality=60)
    return put(console.app, "large", images=[file.getvalue()], size=(2400, 1801))[0]


def opened(window: Window, media: int, query: str = "") -> None:
    window.go(f"/masks/{media}{query}")
    window.shows('#editor[data-ready="yes"]')


def spot(window: Window, x: float, y: float) -> tuple[float, float]:
    """Where a place of the image, in shares of its sides, is in the window."""
    box = window.page.locator("#board").bounding_box()
    size = window.page.evaluate(
        "(({width, height}) => [Number(width), Number(height)])(editor.dataset)"
    )
    scale = min(box["width"] / size[0], box["height"] / size[1])
    wide, high = size[0] * scale, size[1] * scale
    return (
        box["x"] + (box["width"] - wide) / 2 + x * wide,
        box["y"] + (box["height"] - high) / 2 + y * high,
    )


def drag(window: Window, start: tuple[float, float], end: tuple[float, float]) -> None:
    window.page.mouse.move(*spot(window, *start))
    window.page.mouse.down()
    window.page.mouse.move(*spot(window, *end), steps=8)
    window.page.mouse.up()


def covers(window: Window) -> float:
    """What the page says, in per cent."""
    words = window.page.inner_text("#mask-status").split()
    return float(words[3]) if "covers" in words else 0.0


def saved(console: Console) -> list[tuple[int, np.ndarray[Any, Any]]]:
    """Version and mask of all that was saved."""
    found = []
    for row in sorted(rows(console.app.database, DrawnMask), key=lambda one: one.version):
        with Pil.open(io.BytesIO(console.app.artifacts.get(row.sha256))) as image:
            found.append((row.version, np.asarray(image) > 127))
    return found


def wait_saved(console: Console, count: int = 1) -> list[tuple[int, np.ndarray[Any, Any]]]:
    eventually("it is saved", lambda: len(saved(console)) == count)
    return saved(console)


def test_brush_eraser_undo_redo_and_save(console: Console, window: Window, media: int) -> None:
    opened(window, media)
    window.page.click('[data-tool="brush"].tool')
    drag(window, (0.25, 0.5), (0.75, 0.5))
    drawn = covers(window)
    assert drawn > 1
    window.page.click('[data-tool="eraser"].tool')
    drag(window, (0.5, 0.4), (0.5, 0.6))
    erased = covers(window)
    assert 0 < erased < drawn
    window.page.click("#undo")
    assert covers(window) == drawn
    window.page.click("#undo")
    assert covers(window) == 0 and window.page.is_disabled("#undo")
    for _ in range(2):
        window.page.click("#redo")
    assert covers(window) == erased and window.page.is_disabled("#redo")
    window.page.click("#save")
    ((version, kept),) = wait_saved(console)
    assert version == 1 and kept.shape == (SIDE, SIDE)
    assert kept[256, 192] and kept[256, 320] and not kept[256, 256] and not kept[100, 100]
    assert round(100 * kept.mean(), 1) == erased
    window.shows('[data-version="1"]')


def test_a_mask_of_a_large_image_has_its_geometry_and_its_size(
    console: Console, window: Window
) -> None:
    media = large(console)
    fine = np.zeros((1801, 2400), np.bool_)
    fine[100:103, 100:700] = True  # three lines: less than the editor draws on shows
    fine[100:400:2, 100:700] = True
    with console.program() as program:
        program.post(f"/api/images/{media}/masks?base=0", content=png_mask(fine))
    opened(window, media)
    window.page.keyboard.press("b")
    window.page.evaluate("size.value = 100; size.dispatchEvent(new Event('input'))")
    window.page.mouse.click(*spot(window, 0.75, 0.5))
    window.page.keyboard.press("s")
    kept = wait_saved(console, 2)[1][1]
    assert kept.shape == (1801, 2400)
    assert np.array_equal(kept[:500], fine[:500])  # nothing was drawn there
    rows_, columns = np.nonzero(kept[500:])
    middle = ((columns.min() + columns.max()) / 2, 500 + (rows_.min() + rows_.max()) / 2)
    assert abs(middle[0] - 1800) < 6 and abs(middle[1] - 900.5) < 6
    wide, high = np.ptp(columns) + 1, np.ptp(rows_) + 1
    assert abs(wide - 150) <= 4 and abs(wide - high) <= 3  # a round brush of 100 px of 1600


def test_what_was_saved_is_shown_and_another_version_comes_after(
    console: Console, window: Window, media: int
) -> None:
    mask(console.app, media, (SIDE, SIDE), version="net-1")
    opened(window, media)
    before = covers(window)
    assert before > 20
    window.page.keyboard.press("c")
    assert covers(window) == 0
    window.page.keyboard.press("s")
    window.shows('[data-version="1"]')
    window.page.click('[data-version="0"]')
    eventually("the network's mask is back", lambda: covers(window) == before)
    window.page.keyboard.press("s")
    window.shows('[data-version="2"]')
    assert [version for version, _ in saved(console)] == [1, 2]
    opened(window, media)
    assert covers(window) == before


def test_keys_alone_draw_and_save(console: Console, window: Window, media: int) -> None:
    opened(window, media)
    window.page.locator("#canvas").focus()
    window.page.keyboard.press("b")
    for _ in range(6):
        window.page.keyboard.press("]")
    window.page.keyboard.press("Space")
    dab = covers(window)
    assert dab > 0
    for _ in range(8):
        window.page.keyboard.press("Shift+ArrowRight")
    assert covers(window) > dab
    for _ in range(8):
        window.page.keyboard.press("Control+z")
    assert covers(window) == dab
    window.page.keyboard.press("y")
    assert covers(window) > dab
    window.page.keyboard.press("Control+s")
    ((_, kept),) = wait_saved(console)
    assert kept[256, 256]


def suggestion(window: Window, act: Any) -> str:
    """Do it; the network that answered."""
    with window.page.expect_response("**/masks/suggest") as answer:
        act()
    eventually("it is shown", lambda: "busy" not in window.page.get_attribute("#board", "class"))
    return str(answer.value.headers["tagecho-model"])


def test_points_find_an_object_and_are_undone(console: Console, window: Window, media: int) -> None:
    opened(window, media)
    click = window.page.mouse.click
    by = suggestion(window, lambda: click(*spot(window, 0.43, 0.7)))
    first = covers(window)
    assert by.startswith("segment-") and 10 < first < 90
    window.page.keyboard.press("n")
    suggestion(window, lambda: click(*spot(window, 0.43, 0.2)))
    assert covers(window) < first
    window.page.keyboard.press("z")
    assert covers(window) == first
    window.page.keyboard.press("z")
    assert covers(window) == 0
    window.page.keyboard.press("y")
    window.page.keyboard.press("s")
    ((_, kept),) = wait_saved(console)
    assert kept[358, 220]


def test_a_box_finds_what_is_in_it_also_by_keys(
    console: Console, window: Window, media: int
) -> None:
    opened(window, media)
    window.page.keyboard.press("x")
    suggestion(window, lambda: drag(window, (0.2, 0.04), (0.7, 0.5)))
    assert 1 < covers(window) < 26
    window.page.keyboard.press("c")
    window.page.locator("#canvas").focus()
    window.page.keyboard.press("Space")
    for key in ("ArrowLeft", "ArrowUp"):
        for _ in range(15):
            window.page.keyboard.press(key)
    suggestion(window, lambda: window.page.keyboard.press("Space"))
    assert covers(window) > 0


def test_a_suggestion_is_added_to_the_mask_or_taken_from_it(
    console: Console, window: Window, media: int
) -> None:
    opened(window, media)
    window.page.keyboard.press("b")
    drag(window, (0.05, 0.05), (0.2, 0.05))
    drawn = covers(window)
    window.page.keyboard.press("p")
    window.page.select_option("#mode", "join")
    suggestion(window, lambda: window.page.mouse.click(*spot(window, 0.43, 0.7)))
    joined = covers(window)
    assert joined > drawn + 5
    suggestion(window, lambda: window.page.select_option("#mode", "take"))
    assert covers(window) <= drawn
    window.page.keyboard.press("Escape")
    own = suggestion(window, lambda: window.page.click("#network"))
    assert own.startswith("segment-") and covers(window) > 5


def test_zoom_and_pan_change_the_view_and_not_the_mask(
    console: Console, window: Window, media: int
) -> None:
    opened(window, media)
    x, y = spot(window, 0.5, 0.5)
    window.page.mouse.move(x, y)
    for _ in range(6):
        window.page.mouse.wheel(0, -120)
    window.page.keyboard.press("h")
    window.page.mouse.down()
    window.page.mouse.move(x - 90, y, steps=4)
    window.page.mouse.up()
    assert covers(window) == 0
    window.page.keyboard.press("b")
    window.page.mouse.move(x - 90, y)  # what was in the middle of the image
    window.page.mouse.down()
    window.page.mouse.up()
    near = covers(window)
    window.page.keyboard.press("s")
    ((_, kept),) = wait_saved(console)
    assert near > 0 and kept[256, 256] and not kept[256, 300]
    middle = window.page.mouse
    middle.down(button="middle")
    middle.move(x, y, steps=3)
    middle.up(button="middle")
    assert covers(window) == near


def test_fingers_draw_and_two_of_them_zoom(console: Console, chromium: Any, media: int) -> None:
    window = Window(chromium, console, "phone")
    opened(window, media)
    window.page.tap('[data-tool="brush"].tool')
    touch = window.page.context.new_cdp_session(window.page)

    def send(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = spot(window, 0.5, 0.5)
    send("touchStart", (x - 40, y))
    send("touchMove", (x, y))
    send("touchMove", (x + 40, y))
    send("touchEnd")
    eventually("it is drawn", lambda: covers(window) > 0)
    drawn = covers(window)
    send("touchStart", (x - 20, y), (x + 20, y))
    send("touchMove", (x - 60, y), (x + 60, y))
    send("touchMove", (x - 100, y), (x + 100, y))
    send("touchEnd")
    assert covers(window) == drawn  # two fingers draw nothing
    window.page.touchscreen.tap(x, y + 30)
    eventually("a dab", lambda: covers(window) > drawn)
    assert covers(window) < drawn * 2
    window.page.tap("#save")
    wait_saved(console)
    assert window.page.evaluate("document.documentElement.scrollWidth") <= window.width
    window.close()


def test_the_second_reviewer_sees_whose_mask_was_first(
    console: Console, window: Window, media: int
) -> None:
    opened(window, media)
    window.page.keyboard.press("b")
    drag(window, (0.4, 0.5), (0.6, 0.5))
    mine = covers(window)
    theirs = np.zeros((SIDE, SIDE), np.bool_)
    theirs[:, :256] = True
    path = f"/api/images/{media}/masks"
    with console.program() as program:
        program.post(f"{path}?base=0", content=png_mask(theirs))
    window.page.keyboard.press("s")
    window.shows("#conflict >> text=saved version 1 meanwhile")
    assert len(saved(console)) == 1
    window.page.click("#theirs")
    eventually("theirs is shown", lambda: covers(window) == 50)
    window.page.keyboard.press("z")
    assert covers(window) == mine
    with console.program() as program:
        program.post(f"{path}?base=1", content=png_mask(~theirs))
    window.page.keyboard.press("s")
    window.shows("#conflict >> text=saved version 2 meanwhile")
    window.page.click("#mine")
    found = wait_saved(console, 3)
    assert round(100 * found[2][1].mean(), 1) == mine
    window.complaints.clear()  # of the answers 409


def test_next_goes_to_what_nobody_has_reviewed(
    console: Console, window: Window, media: int
) -> None:
    second = photo(console, "p2", 80)
    window.go("/masks")
    window.shows(f'#editor[data-media="{second}"][data-ready="yes"]')
    window.page.keyboard.press("b")
    drag(window, (0.4, 0.5), (0.6, 0.5))
    window.page.keyboard.press("j")
    window.shows(".toast >> text=not saved")
    window.page.keyboard.press("w")
    window.shows(f'#editor[data-media="{media}"][data-ready="yes"]')
    window.page.click("#save-next")
    window.shows("text=Every image has a mask that a person drew or confirmed.")
    assert len(saved(console)) == 2


def test_a_png_is_loaded_and_another_shape_is_not(
    console: Console, window: Window, media: int
) -> None:
    opened(window, media)
    half = np.zeros((SIDE, SIDE), np.bool_)
    half[:256] = True
    for data, share in ((png_mask(half), 50), (png_mask(half[:100]), 50)):
        file = {"name": "m.png", "mimeType": "image/png", "buffer": data}
        window.page.set_input_files("#file", [file])
        eventually("it is loaded", lambda share=share: covers(window) == share)  # type: ignore[misc]
    window.shows(".toast.bad >> text=other proportions")


def test_a_viewer_looks_and_has_no_tools(guarded: Console, chromium: Any) -> None:
    media = photo(guarded)
    mask(guarded.app, media, (SIDE, SIDE))
    window = Window(chromium, guarded)
    window.go(f"/masks/{media}")
    window.page.fill("input[name=name]", "tom")
    window.page.fill("input[name=password]", VIEWING)
    window.page.keyboard.press("Enter")
    window.shows('#editor[data-ready="yes"]')
    before = covers(window)
    assert before > 0 and window.page.locator("#save, .tool, #file").count() == 0
    window.page.keyboard.press("b")
    drag(window, (0.1, 0.1), (0.9, 0.1))
    window.page.keyboard.press("s")
    window.page.click("#peek")
    assert window.page.get_attribute("#peek", "aria-pressed") == "true"
    assert covers(window) == before and not saved(guarded)
    window.close()


@pytest.mark.slow  # sixteen pages
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_editor_fits_and_has_no_serious_finding_of_axe(
    console: Console, chromium: Any, tmp_path: Path, media: int, size: str, scheme: str
) -> None:
    mask(console.app, media, (SIDE, SIDE), version="segment-0123456789ab")
    with console.program() as program:
        disc = program.get(f"/api/images/{media}/masks/0").content
        program.post(f"/api/images/{media}/masks?base=0", content=disc)
    window = Window(chromium, console, size, scheme)
    folder, found = Path(SHOTS or tmp_path), {}
    opened(window, media)
    for name in ("mask", "mask-brush", "mask-conflict", "masks-done"):
        if name == "mask-brush":
            window.page.keyboard.press("b")
        elif name == "mask-conflict":
            with console.program() as program:
                program.post(f"/api/images/{media}/masks?base=1", content=disc)
            window.page.keyboard.press("s")
            window.shows("#conflict")
        elif name == "masks-done":
            window.go("/masks")
            window.shows(".empty")
        window.page.screenshot(path=folder / f"{name}-{size}-{scheme}.png")
        assert window.page.evaluate("document.documentElement.scrollWidth") <= window.width, name
        found[name] = serious(window)
    window.complaints.clear()  # of the answer 409
    window.close()
    assert not any(found.values()), found
