"""The page of replies: safe with hostile captions, readable without a script, small in memory."""

from __future__ import annotations

import base64
import io
import shutil
import stat
import subprocess
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from bot.core.errors import StorageError
from bot.verbs.report import THUMBNAIL, ReplyRow, StateChange, write_page
from models.images.codec import encode_jpeg, png_mask
from tests.waiting import PATIENCE

NOON = datetime(2026, 5, 9, 12, tzinfo=UTC)
HOSTILE = (
    """<script>alert(1)</script>"><img src=x onerror=alert(2)> </blockquote>{{ 7 * 7 }} &amp; 🌅"""
)


def row(reply_id: str = "1", state: str = "sent", **values: object) -> ReplyRow:
    defaults: dict[str, object] = {"post_url": "https://example.org/p/1", "author": "ines"}
    return ReplyRow(reply_id, state, created_at=NOON, **(defaults | values))


def photo(width: int = 64, height: int = 48) -> bytes:
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    return encode_jpeg(np.tile(ramp[None, :, None], (height, 1, 3)), description="")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements with the text directly inside them; complains about tags that do not match."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)
    VOID = frozenset({"meta", "img", "input", "br"})

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.open[-1].text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [e for e in self.elements if e.tag == tag and wanted.items() <= e.attributes.items()]

    def one(self, tag: str, **attributes: str) -> Element:
        (found,) = self.all(tag, **attributes)
        return found


def written(path: Path, *rows: ReplyRow, title: str = "Replies") -> Page:
    write_page(path / "replies.html", rows, title)
    page = Page()
    page.feed((path / "replies.html").read_text("utf-8"))
    page.close()
    assert page.open == []
    return page


def embedded(image: Element) -> PIL.Image.Image:
    head, _, data = image.attributes["src"].partition(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    return PIL.Image.open(io.BytesIO(base64.b64decode(data)))


def test_before_mask_and_after_stand_side_by_side(tmp_path: Path) -> None:
    mask = np.zeros((48, 64), dtype=np.bool_)
    mask[10:30, 20:40] = True
    page = written(
        tmp_path, row(before=photo(), mask=png_mask(mask), after=photo(1080, 1350), style="tint")
    )
    before, middle, after = page.all("img")
    assert [caption.text for caption in page.all("figcaption")] == ["Before", "Mask", "After"]
    assert before.attributes["alt"] == "Original photo by @ines"
    assert after.attributes["alt"] == "Reply image in the style tint"
    assert embedded(before).size == (64, 48)
    np.testing.assert_array_equal(np.asarray(embedded(middle)), mask * 255)
    assert embedded(after).size == (THUMBNAIL * 4 // 5, THUMBNAIL)
    for image in (before, middle, after):
        assert image.attributes["loading"] == "lazy"
        size = int(image.attributes["width"]), int(image.attributes["height"])
        assert embedded(image).size == size


def test_pictures_that_are_missing_or_broken_are_named(tmp_path: Path) -> None:
    page = written(tmp_path, row(before=b"", mask=None, after=photo()[:300]))
    assert page.all("img") == []
    assert [e.text.strip() for e in page.all("div", class_="none")] == [
        "empty",
        "none yet",
        "truncated",
    ]


def test_hostile_text_is_only_text(tmp_path: Path) -> None:
    page = written(
        tmp_path,
        row(
            reply_id=HOSTILE,
            state=HOSTILE,
            author=HOSTILE,
            caption=HOSTILE,
            style=HOSTILE,
            mode=HOSTILE,
            trigger=HOSTILE,
            reason=HOSTILE,
            post_url=HOSTILE,
            published_url=HOSTILE,
            before=photo(),
            history=(StateChange(NOON, HOSTILE, HOSTILE, HOSTILE),),
        ),
        title=HOSTILE,
    )
    assert page.all("script") == []
    assert [e for e in page.elements if any(name.startswith("on") for name in e.attributes)] == []
    assert all(e.attributes["src"].startswith("data:image/") for e in page.all("img"))
    assert page.one("blockquote").text == HOSTILE
    assert page.one("h1").text == HOSTILE
    assert "49" not in page.one("blockquote").text
    style = page.one("style").text
    assert "alert(1)" not in style
    assert style.count("{") == style.count("}")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org/p",
        "https:///p",
        "https://[::1",
        "JAVASCRIPT:alert(1)",
        " javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://example.org/",
    ],
)
def test_only_web_addresses_become_links(tmp_path: Path, url: str) -> None:
    page = written(tmp_path, row(post_url=url, published_url=url))
    assert page.all("a") == []
    assert url in [e.text for e in page.all("dd")]


