"""The queue and the log in the console: what is shown, what may be said, and who was first."""

from __future__ import annotations

import csv
import io
import threading
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from skimage import data

from bot.console.thumbnails import Thumbnails
from bot.core.clock import utc_now
from bot.flow.publisher import text_of
from bot.platforms import registry
from bot.service.app import policy_of
from models.images.codec import encode_jpeg, png_mask
from storage import audit, pauses
from storage.tables import Reply, ReplyState
from tests.datasets import disc
from tests.replies import log, put_reply, read_reply
from tests.unit.console.conftest import Console

S = ReplyState
MARKUP = '<script>alert(1)</script> <img src=x onerror="alert(2)"> & "quotes"'


def put(
    console: Console, state: ReplyState = S.AWAITING_APPROVAL, post: str = "p1", **more: Any
) -> int:
    """A reply with its three pictures, whose time is not over."""
    photo = encode_jpeg(np.ascontiguousarray(data.astronaut()), description="")
    values = {
        "before_sha256": console.app.originals.put(photo),
        "after_sha256": console.app.artifacts.put(photo),
        "mask_sha256": console.app.artifacts.put(png_mask(disc((64, 64)))),
        "expires_at": utc_now() + timedelta(hours=48),
        "facts": {"compose": {"style": "echo"}, "segment": {"confidence": 0.87}, "seconds": 1.5},
    }
    return put_reply(console.app.database, state, post, **(values | more))


def say(client: httpx.Client, word: str, *numbers: int, **more: Any) -> list[dict[str, Any]]:
    answer = client.post(f"/api/replies/{word}", json={"replies": numbers, **more})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["outcomes"]
    return found


def state(console: Console, number: int) -> str:
    return read_reply(console.app.database, number).state


def test_what_waits_for_a_person_comes_first_and_the_lists_are_complete(console: Console) -> None:
    numbers = {state: put(console, state, state) for state in S}
    with console.browser() as browser, console.program() as program:
        first = browser.get("/replies").text
        assert f'data-open="{numbers[S.AWAITING_APPROVAL]}"' in first
        assert f'data-open="{numbers[S.UNKNOWN]}"' in first
        assert f'data-open="{numbers[S.SENT]}"' not in first
        seen = set()
        for view in ("decide", "underway", "sent", "stopped"):
            text = browser.get("/replies", params={"view": view}).text
            seen |= {number for number in numbers.values() if f'data-open="{number}"' in text}
        assert seen == set(numbers.values())
        one = program.get("/api/replies", params={"state": "failed"}).json()
    assert [row["id"] for row in one["replies"]] == [numbers[S.FAILED]] and one["total"] == 1


def test_the_list_goes_on_behind_its_last_line(console: Console) -> None:
    numbers = [put_reply(console.app.database, S.SENT, f"p{n}") for n in range(5)]
    with console.program() as program:
        first = program.get("/api/replies", params={"limit": 2}).json()
        last = first["replies"][-1]["id"]
        rest = program.get("/api/replies", params={"limit": 9, "before": last}).json()
    assert [r["id"] for r in first["replies"] + rest["replies"]] == numbers[::-1]


def test_csv_and_json_have_the_list_that_is_shown_and_no_formula(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.verbs.replies.PAGE", 2)
    states = (S.FAILED, S.REJECTED, S.SENT, S.FAILED, S.EXPIRED)
    numbers = [
        put_reply(console.app.database, state, f"p{n}", reason="=1+1", style="echo")
        for n, state in enumerate(states)
    ]
    stopped = [numbers[n] for n in (4, 3, 1, 0)]
    with console.browser() as browser, console.program() as program:
        page = browser.get("/replies", params={"view": "stopped"}).text
        address = page.partition('href="/api/replies.csv?')[2].partition('"')[0]
        asked = address.replace("&amp;", "&")
        text = program.get(f"/api/replies.csv?{asked}")
        listed = program.get(f"/api/replies.json?{asked}").json()
        whole = program.get("/api/replies.json").json()
        refused = program.get("/api/replies.csv?author=nobody")
    assert text.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(text.text)))
    assert [int(row["id"]) for row in table] == [one["id"] for one in listed] == stopped
    assert {row["reason"] for row in table} == {"'=1+1"}
    assert {one["reason"] for one in listed} == {"=1+1"}
    assert [one["id"] for one in whole] == numbers[::-1]
    assert refused.status_code == 400


