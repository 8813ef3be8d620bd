"""When a learned network comes into service: the rule, at its edges, without any network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.segment.card import card
from models.serving.promotion_rule import (
    CORRECTED,
    FEWEST,
    GAIN,
    MARGIN,
    SHIPPED,
    Evidence,
    Paired,
    decide,
    paired,
)


def figure(difference: float, low: float, high: float = 0.5, count: int = 200) -> Paired:
    return Paired(count, 0.5 + difference, 0.5, low, high)


SAME = figure(0.0, 0.0, 0.0)
BETTER = figure(0.03, 0.01)
CLEARLY = Evidence(knn=SAME, agreement=BETTER)


def test_both_must_hold() -> None:
    assert decide(CLEARLY).promote
    assert not decide(Evidence(knn=SAME)).promote
    assert not decide(Evidence(agreement=BETTER)).promote
    assert not decide(Evidence()).promote


@pytest.mark.parametrize(
    ("knn", "fine"),
    [
        (figure(0.0, -MARGIN), True),
        (figure(0.05, -MARGIN - 1e-6), False),  # a loss of more is not ruled out
        (figure(-0.001, -MARGIN + 1e-6), True),
        (figure(0.2, 0.1), True),
        (figure(-0.1, -0.2, -0.05), False),
        (figure(0.2, 0.1, count=FEWEST), True),
        (figure(0.2, 0.1, count=FEWEST - 1), False),
        (None, False),
    ],
)
def test_neighbours_may_not_get_worse(knn: Paired | None, fine: bool) -> None:
    decision = decide(Evidence(knn=knn, agreement=BETTER))
    assert decision.promote is fine
    assert "kNN accuracy" in decision.reason


@pytest.mark.parametrize(
    ("agreement", "fine"),
    [
        (figure(GAIN, 1e-6), True),
        (figure(GAIN - 1e-6, 1e-6), False),  # sure, but too little
        (figure(0.1, 0.0), False),  # much, but not sure
        (figure(0.1, -0.01), False),
        (figure(-0.1, -0.2, -0.05), False),
        (figure(0.1, 0.05, count=FEWEST), True),
        (figure(0.1, 0.05, count=FEWEST - 1), False),
        (None, False),
    ],
)
def test_masks_must_be_proved_better(agreement: Paired | None, fine: bool) -> None:
    assert decide(Evidence(knn=SAME, agreement=agreement)).promote is fine


def test_corrected_masks_decide_as_soon_as_there_are_enough() -> None:
    worse, unsure = figure(-0.1, -0.2, -0.05, CORRECTED), figure(0.02, -0.01, count=CORRECTED)
    better = figure(0.02, 0.001, count=CORRECTED)
    bad = Evidence(knn=figure(-0.2, -0.3), agreement=figure(-0.2, -0.3))
    assert decide(Evidence(bad.knn, bad.agreement, better)).promote
    assert not decide(Evidence(SAME, BETTER, worse)).promote
    assert not decide(Evidence(SAME, BETTER, unsure)).promote
    few = figure(0.02, 0.001, count=CORRECTED - 1)
    assert not decide(Evidence(bad.knn, bad.agreement, few)).promote
    assert decide(Evidence(SAME, BETTER, figure(-0.1, -0.2, count=CORRECTED - 1))).promote


def test_the_reason_names_what_stood_against_it() -> None:
    reason = decide(Evidence(knn=figure(-0.1, -0.2), agreement=figure(0.0, -0.1))).reason
    assert "kNN accuracy may be worse" in reason
    assert "not proved to be better" in reason
    assert "n = 200" in reason


def test_a_figure_is_paired() -> None:
    """The same values in another order are another figure: the pairs count."""
    rng = np.random.default_rng(0)
    old = rng.uniform(0, 0.8, 100)
    found = paired(list(old + 0.05), list(old))
    assert found is not None
    assert found.low == pytest.approx(0.05) and found.high == pytest.approx(0.05)
    mixed = paired(list(old + 0.05), list(rng.permutation(old)))
    assert mixed is not None
    assert mixed.low < 0 < mixed.high


def test_values_that_are_none() -> None:
    assert paired([], []) is None
    with pytest.raises(ValueError, match="not a number"):
        paired([0.5, float("nan")], [0.5, 0.5])
    with pytest.raises(ValueError, match="not paired"):
        paired([0.5], [0.5, 0.6])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_nothing_is_promoted_without_a_gain_on_the_photos(pairs: list[tuple[bool, bool]]) -> None:
    new, old = ([float(side[i]) for side in pairs] for i in (0, 1))
    agreement = paired(new, old)
    if decide(Evidence(knn=SAME, agreement=agreement)).promote:
        assert np.mean(new) - np.mean(old) >= GAIN - 1e-9
        assert len(pairs) >= FEWEST


def test_the_card_says_what_was_measured() -> None:
    facts = {
        "data": {"images": 812, "authors": 77, "hashtags": 9},
        "recipe": {"dino_steps": 900},
        "evidence": CLEARLY.as_dict(),
        "new": "segment-new.1",
        "in_service": "segment-old.1",
        "start": "segment-older",
    }
    text = card(7, facts, "because", "tagecho learn")
    for heading in ("Data", "Licence", "Recipe", "Figures", "Known failures"):
        assert f"## {heading}" in text
    for word in ("run 7", "812 stored", "77 people", "segment-old.1", "because", "dino_steps"):
        assert word in text
    assert "| agreement | 200 | 0.500 | 0.530 | +0.030 | +0.010 to +0.500 |" in text
    assert "| corrected | 0 | – |" in text
    assert "It began with segment-older." in text
    assert "What segment-older learned from, it learned from as well." in text
    assert "learned from as well" not in card(7, facts | {"start": SHIPPED}, "because", "learn")
    ours = {"network": "segment-older", "pack": ""}
    alone = card(7, facts | {"teacher": ours}, "because", "learn")
    assert "sure: segment-older alone, which is self-training" in alone
    assert alone.count("learned from as well") == 1
    both = card(7, facts | {"teacher": ours | {"pack": "u2netp"}}, "because", "learn")
    assert "the mean of segment-older and of u2netp, which learned from masks that" in both
    assert "It began with random weights." in card(7, facts | {"start": ""}, "because", "learn")
