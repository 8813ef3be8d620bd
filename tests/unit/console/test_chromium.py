"""The pages as a person uses them, in the Chromium of the system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.tables import ReplyState
from tests import datasets
from tests.replies import log, read_reply
from tests.unit.console.conftest import PASSWORD, Console
from tests.unit.console.test_replies import MARKUP, put, say, state
from tests.unit.console.window import SHOTS, SIZES, Window, needs_chromium, serious
from tests.waiting import eventually

pytestmark = needs_chromium
S = ReplyState


def test_replies_are_decided_by_keys_alone(console: Console, window: Window) -> None:
    first, second, third = (put(console, post=f"p{n}") for n in range(3))
    window.go("/replies")
    window.shows(f'[data-reply="{third}"]')
    window.page.keyboard.press("a")
    window.shows(f'[data-reply="{second}"]')
    assert state(console, third) == S.APPROVED
    window.page.keyboard.press("z")
    window.shows(f'[data-reply="{third}"]')
    assert state(console, third) == S.AWAITING_APPROVAL
    window.page.keyboard.press("j")
    window.shows(f'[data-reply="{second}"]')
    window.page.keyboard.press("j")
    window.shows(f'[data-reply="{first}"]')
    window.page.keyboard.press("k")
    window.shows(f'[data-reply="{second}"]')
    window.page.keyboard.press("r")
    window.page.keyboard.press("Tab")
    window.page.fill("#reject-dialog input[name=why]", "too dark")
    window.page.keyboard.press("Enter")
    window.shows(f'[data-reply="{first}"]')
    assert read_reply(console.app.database, second).reason == "too dark"
    window.page.keyboard.press("e")
    window.page.select_option("#redo-dialog select", "poster")
    window.page.fill("#redo-dialog textarea", "Look, @{author}")
    window.page.click("#redo-dialog button[value=ok]")
    window.shows(f'[data-reply="{third}"]')
    redone = read_reply(console.app.database, first)
    assert (redone.state, redone.style, redone.text) == (S.QUEUED, "poster", "Look, @{author}")


def test_many_are_decided_at_once(console: Console, window: Window) -> None:
    numbers = [put(console, post=f"p{n}") for n in range(4)]
    window.go("/replies")
    window.page.keyboard.press("x")
    window.page.check(f'[data-id="{numbers[1]}"] .pick')
    assert window.page.inner_text("#bulk-count") == "2"
    window.page.click('[data-bulk="approve"]')
    window.page.wait_for_selector("#bulk", state="hidden")
    states = [state(console, number) for number in numbers]
    assert states == ["awaiting_approval", "approved", "awaiting_approval", "approved"]


def test_a_page_follows_the_service_without_a_reload(console: Console, window: Window) -> None:
    number = put(console)
    window.go("/replies?view=all")
    window.page.evaluate("document.body.dataset.mine = 'the same page'")
    window.shows(f'[data-id="{number}"]')
    other = put(console, post="p2")
    window.shows(f'[data-id="{other}"]')
    with console.program() as program:
        say(program, "approve", number)
        program.post("/api/pause", json={})
    window.shows("text=Resume publishing")
    window.shows(f'[data-id="{number}"] >> text=approved')
    assert window.page.evaluate("document.body.dataset.mine") == "the same page"


def test_whoever_comes_second_is_told_who_was_first(console: Console, window: Window) -> None:
    number = put(console)
    window.go("/replies")
    window.shows('[data-word="approve"]')
    window.page.route("**/replies?*", lambda route: route.abort())  # its page is out of date
    with console.program() as program:
        say(program, "reject", number)
    window.page.evaluate("say('approve', [current()])")
    window.shows(".toast.bad >> text=was first: rejected")
    assert [new for _, new, _, _ in log(console.app.database, number)].count("approved") == 0
    window.complaints.clear()  # of the request that was stopped


def test_what_may_be_out_already_is_not_sent_again_by_a_key_or_unasked(
    console: Console, window: Window
) -> None:
    number = put(console, S.UNKNOWN)
    window.go("/replies")
    window.shows(f'[data-reply="{number}"]')
    window.page.keyboard.press("a")
    window.page.keyboard.press("j")
    assert not window.complaints
    window.page.click('[data-word="approve"]')
    assert window.complaints == ["a dialog"]  # it asks, and is answered "no"
    window.page.keyboard.press("x")
    window.page.click('[data-bulk="approve"]')
    assert window.complaints == ["a dialog"] * 2
    window.complaints.clear()
    assert state(console, number) == S.UNKNOWN
    window.page.click('[data-word="confirm"]')
    window.shows(".toast >> text=Confirmed")


NARROW = """[...document.querySelectorAll(".card-text td, .card-text th")].filter((one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    const words = one.textContent.trim().split(/\\s+/);
    return words.length === 1 && range.getClientRects().length > 1;
}).map((one) => one.textContent)"""


def test_tables_fit_a_phone_without_a_break_inside_a_word(console: Console, chromium: Any) -> None:
    window = Window(chromium, console, "phone")
    window.go("/learning/networks/segment")
    window.shows(".card-text table")
    assert window.page.evaluate(NARROW) == []
    scrolls = "all => all.some((one) => one.scrollWidth > one.clientWidth)"
    assert window.page.eval_on_selector_all(".card-text .scroll", scrolls)
    assert window.page.evaluate("document.documentElement.scrollWidth") <= window.width
    window.close()


def test_on_a_phone_what_goes_on_is_marked_and_a_mask_can_be_saved(
    console: Console, chromium: Any
) -> None:
    (media,) = datasets.put(console.app, "p1")
    window = Window(chromium, console, "phone")
    window.go("/replies")
    marked = "all => all.every((one) => getComputedStyle(one).backgroundImage.includes('gradient'))"
    assert window.page.eval_on_selector_all(".bar nav, .tabs", marked)
    window.go(f"/masks/{media}")
    box = window.page.locator("#save-next").bounding_box()
    assert box and box["y"] + box["height"] <= SIZES["phone"][1]
    window.close()


def test_a_stranger_runs_nothing_in_a_page(console: Console, window: Window) -> None:
    number = put(console, reason=MARKUP, text=MARKUP)
    window.go(f"/replies?id={number}")
    window.shows(f"text={'<script>alert(1)</script>'}")
    assert window.page.locator("main script, main img[src=x]").count() == 0


def test_the_slider_and_the_pictures(console: Console, window: Window) -> None:
    number = put(console)
    window.go(f"/replies?id={number}")
    # Not `wait_for_function`, which looks a second time by an eval that the page forbids.
    loaded = "[...document.querySelectorAll('#stage img')].every((one) => one.naturalWidth > 0)"
    eventually("the pictures are there", lambda: window.page.evaluate(loaded))
    slider = window.page.locator(".cut")
    slider.focus()
    for _ in range(10):
        window.page.keyboard.press("ArrowRight")
    cut = "document.getElementById('stage').style.getPropertyValue('--cut')"
    assert window.page.evaluate(cut) == "60%"
    window.page.click("button[data-show=mask]")
    assert window.page.get_attribute("#stage", "data-show") == "mask"
    assert window.page.is_visible("#stage .mask") and not window.page.is_visible("#stage .after")


def test_tracks_are_changed_by_hand(console: Console, window: Window) -> None:
    window.go("/tracks")
    window.page.fill("input[name=target]", "#dawn")
    window.page.fill("input[name=every]", "often")
    window.page.keyboard.press("Enter")
    window.shows(".add .error:not(:empty)")
    window.complaints.clear()  # of the answer 400
    window.page.fill("input[name=every]", "30m")
    window.page.keyboard.press("Enter")
    window.shows("text=every 30m")
    window.page.click('[aria-label="Pause #dawn"]')
    window.shows('[aria-label="Resume #dawn"]')
    assert "paused = true" in console.path.read_text(encoding="utf-8")


def test_a_person_logs_in_decides_and_logs_out(guarded: Console, chromium: Any) -> None:
    number = put(guarded)
    window = Window(chromium, guarded)
    window.go("/replies")
    window.page.fill("input[name=name]", "eva")
    window.page.fill("input[name=password]", PASSWORD)
    window.page.keyboard.press("Enter")
    window.shows(f'[data-reply="{number}"]')
    window.page.keyboard.press("a")
    window.shows("text=Nothing waits for you.")
    assert read_reply(guarded.app.database, number).approved_by == "eva"
    window.page.click("text=Log out")
    window.shows("input[name=password]")
    window.close()


CURRENT_IN_VIEW = """(() => {
    const box = document.querySelector("nav [aria-current]")?.getBoundingClientRect();
    return !box || (box.left >= 0 && box.right <= innerWidth);
})()"""


@pytest.mark.slow  # forty-four pages
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_and_has_no_serious_finding_of_axe(
    console: Console, chromium: Any, tmp_path: Path, size: str, scheme: str
) -> None:
    for one in (S.AWAITING_APPROVAL, S.FAILED, S.SENT, S.UNKNOWN):
        put(console, one, one, reason="why it is so" if one != S.SENT else "")
    window = Window(chromium, console, size, scheme)
    folder = Path(SHOTS or tmp_path)
    paths = {
        "state": "/",
        "replies": "/replies",
        "reply": "/replies?view=all&id=1",
        "empty": "/replies?view=underway",
        "tracks": "/tracks",
        "dataset": "/dataset",
        "learning": "/learning",
        "card": "/learning/networks/segment",
        "figures": "/figures",
        "log": "/log",
        "problem": "/nothing",
    }
    found = {}
    for name, path in paths.items():
        window.go(path)
        window.page.wait_for_load_state("load")
        window.page.screenshot(path=folder / f"{name}-{size}-{scheme}.png")
        assert window.page.evaluate("document.documentElement.scrollWidth") <= window.width, name
        found[name] = serious(window)
        assert window.page.evaluate(CURRENT_IN_VIEW), f"{name}: the bar hides where one is"
    window.complaints.clear()  # of the page that is not there
    window.close()
    assert not any(found.values()), found