def test_a_reply_is_shown_with_all_that_a_decision_needs(console: Console) -> None:
    number = put(console, reason="the main object is not clear")
    with console.browser() as browser:
        text = browser.get("/replies", params={"id": number}).text
        for part in ("the main object is not clear", "What will be posted", "mention", "0.87"):
            assert part in text
        for which in ("before", "mask", "after"):
            address = f"/api/replies/{number}/images/{which}"
            assert address in text
            answer = browser.get(address, params={"side": 96})
            assert answer.headers["content-type"] == "image/webp"
            assert answer.content[8:12] == b"WEBP"
        kept = browser.get(f"/api/replies/{number}/images/after", params={"side": 96, "v": "x"})
        assert "immutable" in kept.headers["cache-control"]


def test_what_will_be_posted_is_what_the_publisher_writes(console: Console) -> None:
    number = put(console)
    with console.program() as program:
        said = program.get(f"/api/replies/{number}").json()["will_send"]
    platform = registry.find("instagram")
    assert platform is not None
    reply, policy = read_reply(console.app.database, number), policy_of(console.app.settings)
    mode = platform.ways.modes[0]
    assert [(one["kind"], one["text"]) for one in said] == [
        (kind.name, text_of(kind, platform.ways, policy, reply, "")) for kind in mode.steps
    ]
    assert any(reply.source_url in one["text"] for one in said)


def test_captions_of_others_are_text(console: Console) -> None:
    number = put(console, reason=MARKUP, text=MARKUP)
    with console.browser() as browser:
        text = browser.get("/replies", params={"id": number}).text
    assert "<script>alert" not in text and "<img src=x" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_approve_reject_and_take_back(console: Console) -> None:
    one, two = put(console), put(console, post="p2")
    with console.program() as program:
        assert say(program, "approve", one)[0]["state"] == "approved"
        assert say(program, "reject", two, why="too dark")[0]["state"] == "rejected"
        assert read_reply(console.app.database, two).reason == "too dark"
        taken = say(program, "undo", one, two)
        assert [one["done"] for one in taken] == [True, True]
    assert state(console, one) == state(console, two) == S.AWAITING_APPROVAL
    assert log(console.app.database, two)[-1][:2] == ("rejected", "awaiting_approval")
    assert read_reply(console.app.database, one).approved_by == ""


def test_what_was_begun_or_decided_by_others_is_not_taken_back(console: Console) -> None:
    number = put(console)
    with console.program() as program:
        say(program, "approve", number)
        with console.app.database.write() as session:
            session.get_one(Reply, number).state = S.SENDING
        assert "nothing to take back" in say(program, "undo", number)[0]["error"]
        other = put(console, S.APPROVED, "p2")
        assert say(program, "undo", other)[0]["done"] is False
    assert state(console, other) == S.APPROVED


def test_another_style_and_text_are_made_and_need_a_new_approval(console: Console) -> None:
    number = put(console, S.APPROVED)
    with console.program() as program:
        assert say(program, "redo", number, style="poster", text="Look, @{author}")[0]["done"]
        wrong = program.post("/api/replies/redo", json={"replies": [number], "style": "no"})
        assert wrong.status_code == 400 and "no style 'no'" in wrong.json()["error"]
    reply = read_reply(console.app.database, number)
    assert (reply.state, reply.style, reply.text) == (S.QUEUED, "poster", "Look, @{author}")
    assert reply.after_sha256 is None
    reply.facts = {"compose": {"style": "poster"}}
    platform = registry.find("instagram")
    assert platform is not None
    caption = next(kind for kind in platform.ways.steps() if kind.text is not None)
    policy = policy_of(console.app.settings)
    text = text_of(caption, platform.ways, policy, reply, "ann")
    assert text.startswith("Look, @ann") and reply.source_url in text


def test_what_failed_is_tried_again_and_what_is_half_out_is_not(console: Console) -> None:
    number = put(console, S.FAILED, expires_at=utc_now() - timedelta(hours=1))
    with console.program() as program:
        assert say(program, "retry", number)[0]["state"] == "queued"
        assert read_reply(console.app.database, number).expires_at > utc_now()
        sent = put(console, S.SENT, "p2")
        assert say(program, "retry", sent)[0]["done"] is False
        waiting = put(console, S.QUEUED, "p3")
        assert say(program, "cancel", waiting, why="no")[0]["state"] == "cancelled"
        assert say(program, "cancel", sent)[0]["done"] is False


