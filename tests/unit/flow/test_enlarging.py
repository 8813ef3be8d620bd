"""When a picture is enlarged by a network, and when a plain resize does as well."""

from __future__ import annotations

import numpy as np
import pytest

from bot.flow.render import enlarged, scale_for
from tests.flow.kit import SmallStages


@pytest.mark.parametrize(
    ("short", "scale"), [(1080, 1), (1500, 1), (676, 1), (674, 2), (540, 2), (539, 4), (320, 4)]
)
def test_the_network_works_from_where_it_gains(short: int, scale: int) -> None:
    assert scale_for(np.zeros((short, short + 40, 3), np.uint8), 1080) == scale


def test_a_picture_that_gains_nothing_is_resized_and_says_so() -> None:
    stages = SmallStages()
    large, note = enlarged(np.zeros((800, 700, 3), np.uint8), 1080, stages)
    assert large.shape == (1234, 1080, 3)
    assert stages.calls == []
    assert note == {"scale": 1, "skipped": "short side 700 px is large enough"}
