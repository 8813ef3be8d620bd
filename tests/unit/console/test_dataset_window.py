"""The dataset as a person uses it, in the Chromium of the system; each way ends before axe."""

from __future__ import annotations

import io
from typing import Any

import pytest
import skimage.data
from PIL import Image as Pil

from storage.tables import HashtagLabel, ImageLabel, Verdict
from tests.databases import NOW, rows
from tests.datasets import fit, judge, put
from tests.unit.console.conftest import Console
from tests.unit.console.test_dataset import alike_ones, fill
from tests.unit.console.window import Window, needs_chromium, serious
from tests.waiting import eventually

pytestmark = needs_chromium
WHY = "sharpness 0.1, below 0.3"


def shown(window: Window) -> list[int]:
    """The images of the grid, in order."""
    found = window.page.eval_on_selector_all(
        "#grid > li", "all => all.map((one) => Number(one.dataset.media))"
    )
    return [int(one) for one in found]


def words(console: Console) -> dict[int, bool]:
    return {one.media: one.accepted for one in rows(console.app.database, ImageLabel)}


def current(window: Window) -> int:
    """The image that has the focus; 0: none."""
    there = "Number(document.activeElement.closest('#grid > li')?.dataset.media || 0)"
    return int(window.page.evaluate(there))


def test_search_filters_and_the_reason_of_a_verdict(console: Console, window: Window) -> None:
    images = fill(console.app, 3)
    (other,) = put(console.app, "other", tags=("cap",), caption="at dusk", taken=NOW)
    judge(console.app, images[1], "blur")
    with console.app.database.write() as session:
        session.get_one(Verdict, (images[1], "blur")).reason = WHY
    window.go("/dataset")
    window.shows(f'[data-media="{other}"]')
    window.page.keyboard.press("/")
    window.page.keyboard.type("dusk")
    window.page.keyboard.press("Enter")
    window.page.wait_for_url("**/dataset?text=dusk")  # empty fields stay out of the address
    assert shown(window) == [other]
    window.page.click("text=Clear search")
    window.page.wait_for_url("**/dataset")
    window.page.click("summary >> text=Filters")
    window.page.select_option("select[name=check]", "blur")
    window.page.click("button >> text=Apply")
    window.page.wait_for_url("**/dataset?check=blur")
    assert shown(window) == [images[1]]
    assert "1 image." in window.page.inner_text("#result")
    assert window.page.get_attribute("text=Reset", "href") == "/dataset"
    assert window.page.get_attribute(".mark.warn", "title") == WHY
    assert not serious(window)
    window.page.keyboard.press("ArrowRight")
    window.page.keyboard.press("Enter")
    window.shows(f"#image-{images[1]} >> text={WHY}")
    assert not serious(window)
    window.go("/dataset?text=nowhere")
    window.shows("text=No image matches.")
    assert not serious(window)


def test_a_picture_says_that_it_is_on_its_way_or_failed(console: Console, window: Window) -> None:
    media = fill(console.app, 1)[0]
    said = {
        kind: f"getComputedStyle(document.querySelector('.tile-image'), '::{kind}').content"
        for kind in ("before", "after")
    }
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    window.page.route(f"**/images/{media}/picture*", hold)
    with window.page.expect_request(f"**/images/{media}/picture*"):
        window.page.goto("/dataset", wait_until="commit")
    window.page.wait_for_selector(".tile-image")
    assert "Loading" in window.page.evaluate(said["before"])
    held[0].abort()
    window.page.wait_for_selector(".tile-image img.broken", state="attached")
    assert "cannot be shown" in window.page.evaluate(said["after"])
    assert window.page.evaluate(said["before"]) == "none"
    window.page.unroute_all()
    window.go("/dataset")
    window.page.wait_for_selector(".tile-image.loaded")
    assert window.page.evaluate(said["before"]) == "none"
    window.complaints.clear()  # of the request that was stopped


