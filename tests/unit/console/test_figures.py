"""Figures over time: series as JSON, CSV and plots."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

from bot.console.pages import plots
from bot.console.pages.plots import Column
from bot.core.clock import utc_now
from bot.core.events import Breaker
from storage import dataset, outbox
from storage.series import Unit, floor
from storage.tables import Reply, ReplyState
from tests.databases import make_post, queue_reply
from tests.unit.console.conftest import Console

S = ReplyState


def fill(console: Console) -> None:
    """Three posts, of which one was answered, one reply failed; a limit that was reached."""
    now = utc_now()
    with console.app.database.write() as session:
        for n in range(3):
            dataset.add(session, make_post(f"p{n}"), [], now)
        for n, ways in enumerate(((S.DRY_RUN,), (S.FAILED,))):
            reply = queue_reply(session, f"p{n}", now=now)
            assert reply is not None
            for old, new in zip((S.QUEUED, S.RENDERING), (S.RENDERING, *ways), strict=True):
                assert outbox.move(session, reply, old, new, who="worker", why="", now=now)
        sent = queue_reply(session, "p2", now=now - timedelta(seconds=40))
        row = session.get_one(Reply, sent)
        row.state, row.sent_at = S.SENT, now
    for _ in range(3):
        console.app.ledger.take("=main", "read", now=now, rate=0.001, burst=2)
    console.app.ledger.trip("=main", "*", Breaker(now, 1), at=now)


def test_each_series_is_counted_in_the_same_span(console: Console) -> None:
    fill(console)
    found: dict[str, Any] = {}
    with console.program() as program:
        for name in ("posts", "replies", "latencies", "limits"):
            found[name] = program.get(f"/api/figures/{name}", params={"by": "hour"}).json()
    for one in found.values():
        assert one["by"] == "hour" and len(one["rows"]) in (2, 168, 169)
    assert sum(row["posts"] for row in found["posts"]["rows"]) == 3
    totals = {
        name: sum(row[name] for row in found["replies"]["rows"])
        for name in ("asked", "dry_run", "failed", "sent")
    }
    assert totals == {"asked": 3, "dry_run": 1, "failed": 1, "sent": 0}
    (measured,) = (row for row in found["latencies"]["rows"] if row["replies"])
    assert 39 < measured["trigger_p50"] < 41 and measured["post_p50"] is None
    both = {row["action"]: row for row in found["limits"]["rows"]}
    assert (both["read"]["requests"], both["read"]["waits"], both["*"]["pauses"]) == (2, 1, 1)


def test_a_span_may_be_named_and_has_bounds(console: Console) -> None:
    fill(console)
    today = floor(utc_now(), Unit.DAY)
    week = {"since": (today - timedelta(days=7)).isoformat(), "until": today.isoformat()}
    with console.program() as program:
        rows = program.get("/api/figures/posts", params=week).json()["rows"]
        assert len(rows) == 7 and not any(row["posts"] for row in rows)
        for wrong in (
            {"since": today.isoformat(), "until": today.isoformat()},
            {"since": "2020-01-01T00:00:00Z", "by": "hour"},
        ):
            answer = program.get("/api/figures/posts", params=wrong)
            assert answer.status_code == 400 and "span" in answer.json()["error"]
        assert program.get("/api/figures/posts?since=2026-01-01").status_code == 422


def test_csv_has_the_same_rows_and_no_formula(console: Console) -> None:
    fill(console)
    with console.program() as program:
        answer = program.get("/api/figures/limits.csv")
        listed = program.get("/api/figures/limits").json()["rows"]
        posts = program.get("/api/figures/posts.csv?by=hour").text
    assert answer.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["action"] for row in table] == [row["action"] for row in listed]
    assert {row["account"] for row in table} == {"'=main"}
    assert sum(int(row["posts"]) for row in csv.DictReader(io.StringIO(posts))) == 3


def test_the_page_draws_what_happened_with_its_values(console: Console) -> None:
    with console.browser() as browser:
        empty = browser.get("/figures").text
        assert "No post was stored in this span." in empty and "<svg class" not in empty
        fill(console)
        page = browser.get("/figures?span=day").text
        assert page.count('<svg class="chart"') == 5
        assert "3 posts" in page and "1 dry run, 1 failed" in page
        assert "read, waits" in page and "all actions, pauses" in page
        assert 'href="/api/figures/posts.csv?since=' in page
        assert "style=" not in page
        wrong = browser.get("/figures?since=2026-01-02&until=2026-01-01").text
        assert "The span is empty" in wrong
        assert "2026-01-02" in browser.get("/figures?since=2026-01-01&until=2026-01-02").text


def test_what_has_nothing_to_show_comes_last(console: Console) -> None:
    console.app.ledger.take("=main", "read", now=utc_now(), rate=1, burst=2)
    with console.browser() as browser:
        page = browser.get("/figures").text
    order = [page.index(f'id="{name}"') for name in ("requests", "posts", "replies", "held")]
    assert order == sorted(order)
    assert "Posts stored (number)" in page and "Waits: our own limit" in page


def test_bars_stand_on_each_other_up_to_the_top_of_the_scale() -> None:
    plot = plots.bars(
        "x", "X", ["a", "b"], [Column("sent", [3, 0], "t0"), Column("failed", [1, 2], "t1")]
    )
    assert [mark.text for mark in plot.up] == ["0", "2", "4"]
    first, second, third = plot.bars
    assert (first.y, first.height, second.y, second.height) == (25, 75, 0, 25)
    assert (third.x, third.y, third.height, third.tone) == (55, 50, 50, "t1")
    assert plot.text == "3 sent, 3 failed" and plot.rows == [["a", "3", "1"], ["b", "0", "2"]]
    assert plots.bars("x", "X", ["a"], [Column("sent", [0], "t0")]).empty


def test_scales_hold_everything() -> None:
    for highest in (0, 1, 2, 3, 7, 10, 11, 99, 101, 12_345):
        top = plots.nice_top(highest)
        assert top >= highest and (top / 2).is_integer() and top <= max(2, 2 * highest)
    for known in ([0.01], [5.0], [3.0, 90.0], [1e9], [60.0, 60.0], []):
        ticks = plots.duration_ticks(known)
        assert len(ticks) >= 2 and ticks == sorted(ticks)
    plot = plots.durations("x", "X", ["a"], [Column("m", [86_400.0], "t0")])
    assert all(0 <= mark.at <= 100 for mark in plot.up)


def test_a_line_has_gaps_where_nothing_was_measured() -> None:
    column = Column("m", [1.0, 1.0, None, 10.0, None], "t0")
    (line,) = plots.durations("x", "X", list("abcde"), [column]).lines
    assert line.path.count("M") == 2 and line.path.count("L") == 1
    assert line.dots == "M70.00 0.00h0"