def test_of_two_reviewers_at_once_one_is_first_and_the_other_is_told(guarded: Console) -> None:
    """All replies at once by two people: each is decided once, and each loser knows by whom."""
    numbers = [put(guarded, post=f"p{n}") for n in range(8)]
    found: dict[str, list[dict[str, Any]]] = {}
    ready = threading.Barrier(2)

    def decide(name: str, word: str) -> None:
        with guarded.browser() as browser:
            browser.log_in(name=name)
            token = browser.csrf()
            ready.wait()
            for number in numbers:
                body = {"replies": [number]}
                answer = browser.change(f"/api/replies/{word}", body, token).json()
                found.setdefault(name, []).extend(answer["outcomes"])

    both = [
        threading.Thread(target=decide, args=one) for one in (("eva", "approve"), ("jo", "approve"))
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    for ours, theirs in zip(found["eva"], found["jo"], strict=True):
        assert ours["done"] is not theirs["done"]
        loser, winner = (theirs, "eva") if ours["done"] else (ours, "jo")
        assert loser["by"] == winner and loser["state"] == "approved"
        moves = [new for _, new, _, _ in log(guarded.app.database, ours["reply"])]
        assert moves.count("approved") == 1


def test_many_at_once_and_what_cannot_be_is_told_one_by_one(console: Console) -> None:
    good, sent = put(console), put(console, S.SENT, "p2")
    with console.program() as program:
        outcomes = say(program, "approve", good, sent, 4711)
    assert [one["done"] for one in outcomes] == [True, False, False]
    assert (
        "only awaiting_approval" in outcomes[1]["error"] and "no reply 4711" in outcomes[2]["error"]
    )
    with console.app.database.read() as session:
        row = audit.newest(session, 1)[0]
    assert row.action == "reply approve" and "4711" in row.target and "only" in row.outcome


def test_what_may_be_out_already_is_confirmed_first_and_sent_again_last(console: Console) -> None:
    put(console)
    number = put(console, S.UNKNOWN, "p2")
    with console.browser() as browser:
        page = browser.get("/replies", params={"id": number}).text
        waiting = put(console, post="p3")
        other = browser.get("/replies", params={"id": waiting}).text
    actions = page.partition('class="actions"')[2].partition("</div>")[0]
    assert actions.index('class="primary" data-word="confirm"') < actions.index("send again")
    assert "<kbd>a</kbd>" not in actions and actions.count("primary") == 1
    said = page.partition('class="why warn"')[2].partition("</p>")[0]
    assert "may post it twice" in said and "@imagebot" in said
    assert f'href="{read_reply(console.app.database, number).source_url}"' in said
    assert "<kbd>a</kbd>" in other and "may post it twice" not in other


def test_the_bar_and_the_list_count_the_same(console: Console) -> None:
    for one in (S.AWAITING_APPROVAL, S.UNKNOWN, S.FAILED):
        put(console, one, one)
    with console.browser() as browser:
        page = browser.get("/replies").text
    assert 'id="waiting" data-live>2<' in page
    assert 'To decide <span class="muted num">2</span>' in page


@pytest.mark.parametrize("path", ["/api/replies/9", "/api/replies/9/images/after", "/replies?id=9"])
def test_what_is_not_there_is_said(console: Console, path: str) -> None:
    with console.browser() as browser:
        assert browser.get(path).status_code == 404


def test_an_author_nobody_has_is_a_line_and_no_error(console: Console) -> None:
    with console.browser() as browser, console.program() as program:
        page = browser.get("/replies", params={"view": "all", "author": "nobody"})
        assert page.status_code == 200 and "nobody known has the name" in page.text
        assert program.get("/api/replies", params={"author": "nobody"}).status_code == 400


def test_a_change_is_told_as_it_happens(console: Console) -> None:
    number = put(console)
    with (
        console.program() as program,
        console.program() as other,
        program.stream("GET", "/api/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == ": begun"
        say(other, "approve", number)
        assert next(line for line in lines if line.startswith("event:")) == "event: change"
        with console.app.database.write() as session:
            pauses.switch(session, None, on=True, now=utc_now())
        assert next(line for line in lines if line.startswith("event:")) == "event: change"


def test_thumbnails_are_kept_and_their_memory_is_bounded() -> None:
    photo = encode_jpeg(np.ascontiguousarray(data.astronaut()), description="")
    first = Thumbnails().of("a", photo, 64)
    few = Thumbnails(most=len(first))
    assert few.of("a", photo, 64) is few.of("a", photo, 64)
    kept = few.of("a", photo, 64)
    few.of("b", photo, 64)
    assert few.of("a", photo, 64) is not kept
