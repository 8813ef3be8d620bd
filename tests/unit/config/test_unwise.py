"""What is legal and unwise is told with its line; what is usual is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import parse
from bot.config.initial import example
from bot.config.unwise import unwise

ACCOUNT = """\
[accounts.main]
platform = "instagram"
username = "imagebot"
"""
TRACK = '[[tracks]]\naccount = "main"\nhashtag = "sunset"\n'


def warned(folder: Path, text: str) -> list[str]:
    """`LINE: KEY` of every warning."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    found = unwise(path, parse(text, path, {}), {})
    assert all(problem.what for problem in found)
    return [f"{problem.origin.line}: {problem.key}" for problem in found]


def test_nothing_about_the_example(tmp_path: Path) -> None:
    assert warned(tmp_path, example()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ACCOUNT}request_delay = [0, 0]\n", "4: accounts.main.request_delay"),
        (f'{ACCOUNT}mentions_every = "59s"\n', "4: accounts.main.mentions_every"),
        (f'{ACCOUNT}{TRACK}every = "1s"\n', "7: tracks[0].every"),
        (f'{ACCOUNT}{TRACK}reply = "auto"\n', "7: tracks[0].reply"),
        (f'{ACCOUNT}{TRACK}[replies]\nopt_in_hashtags = ["sunset"]\n', "6: tracks[0].hashtag"),
        (f'{ACCOUNT}[[tracks]]\naccount = "main"\nprofile = "imagebot"\n', "6: tracks[0].profile"),
        (f"{ACCOUNT}[replies]\napproval = false\n", "5: replies.approval"),
        (f"{ACCOUNT}[replies]\nper_day = 51\n", "5: replies.per_day"),
        (f"{ACCOUNT}[replies]\nper_day = 0\n", "5: replies.per_day"),
        (f"{ACCOUNT}[replies]\nper_author_per_day = 4\n", "5: replies.per_author_per_day"),
        (f'{ACCOUNT}[replies]\nmax_age = "8d"\n', "5: replies.max_age"),
        (f'{ACCOUNT}[replies]\napproval_expires = "1m"\n', "5: replies.approval_expires"),
        (f"{ACCOUNT}[replies]\nmentions = false\n", "4: replies.enabled"),
        (f'{ACCOUNT}[pacing]\npublish = "off"\n', "5: pacing.publish"),
        (f'{ACCOUNT}[pacing]\ncomment = "1/s"\n', "5: pacing.comment"),
        (f"{ACCOUNT}[limits]\nmax_pixels = 300_000_000\n", "5: limits.max_pixels"),
        (
            f'{ACCOUNT}[health]\nallow_remote = true\nlisten = "0.0.0.0:8490"\n',
            "6: health.listen",
        ),
        ("", "1: accounts"),
    ],
)
def test_each_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in warned(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        f'{ACCOUNT}request_delay = [1, 3]\nmentions_every = "1m"\n',
        f'{ACCOUNT}{TRACK}every = "1m"\n[replies]\nopt_in_hashtags = ["tintme"]\n',
        f"{ACCOUNT}[replies]\napproval = false\ndry_run = true\n",
        f"{ACCOUNT}[replies]\nenabled = false\nper_day = 100000\nmentions = false\n",
        f'{ACCOUNT}[replies]\nper_day = 50\nper_author_per_day = 3\nmax_age = "7d"\n',
        f'{ACCOUNT}[pacing]\npublish = "6/h"\ncomment = "1/h"\n',
    ],
)
def test_what_is_usual_is_not(tmp_path: Path, text: str) -> None:
    assert warned(tmp_path, text) == []


def test_a_network_of_this_machine_has_no_limits_to_respect(tmp_path: Path) -> None:
    patient = f'{ACCOUNT}request_delay = [0, 0]\n[pacing]\npublish = "off"\n'
    here = patient.replace("request_delay", 'proxy = "http://127.0.0.1:8899"\nrequest_delay')
    assert warned(tmp_path, here) == []
    assert len(warned(tmp_path, patient)) == 2


def test_learning_without_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{ACCOUNT}[learn]\nenabled = true\n"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert warned(tmp_path, text) == ["5: learn.enabled"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert warned(tmp_path, text) == []