def test_web_addresses_are_links_that_tell_nothing_about_us(tmp_path: Path) -> None:
    page = written(tmp_path, row(published_url="http://127.0.0.1:8480/p/2?a=1&b=2"))
    hrefs = [link.attributes["href"] for link in page.all("a")]
    assert hrefs == ["https://example.org/p/1", "http://127.0.0.1:8480/p/2?a=1&b=2"]
    assert {link.attributes["rel"] for link in page.all("a")} == {"noopener noreferrer"}


def test_the_page_may_load_and_run_nothing(tmp_path: Path) -> None:
    page = written(tmp_path, row())
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script" not in policy
    assert page.all("link") == []
    assert "url(" not in page.one("style").text
    assert "@import" not in page.one("style").text


def test_the_summary_counts_states_and_filters_by_them(tmp_path: Path) -> None:
    states = ["sent", "awaiting_approval", "sent", "failed", "sent"]
    page = written(tmp_path, *(row(str(n), state) for n, state in enumerate(states)))
    labels = {e.attributes["for"]: e for e in page.all("label")}
    inputs = [e.attributes["id"] for e in page.all("input", type="radio")]
    assert (
        inputs
        == list(labels)
        == [
            "show-all-states",
            "show-sent",
            "show-awaiting-approval",
            "show-failed",
        ]
    )
    assert [e.text for e in page.all("b")[:4]] == ["5", "3", "1", "1"]
    assert "checked" in page.all("input")[0].attributes
    style = page.one("style").text
    for state in ("sent", "awaiting-approval", "failed"):
        assert f"body:has(#show-{state}:checked) .reply:not(.s-{state})" in style
    shown = [e.attributes["class"].split() for e in page.all("article")]
    assert [names[1] for names in shown] == [
        "s-sent",
        "s-awaiting-approval",
        "s-sent",
        "s-failed",
        "s-sent",
    ]


def test_a_page_without_replies(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert page.one("p", class_="empty").text == "No replies yet."
    assert page.all("fieldset") == []


def test_times_are_shown_in_utc(tmp_path: Path) -> None:
    summer = NOON.astimezone(timezone(timedelta(hours=2)))
    page = written(
        tmp_path, row(taken_at=summer, history=(StateChange(summer, "queued", "daemon"),))
    )
    texts = [e.text for e in page.all("time")[1:]]
    assert texts == ["2026-05-09 12:00:00 UTC"] * 3
    assert page.one("summary").text == "History: 1 change"


def test_long_and_odd_captions(tmp_path: Path) -> None:
    caption = "قهوة ☕ \u202e\ud800 日本語 " * 700
    page = written(tmp_path, row(caption=caption))
    assert page.one("blockquote").text == caption.replace("\ud800", "?")
    assert page.one("blockquote").attributes["dir"] == "auto"


def test_headings_and_language(tmp_path: Path) -> None:
    page = written(tmp_path, row("7"), title="Replies of @bot")
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("title").text == page.one("h1").text == "Replies of @bot"
    heading = page.one("h2")
    assert page.one("article").attributes["aria-labelledby"] == heading.attributes["id"]


def test_the_file_is_private_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "replies.html"
    write_page(path, [row()], "First")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def breaks() -> Iterator[ReplyRow]:
        yield row()
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        write_page(path, breaks(), "Second")
    assert "<h1>First</h1>" in path.read_text("utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot write"):
        write_page(tmp_path / "file" / "replies.html", [row()], "x")


def test_a_long_log_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    image = encode_jpeg(noise, description="")

    def peak(count: int) -> int:
        tracemalloc.start()
        write_page(tmp_path / "r.html", (row(str(n), before=image) for n in range(count)), "x")
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(2)  # loads the template
    short = peak(4)
    long = peak(40)
    assert (tmp_path / "r.html").stat().st_size > 3_000_000
    assert long < short + 500_000


def test_a_browser_shows_it(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium; the other tests parse the page")
    written(tmp_path, row(caption=HOSTILE, before=photo(), after=photo()), row("2", "failed"))
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=800,1200",
        "--hide-scrollbars",
        f"--screenshot={tmp_path / 'page.png'}",
        (tmp_path / "replies.html").as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    with PIL.Image.open(tmp_path / "page.png") as shot:
        assert shot.size == (800, 1200)
        # Text and two gradients: a blank page or an error page has next to no grey values.
        assert len(np.unique(np.asarray(shot.convert("L")))) > 150
