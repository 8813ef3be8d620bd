"""Mentions in captions, with the server where names are given by servers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.mentions import mentions


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("@ImageBot please", ("imagebot",)),
        ("hi @a.b_c. and (@d)", ("a.b_c", "d")),
        ("🌅@bot 你好@bot2 @bot", ("bot", "bot2")),
        ("mail a@b.com or @@x", ()),
        ("https://t.me/@no instagram.com/@no", ()),
        ("@", ()),
        ("@bot你好 @" + "x" * 31, ("bot",)),
        ("＠wide", ("wide",)),
        ("@bot's @bot, @other...", ("bot", "other")),
    ],
)
def test_mentions(caption: str, expected: tuple[str, ...]) -> None:
    assert mentions(caption) == expected


@given(st.text(max_size=300))
def test_any_text_gives_clean_names(caption: str) -> None:
    for name in mentions(caption):
        assert name.isascii()
        assert name == name.lower()


@pytest.mark.parametrize("piece", ["@", "@a", "a.", "a-", "a.b/", "a,", "@a.", "www."])
def test_long_captions_are_quick(piece: str) -> None:
    caption = (piece * 10_000)[:10_000]
    started = time.thread_time()
    mentions(caption)
    assert time.thread_time() - started < 1.0  # a few milliseconds, unless something is quadratic


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("for @Ana@Example.ORG!", ("ana@example.org",)),
        ("@ana@social.example.org. and @ben", ("ana@social.example.org", "ben")),
        ("＠ana@example.org", ("ana@example.org",)),
        ("mail ana@example.org", ()),
        ("@ana@ben @ana@x @ana@-x.org", ()),
        ("@ana@example.org@other.org", ()),
    ],
)
def test_a_mention_keeps_its_server(caption: str, expected: tuple[str, ...]) -> None:
    assert mentions(caption) == expected
