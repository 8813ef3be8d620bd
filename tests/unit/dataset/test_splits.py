"""Shares of train, val and test."""

from __future__ import annotations

import pytest

from bot.dataset.splits import uneven

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ({"train": 154, "val": 0, "test": 0}, "val and test got"),
        ({"train": 90, "val": 8, "test": 2}, "test got"),
        ({"train": 80, "val": 12, "test": 8}, ""),
        ({"train": 0, "val": 0, "test": 0}, ""),
    ],
)
def test_splits_that_came_out_unevenly_are_said(counts: dict[str, int], named: str) -> None:
    line = uneven(counts, SHARES)
    assert named in line
    assert bool(line) is bool(named)


def test_a_share_of_nothing_is_not_missed() -> None:
    assert uneven({"train": 9, "val": 1, "test": 0}, {"train": 0.9, "val": 0.1, "test": 0}) == ""
