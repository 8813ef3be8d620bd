"""Any text and any JSON can be stored."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.text import storable


class Colour(StrEnum):
    RED = "red"


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_utf8_without_nul(text: str) -> None:
    kept = storable(text)
    assert "\x00" not in kept
    kept.encode("utf-8")
    assert storable(kept) == kept


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00")))
def test_good_text_is_left_as_it_is(text: str) -> None:
    assert storable(text) == text


@given(HOSTILE)
def test_any_value_becomes_json(value: Any) -> None:
    kept = storable(value)
    text = json.dumps(kept, allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert "\\u0000" not in text
    assert json.loads(text) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a\x00b", "ab"),
        ("a\ud83db", "a?b"),
        ("\ud83d\ude00", "??"),
        ({"k\x00": ("v\x00", 1)}, {"k": ["v", 1]}),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (1.5, 1.5),
        (True, True),
        (Colour.RED, "red"),
        ({1: b"x"}, {"1": "b'x'"}),
    ],
)
def test_what_changes_and_what_does_not(value: Any, kept: Any) -> None:
    assert storable(value) == kept
