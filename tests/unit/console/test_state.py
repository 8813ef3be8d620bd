"""The first page: as `tagecho status`, with the pause switch."""

from __future__ import annotations

from bot.console.pages.rendering import NAVIGATION
from bot.core.clock import utc_now
from bot.service.state import as_dict
from bot.verbs.status import state_of
from storage import audit
from storage.tables import ReplyState
from tests.replies import put_reply
from tests.unit.console.conftest import CONFIG, Console


def test_the_api_tells_what_the_status_tells(console: Console) -> None:
    put_reply(console.app.database, ReplyState.AWAITING_APPROVAL)
    with console.program() as program:
        said = program.get("/api/state").json()
    known = as_dict(state_of(console.app.settings))
    for one in (said, known):
        for changing in ("at", "disk", "accounts"):
            del one[changing]
    assert said == known


def test_the_first_page_shows_it_and_every_page_has_the_switch(console: Console) -> None:
    put_reply(console.app.database, ReplyState.AWAITING_APPROVAL)
    with console.browser() as browser:
        text = browser.get("/").text
        for part in ("#sunset", "@imagebot", "The service does not run", "awaiting approval"):
            assert part in text
        for path, _ in NAVIGATION:
            assert "Pause publishing" in browser.get(path).text
        browser.change("/api/pause", {})
        for path, _ in NAVIGATION:
            page = browser.get(path).text
            assert "Resume publishing" in page and "Publishing is paused" in page
        browser.change("/api/resume", {})
        assert "Pause publishing" in browser.get("/").text


def test_what_needs_a_person_is_said_once_with_a_link(console: Console) -> None:
    number = put_reply(console.app.database, ReplyState.UNKNOWN)
    with console.browser() as browser:
        text = browser.get("/").text
    assert text.count("does not run") == 1 and text.count("tagecho run") == 1
    assert f'href="/replies?state=unknown&amp;id={number}"' in text
    assert "tagecho replies show" not in text
    assert 'class="tile urgent" href="/replies?state=unknown"' in text


def test_the_log_leads_to_what_it_names(console: Console) -> None:
    said = (("reply approve", "1, 3"), ("mask save", "image 2, version 1"), ("login", ""))
    with console.app.database.write() as session:
        for action, target in said:
            audit.add(session, "eva", "127.0.0.1", action, target, "done", utc_now())
    with console.browser() as browser:
        text = browser.get("/log").text
    assert '<a href="/replies?view=all&amp;id=3">reply 3</a>' in text
    assert '<a href="/masks/2">image 2, version 1</a>' in text
    assert 'data-label="who">eva' in text


def test_an_account_that_is_not_there_cannot_be_paused(console: Console) -> None:
    with console.program() as program:
        answer = program.post("/api/pause", json={"account": "other"})
    assert answer.status_code == 400
    assert answer.json() == {"error": "there is no account 'other'"}


def test_a_file_that_is_edited_is_shown_and_a_wrong_one_says_what_is_wrong(
    console: Console,
) -> None:
    with console.browser() as browser:
        console.path.write_text(CONFIG.replace('"sunset"', '"dawn"'))
        assert "#dawn" in browser.get("/").text
        console.path.write_text(CONFIG.replace("hashtag", "hashtga"))
        text = browser.get("/").text
        assert "did you mean" in text and "hashtga" in text and "#dawn" in text
        console.path.write_text(CONFIG)
        assert "The configuration file is wrong" not in browser.get("/").text
