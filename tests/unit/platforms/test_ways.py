"""Ways of replying: what is refused, how a text is made to fit, what is assumed of the unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.reply_modes import Idempotence, Mode, StepKind, Ways
from bot.platforms.text_limit import TextLimit
from models.images.canvas import Canvas

CANVAS = Canvas(100, 1, 1, 1000)
UPLOAD = StepKind("upload", "write", Idempotence.REPEATABLE, visible=False, image=True)
SHOW = StepKind("show", "write", text=TextLimit(50), leaves="thing")
NOTE = StepKind("note", "write", optional=True, leaves="thing")
WAYS = Ways((Mode("one", "", (UPLOAD, SHOW), CANVAS), Mode("two", "", (SHOW,), CANVAS)), NOTE)


def test_what_people_see_is_never_repeatable() -> None:
    with pytest.raises(ValueError, match="what people see"):
        StepKind("show", "write", Idempotence.REPEATABLE)


def test_the_plan_of_a_mode() -> None:
    assert WAYS.plan("one", comment=True) == (UPLOAD, SHOW, NOTE)
    assert WAYS.plan("two", comment=False) == (SHOW,)
    with pytest.raises(ValueError, match="'three'"):
        WAYS.plan("three", comment=False)


def test_wished_modes_in_their_order_else_the_first() -> None:
    assert [mode.name for mode in WAYS.of(("two", "elsewhere", "one"))] == ["two", "one"]
    assert [mode.name for mode in WAYS.of(("elsewhere",))] == ["one"]


def test_a_kind_that_no_longer_exists_is_taken_for_the_worst() -> None:
    lost = WAYS.step("of.an.older.version")
    assert lost.visible and not lost.repeatable and not lost.optional and not lost.image


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_text_that_is_too_long_keeps_what_it_must(before: str, after: str) -> None:
    url = "https://home.example/1"
    text = f"{before}{url}{after}"
    fitted = TextLimit(60).fitted(text, url)
    assert url in fitted
    assert len(fitted) <= 60
    assert fitted == text if len(text) <= 60 else fitted.endswith(url)


def test_the_platform_counts_in_its_own_way() -> None:
    in_bytes = TextLimit(12, lambda text: len(text.encode()))
    assert in_bytes.fitted("éééééé x", "x") == "ééé… x"
    assert in_bytes.fitted("éééééééé", "") == "éééé…"
