"""Tracks in the console: written into the file with its own checks, its comments kept."""

from __future__ import annotations

from bot.verbs.status import state_of
from bot.verbs.tracks import track_rows
from storage import audit
from tests.unit.console.conftest import CONFIG, Console


def test_a_track_is_added_paused_and_removed_and_the_comments_stay(console: Console) -> None:
    at = "/api/tracks/main/hashtag/dawn"
    with console.program() as program:
        added = program.post("/api/tracks", json={"target": "#Dawn", "every": "30m"})
        assert added.status_code == 201 and added.json()["track"] == "main:hashtag:dawn"
        text = console.path.read_text()
        assert "# Kept as it is." in text and "# a comment" in text and 'hashtag = "dawn"' in text
        assert program.post(f"{at}/pause", json={}).json()["paused"] is True
        lines = {one["track"]: one for one in program.get("/api/tracks").json()}
        assert lines["main:hashtag:dawn"]["health"] == "paused"
        assert program.post(f"{at}/pause", json={}).status_code == 404
        assert program.post(f"{at}/resume", json={}).json()["paused"] is False
        assert program.delete(at).status_code == 200
        assert program.delete(at).status_code == 404
    assert console.path.read_text() == CONFIG
    with console.app.database.read() as session:
        done = [row.action for row in audit.newest(session, 10)]
    assert done == ["track remove", "track resume", "track pause", "track add"]


def test_what_the_file_would_refuse_is_refused_in_its_words(console: Console) -> None:
    wrong = [
        ({"target": "sunset"}, "write #name"),
        ({"target": "#sunset"}, "already"),
        ({"target": "#dawn", "every": "often"}, "every"),
        ({"target": "#dawn", "reply": "pointillist"}, "reply"),
        ({"target": "#dawn", "account": "other"}, "no account"),
        ({"target": "#two words"}, "hashtag"),
    ]
    with console.program() as program:
        for body, words in wrong:
            answer = program.post("/api/tracks", json=body)
            assert answer.status_code == 400 and words in answer.json()["error"], body
    assert console.path.read_text() == CONFIG


def test_the_list_is_that_of_the_command_line(console: Console) -> None:
    with console.program() as program:
        said = program.get("/api/tracks").json()
    known = track_rows(state_of(console.app.settings))
    assert [(one["track"], one["health"], one["why"]) for one in said] == [
        (one["track"], one["health"], one["why"]) for one in known
    ]


def test_the_page_offers_only_what_may_be_changed(console: Console) -> None:
    with console.browser() as browser:
        text = browser.get("/tracks").text
    assert 'data-post="/api/tracks/main/hashtag/sunset/pause"' in text
    assert 'data-delete="/api/tracks/main/hashtag/sunset"' in text
    assert "mentions of main" in text and "main/mentions" not in text