def test_images_are_decided_by_keys_and_many_at_once(console: Console, window: Window) -> None:
    images = fill(console.app, 4)
    window.go("/dataset")
    window.shows(f'[data-media="{images[0]}"]')
    press = window.page.keyboard.press
    press("ArrowRight")
    assert current(window) == images[0]
    press("r")
    eventually("the next one is chosen", lambda: current(window) == images[1])
    press("a")
    eventually("the next one is chosen", lambda: current(window) == images[2])
    assert words(console) == {images[0]: False, images[1]: True}
    window.shows(f'.is-rejected[data-media="{images[0]}"]')
    window.shows(f'.is-accepted[data-media="{images[1]}"]')
    press("z")
    eventually("the last word is taken back", lambda: words(console) == {images[0]: False})
    window.shows(".toast >> text=Taken back")
    press("x")
    press("ArrowRight")
    press("x")
    assert window.page.inner_text("#picked") == "2 images"
    assert not serious(window)
    window.page.click("#reject-all")
    eventually("both are rejected", lambda: len(words(console)) == 3)
    window.page.wait_for_selector("#bulk", state="hidden")
    window.page.click(".toast button >> text=Undo")
    eventually("both are taken back", lambda: words(console) == {images[0]: False})


def test_a_post_takes_a_word_on_its_image_and_hashtags(console: Console, window: Window) -> None:
    (media,) = fill(console.app, 1)
    fit(console.app, 1, "hoodie", 0.7)
    window.go(f"/posts/1#image-{media}")
    window.page.click("[aria-label='#hoodie does not fit']")
    window.shows("text=does not fit >> nth=0")
    eventually("it is kept", lambda: len(rows(console.app.database, HashtagLabel)) == 1)
    window.page.click("text=Take back")
    eventually("it is taken back", lambda: rows(console.app.database, HashtagLabel) == [])
    window.page.click(f"#image-{media} >> text=Reject")
    eventually("it is kept", lambda: words(console) == {media: False})
    window.shows(f"#image-{media} >> text=rejected it")
    assert not serious(window)


def test_an_image_finds_what_looks_like_it(console: Console, window: Window) -> None:
    images = alike_ones(console.app)
    photo = io.BytesIO()
    Pil.fromarray(skimage.data.astronaut()).save(photo, "JPEG")
    window.go("/dataset")
    window.page.keyboard.press("ArrowRight")
    window.page.keyboard.press("m")
    window.page.wait_for_url(f"**/dataset?like={images[0]}")
    window.shows("text=Images like this one")
    assert shown(window)[0] == images[1]
    assert float(window.page.inner_text("#grid .mark >> nth=0")) > 0.5
    assert not serious(window)
    window.page.click("text=Back to the newest")
    window.page.wait_for_url("**/dataset")
    file = {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()}
    window.page.set_input_files("#example", [file])
    window.shows("text=Images like yours")
    assert window.page.get_attribute("#dropped", "src").startswith("blob:")
    assert not serious(window)
    file = {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": b"no image"}
    window.page.set_input_files("#example", [file])
    window.shows(".toast.bad")
    window.complaints.clear()  # of the answer 400


def test_the_grid_goes_on_as_one_scrolls(
    console: Console, chromium: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.console.pages.dataset.PAGE", 12)
    images = fill(console.app, 60)
    window = Window(chromium, console, "phone")
    window.go("/dataset")
    window.shows(f'[data-media="{images[0]}"]')
    assert len(shown(window)) < len(images)

    def at_the_end() -> bool:
        window.page.evaluate("scrollTo(0, document.body.scrollHeight)")
        return not window.page.locator("#more").count()

    eventually("all are there", at_the_end)
    assert shown(window) == images
    lazy = "all => all.every((one) => one.loading === 'lazy' && one.width && one.height)"
    assert window.page.eval_on_selector_all("#grid img", lazy)
    assert window.page.evaluate("document.documentElement.scrollWidth") <= window.width
    assert not serious(window)
    window.close()
