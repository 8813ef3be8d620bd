"""Curation at ingest: measured in the download, judged at once, never in the way of collecting."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image as Pil
from skimage import data as photos
from sqlmodel import select

from bot.config import Settings
from bot.flow.curate import UNMATCHED, VERSION, Curator
from bot.flow.fetch import Limits
from bot.flow.ingest import Ingest
from bot.flow.poll import Poller
from bot.platforms.sandbox.things import Post
from bot.service.app import bounds_of
from storage.tables import Curation, MediaRow, PostRow, Verdict
from tests.flow.kit import Flow, served
from tests.pictures import plain_jpeg

HOSTILE = {
    "black": Pil.new("RGB", (400, 400)),
    "clear": Pil.new("RGBA", (400, 400), (0, 0, 0, 0)),
    "grey": Pil.new("L", (400, 400), 128),
    "thin": Pil.new("RGB", (16, 10_000), "red"),
    "dots": Pil.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)),
}


@pytest.fixture
def curated(flow: Flow) -> Iterator[Flow]:
    curator = Curator(flow.database, bounds_of(Settings()), flow.clock)
    ingest = Ingest(flow.archive, Limits(), flow.clock, curator=curator)
    flow.ingest.close()
    flow.ingest, flow.poller = ingest, Poller(flow.database, ingest, flow.clock)
    flow.track()
    yield flow


def png(image: Pil.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def post(flow: Flow, name: str, data: bytes) -> Post:
    return flow.post(name, pictures=[served(flow.box, name, data)])


def found(flow: Flow) -> dict[str, tuple[Curation | None, dict[str, str]]]:
    """By user name: the curation of the image, and its verdicts with their reasons."""
    people = flow.box.world
    with flow.database.read() as session:
        result: dict[str, tuple[Curation | None, dict[str, str]]] = {}
        for media, row in session.exec(
            select(MediaRow, PostRow).where(MediaRow.post == PostRow.id)
        ):
            verdicts = session.exec(select(Verdict).where(Verdict.media == media.id))
            reasons = {verdict.check: verdict.reason for verdict in verdicts}
            result[people.user(row.author_id).username] = session.get(Curation, media.id), reasons
    return result


def astronaut(side: int) -> Pil.Image:
    return Pil.fromarray(photos.astronaut()).resize((side, side), Pil.Resampling.LANCZOS)


def test_a_poll_measures_compares_and_judges(curated: Flow) -> None:
    post(curated, "large", png(astronaut(500)))
    assert curated.poll().taken.new == 1
    post(curated, "small", png(astronaut(250)))
    post(curated, "same", png(astronaut(500)))
    post(curated, "flat", plain_jpeg((300, 300)))
    assert curated.poll().taken.new == 3
    rows = found(curated)
    large = rows["large"][0]
    assert large is not None and large.version == VERSION and large.original is None
    assert rows["large"][1] == {}
    assert set(rows["small"][1]) == {"near_duplicate"}
    assert set(rows["same"][1]) == {"exact_duplicate"}
    assert {row.original for row, _ in (rows["small"], rows["same"]) if row} == {large.media}
    assert {"blur", "low_information"} <= set(rows["flat"][1])


def test_hostile_pictures_are_measured_like_any_other(curated: Flow) -> None:
    for name, image in HOSTILE.items():
        post(curated, name, png(image))
    post(curated, "tiny", plain_jpeg((1, 1)))
    assert curated.poll().taken.new == len(HOSTILE) + 1
    rows = found(curated)
    for name in HOSTILE:
        row, _ = rows[name]
        assert row is not None and row.version == VERSION, name
        assert all(np.isfinite(value) for value in row.scores.values())
    assert rows["tiny"][0] is None  # quarantined
    assert "underexposed" in rows["black"][1]
    assert "overexposed" in rows["clear"][1]
    assert {"aspect", "small"} <= set(rows["thin"][1])


def test_an_image_fetched_later_is_curated_then(curated: Flow) -> None:
    curated.box.faults.add("server_error", "/m/*", count=1)
    post(curated, "late", plain_jpeg((300, 300)))
    curated.poll()
    assert found(curated)["late"] == (None, {})
    curated.clock.advance(minutes=1)
    assert curated.ingest.retry_pending(curated.platform) == 1
    row, reasons = found(curated)["late"]
    assert row is not None and "blur" in reasons


def test_a_failed_comparison_loses_no_post_and_is_made_up_for(
    curated: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("bot.flow.curate.similarity", None)
        broken.setattr(Curator, "match", lambda self, media: 1 / 0)
        post(curated, "first", plain_jpeg((300, 300)))
        assert curated.poll().taken.new == 1
    row, reasons = found(curated)["first"]
    assert row is not None and row.version == UNMATCHED and reasons == {}
    post(curated, "second", png(astronaut(300)))
    assert curated.poll().taken.new == 1
    row, reasons = found(curated)["first"]
    assert row is not None and row.version == VERSION and "blur" in reasons


def test_a_poll_that_brings_nothing_new_asks_nothing_of_curation(
    curated: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(curated, "once", plain_jpeg((300, 300)))
    curated.poll()
    monkeypatch.setattr(Curator, "settle", lambda self: 1 / 0)
    assert curated.poll().taken.new == 0
