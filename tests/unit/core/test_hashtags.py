"""Hashtags in captions of any script."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import normal_form as text
from bot.core.hashtags import hashtags, one_hashtag


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
        ("#sunset🌅 🌅#sea #🌅", ("sunset🌅", "sea", "🌅")),
        ("#fun🎉!", ("fun🎉",)),
        ("#️⃣ #️⃣one #⃣", ()),  # the emoji #️⃣ is no hashtag
        ("#top1️⃣ #1️⃣ 1️⃣#a", ("top1\u20e3", "1\u20e3", "a")),
        ("#❤️ #❤", ("❤",)),  # with and without the selector of its colourful form
        ("#👨‍👩‍👧family #👍🏽 #🇩🇪", ("👨‍👩‍👧family", "👍🏽", "🇩🇪")),
        ("#love❤️‍🔥#sea", ("love❤‍🔥", "sea")),
        ("#Ⓜ️etro #ⓂETRO", ("Ⓜetro",)),
        ("#star★ #♪", ("star",)),  # signs that are no emoji
        ("#\ufe0f #\u0301x #\u200da", ()),
        ("＃ＣＡＦÉ #ｶﾞｽ", ("café", "ガス")),
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


@given(st.text(max_size=300))
def test_any_text_gives_clean_tags(caption: str) -> None:
    tags = hashtags(caption)
    assert len(set(tags)) == len(tags)
    for tag in tags:
        assert tag
        assert tag == unicodedata.normalize("NFC", tag) == text.hashtag(tag)
        assert not set(tag) & set("#＃ \n\t,.!?/")


EMOJI = st.sampled_from("🎉❤☀👍🏽🇩🇪👩‍🚀1⃣Ⓜ\ufe0f\u200d#＃ｶﾞＡİΣß_é\u0301\u0338")


@given(st.text(st.characters() | EMOJI, max_size=20))
def test_a_hashtag_that_is_named_is_the_one_that_is_found(name: str) -> None:
    """A track or opt-in hashtag either matches a caption that contains it, or is refused."""
    try:
        tag = one_hashtag(name)
    except ValueError:
        return
    assert text.hashtag(tag) == tag == one_hashtag(tag)
    for caption in (f"#{tag}", f"so #{tag} fine", f"＃{name.strip().lstrip('#＃').strip()}"):
        assert hashtags(caption) == (tag,)


@given(st.text(st.characters() | EMOJI, max_size=40))
def test_what_is_found_may_be_named(caption: str) -> None:
    for tag in hashtags(f"#{caption}"):
        assert one_hashtag(tag) == tag


@pytest.mark.parametrize("form", [text.hashtag, text.username, text.url, text.words, text.name])
@given(written=st.text(st.characters() | EMOJI, max_size=20))
def test_normal_forms_stay_as_they_are(form: Callable[[str], str], written: str) -> None:
    assert form(form(written)) == form(written)
    assert form(unicodedata.normalize("NFD", written)) == form(
        unicodedata.normalize("NFC", written)
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [("fun!", "'!'"), ("two words", "' '"), ("★", "'★'"), ("#️⃣", "cannot stand"), ("#", "nothing")],
)
def test_what_no_caption_can_contain_is_refused(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        one_hashtag(name)


WORDS = st.text(st.characters(categories=("Ll", "Lo", "Nd")), min_size=1, max_size=12)


@given(st.lists(WORDS, max_size=20))
def test_what_is_written_is_found(words: list[str]) -> None:
    found = hashtags(" ".join(f"#{word}" for word in words))
    assert set(found) == {text.hashtag(word) for word in words}


@pytest.mark.parametrize(
    "piece", ["#a", "#", "@", "@a", "#Закат 🌅 ", "a.", "a-", "a.b/", "a,", "@a.", "\u0e31", "www."]
)
def test_long_captions_are_quick(piece: str) -> None:
    caption = (piece * 10_000)[:10_000]
    started = time.thread_time()
    hashtags(caption)
    assert time.thread_time() - started < 1.0  # a few milliseconds, unless something is quadratic


def test_every_emoji_there_is_can_stand_in_a_hashtag() -> None:
    """By the data of Unicode itself, as a library of regular expressions ships them."""
    regex = pytest.importorskip("regex", reason="regex, which transformers brings")
    emoji = regex.compile(r"\p{Emoji}")
    there = (chr(n) for n in range(0x80, 0x110000) if not 0xD800 <= n < 0xE000)
    cut = [c for c in there if emoji.match(c) and hashtags(f"#a{c}b") != (text.hashtag(f"a{c}b"),)]
    assert cut == []
