"""Whom or what a person names who asks to be forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import UsageError
from bot.platforms.sandbox import ids
from bot.verbs.targets import PersonTarget, PostTarget, parse


@given(st.integers(1, 2**62))
def test_a_shortcode_is_its_posts_number(number: int) -> None:
    code, wanted = ids.code(number), PostTarget("instagram", str(number))
    assert parse(f"https://www.instagram.com/p/{code}/?igsh=x") == wanted
    assert parse(f"instagram.com/some.name/reel/{code}") == wanted
    assert parse(f"instagram/p/{code}") == parse(f"instagram:post:{number}") == wanted


def test_people() -> None:
    assert parse("instagram/@some.name") == PersonTarget("instagram", "some.name")
    assert parse("instagram/p") == PersonTarget("instagram", "p")
    assert parse(" instagram/Some.Name ") == PersonTarget("instagram", "Some.Name")
    assert parse("other/Some") == PersonTarget("other", "Some")


def test_the_id_of_a_post() -> None:
    assert parse("instagram:post:17_5") == PostTarget("instagram", "17")
    assert parse("other:post:a-1") == PostTarget("other", "a-1")


def test_a_platform_whose_ids_are_no_numbers() -> None:
    entry = "at://did:memory:ana/post/k1"
    wanted = PostTarget("memory", entry)
    assert parse(entry) == parse(f"memory:post:{entry}") == parse(f"memory/{entry}") == wanted
    assert parse("memory/@ana@home.example") == PersonTarget("memory", "ana@home.example")
    assert parse("memory/did:memory:ana") == PersonTarget("memory", "did:memory:ana")
    with pytest.raises(UsageError, match="no id of an entry"):
        parse("memory:post:17")


@given(st.text(max_size=40))
def test_anything_else_is_a_mistake_said(text: str) -> None:
    try:
        parse(text)
    except UsageError as error:
        assert "name" in str(error)


@pytest.mark.parametrize(
    "text", ["", "nobody", "https://www.instagram.com/stories/a/1/", "x/p/A", "instagram:post:x"]
)
def test_what_names_nothing(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)
