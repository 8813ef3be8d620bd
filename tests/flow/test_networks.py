"""The way of a post with the shipped networks, and stages that are never computed twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlmodel import select

from bot.config import Settings
from bot.flow.render import Renderer
from bot.platforms import registry
from bot.platforms.instagram.kinds import Mode
from bot.service.app import ServingStages
from storage.tables import Artifact, Reply, ReplyState
from tests.flow.kit import Flow, opened


@pytest.fixture
def real(tmp_path: Path, no_foreign_ca: None) -> Iterator[Flow]:
    stages = ServingStages(Settings())
    with opened(tmp_path, stages=stages) as flow:
        yield flow
    stages.runtime.close()


@pytest.mark.parametrize("mode", Mode, ids=str)
def test_a_photo_becomes_a_reply(real: Flow, mode: Mode) -> None:
    real.track()
    real.using(mode=mode)
    gallery = real.box.gallery
    cat = next(p for n in range(48) if "cat" in gallery.subject(p := gallery.pick(n)))
    post = real.asking("ana", pictures=[cat])
    real.run()
    assert real.published(post) == 1
    reply = real.reply(post)
    assert reply is not None and reply.before_sha256 and reply.mask_sha256 and reply.after_sha256
    facts = reply.facts
    assert (
        facts["superres"].get("version", "").startswith("superres-x")
        or facts["superres"]["skipped"]
    )
    assert facts["segment"]["version"].startswith("segment-")
    (write,) = real.writes("dm_upload" if mode is Mode.DM else "upload")
    with Image.open(real.box.directory / "uploads" / f"{write['ids']['upload_id']}.jpg") as sent:
        assert sent.size == tuple(facts["compose"]["sizes"][mode])
        assert sent.width == 1080 and sent.format == "JPEG"
        pixels = np.asarray(sent)
    assert pixels.std() > 10, "a picture, not a flat colour"


def test_a_retry_computes_nothing_twice(flow: Flow) -> None:
    flow.track()
    post = flow.asking("ana", pictures=[flow.box.gallery.pick(0)])
    flow.poll()
    flow.render()
    first, calls = flow.reply(post), list(flow.stages.calls)
    assert calls == ["superres", "segment", "compose"]
    assert first is not None and first.mask_sha256
    with flow.database.read() as session:
        kept = session.exec(select(Artifact).where(Artifact.stage == "segment")).one()
    assert (kept.sha256, kept.facts["version"]) == (first.mask_sha256, "middle-1")
    with flow.database.write() as session:
        session.get_one(Reply, flow.reply_id(post)).state = ReplyState.QUEUED
    flow.render()
    again = flow.reply(post)
    assert flow.stages.calls == calls
    assert again is not None
    assert again.after_sha256 == first.after_sha256 and again.facts["segment"]["cached"]


def test_two_styles_share_what_they_have_in_common(flow: Flow) -> None:
    flow.track("sunset", reply="tint")
    post = flow.post("ana", "#sunset", pictures=[flow.box.gallery.pick(0)])
    flow.poll()
    flow.render()
    reply = flow.reply(post)
    assert reply is not None
    reply.style = "outline"
    Renderer(
        flow.database, flow.originals, flow.artifacts, flow.stages, registry.ways, flow.clock
    ).render(reply, flow.policy)
    assert flow.stages.calls == ["superres", "segment", "compose", "compose"]
