"""A person's word on many replies at once, and the page of a long queue."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from bot.config import Settings
from bot.core.errors import UsageError
from bot.service.app import opened
from bot.verbs.replies import Asked, settle, write_page_of
from bot.verbs.report import THUMBNAIL, side_for
from models.images.codec import encode_jpeg, png_mask
from storage.tables import ReplyState
from tests.datasets import disc
from tests.replies import put_reply

S = ReplyState


def test_a_single_number_must_be_right_and_a_range_need_not(settings: Settings) -> None:
    with opened(settings) as app:
        sent = put_reply(app.database, S.SENT, "p1")
        ids = [put_reply(app.database, S.AWAITING_APPROVAL, f"q{n}") for n in range(2)]
    with pytest.raises(UsageError, match="only awaiting_approval"):
        settle(settings, Asked((range(sent, sent + 1), range(ids[0], ids[0] + 1))), "approve")
    settled = settle(settings, Asked((range(sent, ids[1] + 4),)), "approve")
    assert [number for number, _ in settled.moved] == ids
    assert settled.left_out == {"sent": 1, "": 3}


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_what_may_be_on_the_network_is_meant_only_by_its_number_or_state(
    settings: Settings, verb: str
) -> None:
    with opened(settings) as app:
        unknown = put_reply(app.database, S.UNKNOWN, "p1")
        put_reply(app.database, S.AWAITING_APPROVAL, "p2")
    wide = settle(settings, Asked((range(unknown, unknown + 9),)), verb)
    assert unknown not in dict(wide.moved) and wide.left_out["unknown"] == 1
    assert dict(settle(settings, Asked((), "unknown"), verb).moved).keys() == {unknown}


def photos() -> list[bytes]:
    """Of the size of a reply, and of what people photograph."""
    found = []
    for pixels in (data.astronaut(), data.coffee(), data.chelsea()):
        image = Image.fromarray(pixels).resize((1080, 1080))
        found.append(encode_jpeg(np.asarray(image), description=""))
    return found


@pytest.mark.slow
def test_a_page_of_500_replies_is_at_most_3_megabytes(settings: Settings, tmp_path: Path) -> None:
    with opened(settings) as app:
        shas = [app.originals.put(photo) for photo in photos()]
        painted = [app.artifacts.put(photo) for photo in photos()]
        mask = app.artifacts.put(png_mask(disc((1080, 1080))))
        for n in range(500):
            pictures = {
                "before_sha256": shas[n % 3],
                "after_sha256": painted[n % 3],
                "mask_sha256": mask,
            }
            put_reply(app.database, S.AWAITING_APPROVAL, f"p{n}", **pictures)
    page = tmp_path / "replies.html"
    assert write_page_of(settings, page, 500) == (500, 500)
    text = page.read_text()
    assert text.count("<img ") == 1500, "every picture"
    assert len(text) <= 3_000_000, f"{len(text):,}"


def test_few_replies_have_large_pictures_and_many_small_ones() -> None:
    assert side_for(1) == side_for(10) == THUMBNAIL
    sides = [side_for(count) for count in (10, 50, 200, 500, 5000)]
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] >= 80


def test_small_pictures_are_webp(settings: Settings, tmp_path: Path) -> None:
    import base64
    import re

    with opened(settings) as app:
        photo = app.originals.put(photos()[0])
        for n in range(60):
            put_reply(app.database, S.SENT, f"p{n}", before_sha256=photo if n == 7 else None)
    write_page_of(settings, tmp_path / "r.html", 100)
    (found,) = re.findall(r"data:image/webp;base64,([\w+/=]+)", (tmp_path / "r.html").read_text())
    with Image.open(io.BytesIO(base64.b64decode(found))) as image:
        assert (image.format, max(image.size)) == ("WEBP", side_for(60))
