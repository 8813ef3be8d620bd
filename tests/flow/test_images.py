"""Images as the network serves them: whole, broken, lying, late or not at all."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image
from sqlmodel import select

from bot.flow import ingest
from bot.flow.fetch import Limits
from bot.flow.ingest import Ingest
from bot.flow.poll import Poller
from bot.platforms.pacing import LedgerPacer, TokenRate
from bot.platforms.sandbox.things import Post
from storage.pacing import DatabaseLedger
from storage.tables import BlobRow, MediaRow, PostRow
from tests.flow.kit import NO_LIMITS, Flow, served
from tests.pictures import plain_jpeg

MEDIA = "/m/*"


def media(flow: Flow, post: Post) -> list[MediaRow]:
    with flow.database.read() as session:
        row = session.exec(select(PostRow).where(PostRow.post_id == str(post.pk))).one()
        found = session.exec(select(MediaRow).where(MediaRow.post == row.id)).all()
        return sorted(found, key=lambda m: m.index)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def gradient(width: int = 300, height: int = 200) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 90)], axis=2)
    return Image.fromarray(rgb.astype(np.uint8))


def bomb() -> bytes:
    """A PNG of 100 megapixels that compresses to nothing."""
    side = 10_000

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (side * (side // 8 + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def animated() -> bytes:
    frames = [gradient(), gradient().rotate(180)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: 300×200 is to be seen as 200×300
    return encoded(gradient(), "JPEG", exif=exif)


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty"),
    "truncated": (lambda: encoded(gradient(), "JPEG")[:900], "truncated"),
    "text": (lambda: b"Sorry, this page isn't available." * 9, "not-an-image"),
    "html": (lambda: b"<!DOCTYPE html><html><body>Login</body></html>", "not-an-image"),
    "bomb": (bomb, "too-large"),
    "tiff": (lambda: encoded(gradient(), "TIFF"), "unsupported-format"),
    "tiny": (lambda: plain_jpeg((3, 3)), "too-small"),
}
ODD: dict[str, tuple[Callable[[], bytes], tuple[int, int], str]] = {
    "animated": (animated, (300, 200), "first-frame"),
    "cmyk": (lambda: encoded(gradient().convert("CMYK"), "JPEG"), (300, 200), "cmyk"),
    "16-bit": (
        lambda: encoded(Image.fromarray(np.full((200, 300), 40_000, np.uint16)), "PNG"),
        (300, 200),
        "16-bit",
    ),
    "exif": (rotated, (200, 300), "exif-rotated"),
    "mislabelled": (lambda: encoded(gradient(), "PNG"), (300, 200), ""),
    "webp": (lambda: encoded(gradient(), "WEBP"), (300, 200), ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_is_set_aside_with_its_reason(flow: Flow, name: str) -> None:
    make, reason = BROKEN[name]
    data = make()
    flow.track()
    post = flow.asking("ana", pictures=[served(flow.box, "broken", data)])
    fine = flow.asking("ben")
    flow.run()
    (row,) = media(flow, post)
    assert row.state == "quarantined" and row.reason.startswith(reason)
    assert row.sha256 and flow.originals.get(row.sha256) == data, "kept as it came"
    assert flow.state(post) == "failed" and reason in flow.reason(post)
    assert (flow.published(post), flow.published(fine)) == (0, 1)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_image_is_answered_all_the_same(flow: Flow, name: str) -> None:
    make, (width, height), note = ODD[name]
    data = make()
    flow.track()
    post = flow.asking("ana", pictures=[served(flow.box, "odd", data, (width, height))])
    flow.run()
    (row,) = media(flow, post)
    assert (row.state, row.width, row.height) == ("stored", width, height)
    assert note in row.notes
    assert flow.originals.get(row.sha256 or "") == data, "byte for byte"
    assert flow.published(post) == 1
    (write,) = flow.writes("upload")
    with Image.open(flow.box.directory / "uploads" / f"{write['token']}.jpg") as sent:
        assert sent.format == "JPEG" and sent.mode == "RGB" and sent.width == 1080


def test_an_album_with_one_broken_image_is_answered_with_a_good_one(flow: Flow) -> None:
    flow.track()
    pictures = [
        served(flow.box, "one", b"broken"),
        served(flow.box, "two", plain_jpeg((1080, 1080), (9, 99, 9))),
    ]
    post = flow.asking("ana", kind="album", pictures=pictures)
    flow.run()
    assert [row.state for row in media(flow, post)] == ["quarantined", "stored"]
    assert flow.published(post) == 1
    reply = flow.reply(post)
    assert reply is not None and reply.before_sha256 == media(flow, post)[1].sha256


def test_a_download_that_is_too_large(flow: Flow) -> None:
    flow.ingest.limits = replace(flow.ingest.limits, max_image_bytes=5_000)
    flow.track()
    post = flow.asking()
    flow.run()
    (row,) = media(flow, post)
    assert row.state == "gone" and "more than 5000" in row.reason
    assert flow.state(post) == "failed"


def test_a_missing_image_is_gone(flow: Flow) -> None:
    flow.track()
    picture = served(flow.box, "away", plain_jpeg((1080, 1080)))
    (flow.box.directory / "uploads" / "away.jpg").unlink()
    post, fine = flow.asking("ana", pictures=[picture]), flow.asking("ben")
    flow.run()
    (row,) = media(flow, post)
    assert row.state == "gone" and "404" in row.reason
    assert (flow.published(post), flow.published(fine)) == (0, 1)


def test_an_address_that_is_gone_is_not_yet_a_missing_image(flow: Flow) -> None:
    """Addresses age while images wait for their turn: the post says where the image is now."""
    later = Ingest(flow.archive, Limits(), flow.clock, later=True)
    flow.poller = Poller(flow.database, later, flow.clock)
    flow.track()
    moved = served(flow.box, "moved", plain_jpeg((1080, 1080)))
    missing = served(flow.box, "missing", plain_jpeg((1080, 1080), (9, 9, 9)))
    post, without = flow.post("ana", pictures=[moved]), flow.post("ben", pictures=[missing])
    flow.poll()
    with flow.database.write() as session:
        for row in session.exec(select(MediaRow)):
            row.url = row.url.replace("/u/", "/u/former-")
    assert later.fetch_untried(flow.platform) == 2
    assert states(flow, post, without) == [{"pending"}, {"pending"}]
    (flow.box.directory / "uploads" / "missing.jpg").unlink()
    for _ in range(2):
        flow.clock.advance(minutes=1)
        later.retry_pending(flow.platform)
    assert states(flow, post, without) == [{"stored"}, {"gone"}]
    later.close()


@pytest.mark.parametrize("fault", ["server_error", "drop", "truncated", "throttled"])
def test_an_image_that_fails_for_now_is_fetched_later(flow: Flow, fault: str) -> None:
    flow.track()
    post = flow.asking()
    flow.box.faults.add(fault, MEDIA, retry_after=120 if fault == "throttled" else None)
    assert flow.poll().taken.new == 1
    assert [row.state for row in media(flow, post)] == ["pending"]
    flow.render()
    assert flow.state(post) == "queued", "it waits for its image"
    for _ in range(6):
        flow.clock.advance(minutes=1)
        flow.ingest.retry_pending(flow.platform)
    assert [row.state for row in media(flow, post)] == ["stored"]
    flow.render()
    flow.publish()
    assert flow.published(post) == 1


def test_a_paused_account_uses_up_no_attempts(flow: Flow) -> None:
    """Throttled for six hours: images wait, and none is given up for it."""
    flow.track()
    post = flow.asking()
    flow.box.faults.add("throttled", MEDIA, retry_after=6 * 3600)
    flow.poll()
    requests = len(flow.box.journal.requests("/m/u/plain"))
    for _ in range(30):
        flow.clock.advance(minutes=10)
        flow.ingest.retry_pending(flow.platform)
    assert len(flow.box.journal.requests("/m/u/plain")) == requests
    (row,) = media(flow, post)
    assert (row.state, row.attempts) == ("pending", 0)
    flow.clock.advance(hours=3)
    assert flow.ingest.retry_pending(flow.platform) == 1


def test_an_outage_of_hours_loses_no_image(flow: Flow) -> None:
    flow.track()
    post = flow.asking()
    flow.box.faults.add("server_error", MEDIA, count=0)
    flow.poll()
    for _ in range(120):
        flow.clock.advance(minutes=1)
        flow.ingest.retry_pending(flow.platform)
    tried = len(flow.box.journal.requests("/m/u/plain"))
    assert tried < 12, "the waits grow"
    flow.box.faults.clear()
    flow.clock.advance(hours=3)
    assert flow.ingest.retry_pending(flow.platform) == 1
    assert [row.state for row in media(flow, post)] == ["stored"]


def album(flow: Flow, name: str, count: int = 3) -> Post:
    """Images that all failed at first, each with an address of its own."""
    pictures = [
        served(flow.box, f"{name}{n}", plain_jpeg((1080, 1080), (9 * n, 99, 9)))
        for n in range(count)
    ]
    flow.box.faults.add("server_error", MEDIA, count=count)
    post = flow.post(name, kind="album", pictures=pictures)
    assert flow.poll().taken.new == 1
    assert {row.state for row in media(flow, post)} == {"pending"}
    return post


def states(flow: Flow, *posts: Post) -> list[set[str]]:
    return [{row.state for row in media(flow, post)} for post in posts]


def test_missing_images_are_looked_for_where_they_were(flow: Flow) -> None:
    """One post at a time, so that polls and replies get their turn, and without reading it."""
    flow.track()
    first, second = album(flow, "ana"), album(flow, "ben")
    flow.clock.advance(minutes=1)
    assert flow.ingest.retry_pending(flow.platform) == 3
    assert states(flow, first, second) == [{"stored"}, {"pending"}]
    assert flow.ingest.retry_pending(flow.platform) == 3
    assert states(flow, first, second) == [{"stored"}, {"stored"}]
    assert flow.ingest.retry_pending(flow.platform) == 0
    assert flow.box.journal.requests("/info/") == []


def test_images_that_moved_cost_one_reading_of_their_post(flow: Flow) -> None:
    flow.track()
    post = album(flow, "ana", 4)
    with flow.database.write() as session:
        for row in session.exec(select(MediaRow)):
            row.url = row.url.replace("/ana", "/elsewhere")
    flow.clock.advance(minutes=1)
    assert flow.ingest.retry_pending(flow.platform) == 4
    assert states(flow, post) == [{"stored"}]
    assert len(flow.box.journal.requests("/info/")) == 1
    assert all("/ana" in row.url for row in media(flow, post)), "where it was found at last"


def test_a_poll_does_not_wait_for_its_images(flow: Flow) -> None:
    """The limit of downloads is reached: what is left is fetched later, and no attempt is lost."""
    seconds = time.monotonic()
    rates = NO_LIMITS | {"media": TokenRate(per_hour=60, burst=2)}
    pacer = LedgerPacer("main", DatabaseLedger(flow.database), rates, clock=flow.clock)
    flow.platform.close()
    flow.platform = flow.client(20.0, pacer=pacer)
    flow.platform.login()
    signs: list[float] = []
    flow.ingest.alive = lambda: signs.append(time.monotonic())
    flow.track()
    pictures = [served(flow.box, f"many{n}", plain_jpeg((400, 400), (n, 0, 0))) for n in range(10)]
    post = flow.post("ana", kind="album", pictures=pictures)
    assert flow.poll().taken.new == 1
    found = [row.state for row in media(flow, post)]
    assert (found.count("stored"), found.count("pending")) == (2, 8)
    assert time.monotonic() - seconds < 15
    assert len(signs) >= 10, "a sign of life with every image"


def test_images_of_a_slow_host_are_left_for_later(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "FETCH_FOR", -1.0)
    flow.track()
    post = flow.asking()
    assert flow.poll().taken.new == 1
    assert states(flow, post) == [{"pending"}] and flow.box.journal.requests("/m/u/plain") == []
    flow.clock.advance(seconds=30)
    assert flow.ingest.retry_pending(flow.platform) == 1
    flow.render()
    flow.publish()
    assert flow.published(post) == 1


def test_an_image_that_never_comes_is_given_up(flow: Flow) -> None:
    flow.track()
    flow.using(expires=timedelta(days=9))
    post = flow.asking()
    flow.box.faults.add("server_error", MEDIA, count=0)
    flow.poll()
    for _ in range(14):
        flow.clock.advance(hours=6)
        flow.ingest.retry_pending(flow.platform)
    (row,) = media(flow, post)
    assert row.state == "gone" and row.reason.startswith("given up")
    flow.render()
    assert flow.state(post) == "failed"


def test_the_same_bytes_are_kept_once(flow: Flow) -> None:
    flow.track()
    posts = [flow.post(name, "#sunset") for name in ("ana", "ben", "eve")]
    flow.poll()
    (sha256,) = {media(flow, post)[0].sha256 for post in posts}
    with flow.database.read() as session:
        assert session.get_one(BlobRow, sha256).refs == 3
    assert len(list(flow.originals.root.rglob("??/??/*"))) == 1
