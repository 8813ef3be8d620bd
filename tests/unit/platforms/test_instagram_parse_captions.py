"""Hashtags and mentions in captions of any script."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.captions import hashtags, mentions, normal_tag


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("", ()),
        ("no tags", ()),
        ("#Sunset", ("sunset",)),
        ("a #Sunset, (#sea)! #sunset", ("sunset", "sea")),
        ("#one#two ##three", ("one", "two", "three")),
        ("word#no &#39; a_#no", ()),
        ("#Закат над рекой", ("закат",)),
        ("#日落很美。#海", ("日落很美", "海")),
        ("＃夕焼け です", ("夕焼け",)),
        ("#พระอาทิตย์ตก สวย", ("พระอาทิตย์ตก",)),
        ("#غروب_الشمس جميل", ("غروب_الشمس",)),
        ("#सूर्यास्त", ("सूर्यास्त",)),
        ("#می\u200cخواهم now", ("می\u200cخواهم",)),
        ("#노을", ("노을",)),
        ("#STRASSE #straße", ("strasse", "straße")),
        ("#cafe\u0301 #CAF\u00c9", ("café",)),
        ("#sunset🌅 🌅#sea #🌅", ("sunset", "sea")),
        ("看海#日落 と#海 слово#нет", ("日落", "海")),
        ("#2026 #a_b #a-b", ("2026", "a_b", "a")),
        ("https://x.org/#frag http://y.org/a#b www.z.org/#c q.org/p#d #e", ("e",)),
        ("#", ()),
        ("# spaced", ()),
        ("\n#line\t#tab", ("line", "tab")),
    ],
)
def test_hashtags(caption: str, expected: tuple[str, ...]) -> None:
    assert hashtags(caption) == expected


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
def test_any_text_gives_clean_tags(caption: str) -> None:
    tags = hashtags(caption)
    assert len(set(tags)) == len(tags)
    for tag in tags:
        assert tag
        assert tag == unicodedata.normalize("NFC", tag) == normal_tag(tag)
        assert not set(tag) & set("#＃ \n\t,.!?/")
    for name in mentions(caption):
        assert name.isascii()
        assert name == name.lower()


WORDS = st.text(st.characters(categories=("Ll", "Lo", "Nd")), min_size=1, max_size=12)


@given(st.lists(WORDS, max_size=20))
def test_what_is_written_is_found(words: list[str]) -> None:
    found = hashtags(" ".join(f"#{word}" for word in words))
    assert set(found) == {normal_tag(word) for word in words}


@pytest.mark.parametrize(
    "piece", ["#a", "#", "@", "@a", "#Закат 🌅 ", "a.", "a-", "a.b/", "a,", "@a.", "\u0e31", "www."]
)
def test_long_captions_are_quick(piece: str) -> None:
    caption = (piece * 10_000)[:10_000]
    started = time.thread_time()
    hashtags(caption)
    mentions(caption)
    assert time.thread_time() - started < 1.0  # a few milliseconds, unless something is quadratic
