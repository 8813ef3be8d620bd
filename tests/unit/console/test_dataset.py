"""The dataset in the console: browse, search, say a word, look at a post; and search by key."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image as Pil
from sqlmodel import select

from bot.core.clock import utc_now
from bot.service.app import App, ServingStages
from bot.verbs.image_index import ImageIndex
from models.resemblance import LEAST
from storage import api_keys, labels, words
from storage.human_labels import images as labelled
from storage.tables import ApiUse, Artifact, ConsoleAction, Curation, ImageLabel, MediaRow
from tests.databases import NOW, rows
from tests.datasets import put
from tests.unit.console.conftest import CONFIG, Console, Starts

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def fill(app: App, count: int = 5, **changes: Any) -> list[int]:
    """Posts p0 (newest), p1 … with one image each. Returns the images."""
    said = {"tags": ("hoodie",), "caption": "plain"} | changes
    found = [
        put(app, f"p{n}", f"u{n}", taken=NOW - timedelta(minutes=n), **said) for n in range(count)
    ]
    return [media for (media,) in found]


def media_in(page: str) -> list[int]:
    return [int(one) for one in re.findall(r'data-media="(\d+)"', page)]


def test_the_grid_goes_on_by_its_own_address(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.console.pages.dataset.PAGE", 2)
    images = fill(console.app)
    seen, address = [], "/dataset?text=plain"
    with console.browser() as browser:
        while address:
            page = browser.get(address).text
            seen += media_in(page)
            address = re.findall(r'data-more="([^"]*)"', page)[0].replace("&amp;", "&")
        assert seen == images
        assert "No image matches" in browser.get("/dataset?text=nowhere").text
        empty = "hashtag=&author=&dataset=&check=&label=&doubt=&since=&until=&size=&text="
        assert media_in(browser.get(f"/dataset?{empty}").text) == images[:2]  # an empty form
        assert "no collected person" in browser.get("/dataset?author=nobody").text


def test_captions_are_text_wherever_they_stand(console: Console) -> None:
    (media,) = fill(console.app, 1, caption=EVIL, tags=("a<b>",))
    with console.browser() as browser:
        post = media_post(console, media)
        for page in (browser.get("/dataset").text, browser.get(f"/posts/{post}").text):
            assert "alert(1)" in page and "<script>alert" not in page and "<img src=x" not in page


def media_post(console: Console, media: int) -> int:
    with console.program() as program:
        found = program.get("/api/images").json()["images"]
    return int(next(one["post"] for one in found if one["media"] == media))


def test_csv_and_json_have_what_is_shown_and_no_formula(console: Console) -> None:
    images = fill(console.app, 3, caption="=1+1 now")
    put(console.app, "other", tags=("cap",))
    with console.program() as program:
        text = program.get("/api/images.csv?hashtag=hoodie")
        listed = program.get("/api/images.json?hashtag=hoodie").json()
        refused = program.get("/api/images.csv?author=nobody")
    assert text.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(text.text)))
    assert [int(row["media"]) for row in table] == images == [one["media"] for one in listed]
    assert {row["caption"] for row in table} == {"'=1+1 now"}
    assert {one["caption"] for one in listed} == {"=1+1 now"}
    assert refused.status_code == 400


def test_a_picture_is_made_once_and_goes_with_its_image(console: Console) -> None:
    (media,) = fill(console.app, 1)
    with console.program() as program:
        first = program.get(f"/api/images/{media}/picture?side=96&v=1")
        assert first.headers["content-type"] == "image/webp" and "immutable" in str(first.headers)
        assert max(Pil.open(io.BytesIO(first.content)).size) == 64  # never enlarged
        (kept,) = rows(console.app.database, Artifact)
        assert kept.stage == "thumbnail"
        console.app.originals.path(kept.source_sha256).write_bytes(b"lost")
        assert program.get(f"/api/images/{media}/picture?side=96").content == first.content
        assert program.get(f"/api/images/{media}/picture?side=320").status_code == 503
        assert program.get("/api/images/999/picture").status_code == 404


def test_a_word_on_images_is_kept_judged_and_logged(console: Console) -> None:
    images = fill(console.app, 3)
    with console.app.database.write() as session:
        for media in images:
            session.add(Curation(media=media, version="1", scores={}, computed_at=NOW))
    with console.program() as program:
        said = {"images": images[:2], "accepted": False, "why": "a toy"}
        assert program.post("/api/images/label", json=said).status_code == 200
        found = program.get("/api/images?label=rejected&check=rejected").json()["images"]
        assert [one["media"] for one in found] == images[:2]
        assert "a toy" in found[0]["verdicts"]["rejected"]
        assert program.post("/api/images/label", json=said | {"images": [999]}).status_code == 400
        program.post("/api/images/label", json={"images": images[:1], "accepted": None})
        assert len(program.get("/api/images?check=rejected").json()["images"]) == 1
    with console.app.database.read() as session:
        assert set(labelled(session, images)) == {images[1]}
    actions = [(one.action, one.target) for one in rows(console.app.database, ConsoleAction)]
    assert ("image reject", f"{images[0]}, {images[1]}") in actions


def test_a_post_shows_what_is_known_and_takes_a_word_on_its_hashtags(console: Console) -> None:
    (media,) = fill(console.app, 1, track="main:hashtag:hoodie", into="street")
    post = media_post(console, media)
    with console.browser() as browser:
        answer = browser.change(f"/api/posts/{post}/hashtags", {"hashtag": "hoodie", "fits": False})
        assert answer.status_code == 200
        page = browser.get(f"/posts/{post}").text
        for part in ("main:hashtag:hoodie", "street", "does not fit", "Not measured yet", "plain"):
            assert part in page
        known = browser.get(f"/api/posts/{post}").json()
        assert known["hashtags"][0]["label"]["fits"] is False
        assert "raw" not in known["post"]
        assert browser.get("/posts/999").status_code == 404
        wrong = browser.change(f"/api/posts/{post}/hashtags", {"hashtag": "no", "fits": True})
        assert wrong.status_code == 400


def test_a_post_shows_what_images_say_and_takes_a_persons_word(console: Console) -> None:
    (media,) = fill(console.app, 1)
    post = media_post(console, media)
    with console.app.database.write() as session:
        sha256 = session.get_one(MediaRow, media).sha256 or ""
        said = words.Words(f"a dog {EVIL}", "en", 0.7, (("dog", 0.6),))
        words.keep(session, "blip-base", "blip-base-1", {sha256: said}, NOW)
    with console.browser() as browser:
        page = browser.get(f"/posts/{post}").text
        assert "a dog &lt;script&gt;" in page
        assert EVIL not in page
        assert "#dog 0.60" in page
        assert "Said by blip-base-1" in page
        address = f"/api/images/{media}/words"
        assert browser.change(address, {"accepted": True}).status_code == 200
        assert "replies use the sentence as alt text" in browser.get(f"/posts/{post}").text
        mine = {"accepted": True, "sentence": "A dog", "tags": ["hound"], "language": "en"}
        assert browser.change(address, mine).status_code == 200
        known = browser.get(f"/api/posts/{post}").json()["images"][0]["words"]
        assert (known["sentence"], known["tags"]) == ("A dog", [["hound", 1.0]])
        assert known["sentence_by"] == "person"
        assert browser.change(address, {"accepted": False}).status_code == 200
        assert browser.change("/api/images/999/words", mine).status_code == 400
        assert browser.get(f"/api/posts/{post}").json()["images"][0]["words"]["score"] == 0.7
    actions = [(one.action, one.target) for one in rows(console.app.database, ConsoleAction)]
    assert ("words accept", f"image {media}") in actions


def alike_ones(app: App, count: int = LEAST) -> list[int]:
    """Images with stored vectors: the first two are alike."""
    segmenter = ServingStages(app.settings).segmenter()
    size = segmenter(np.zeros((64, 64, 3), np.uint8)).embedding.size
    random = np.random.default_rng(1)
    images = fill(app, count)
    with app.database.write() as session:
        hashes = {row.id: row.sha256 for row in session.exec(select(MediaRow))}
        vectors = {m: random.normal(size=size).astype("<f4") for m in images}
        vectors[images[1]] = vectors[images[0]] * 1.01
        raw = {hashes[m] or "": v.tobytes() for m, v in vectors.items()}
        labels.keep_vectors(session, segmenter.version, raw, NOW)
    return images


def test_more_like_this_and_a_dropped_image(console: Console) -> None:
    images = alike_ones(console.app)
    photo = io.BytesIO()
    Pil.fromarray(skimage.data.astronaut()).save(photo, "JPEG")
    with console.browser() as browser:
        found = browser.get(f"/api/images/{images[0]}/alike").json()["images"]
        assert [one["media"] for one in found][:1] == [images[1]] and found[0]["cosine"] > 0.5
        assert images[0] not in media_in(browser.get(f"/dataset?like={images[0]}").text)
        token = {"x-csrf-token": browser.csrf()}
        ours = browser.post("/api/images/alike", content=photo.getvalue(), headers=token)
        assert ours.status_code == 200
        for hostile in (b"", b"<svg onload=alert(1)>", b"\x89PNG\r\n" + b"0" * 99):
            for path in ("/api/images/alike", "/dataset/like"):
                answer = browser.post(path, content=hostile, headers=token)
                assert answer.status_code in (400, 422), path


def test_a_viewer_searches_by_an_image(guarded: Console) -> None:
    alike_ones(guarded.app)
    photo = io.BytesIO()
    Pil.fromarray(skimage.data.astronaut()).save(photo, "JPEG")
    with guarded.browser() as browser:
        browser.log_in("only looking")
        assert 'id="example"' in browser.get("/dataset").text
        token = {"x-csrf-token": browser.csrf()}
        for path in ("/api/images/alike", "/dataset/like"):
            assert browser.post(path, content=photo.getvalue(), headers=token).status_code == 200
            assert browser.post(path, content=photo.getvalue()).status_code == 403, "no token"


def test_without_vectors_the_page_says_what_to_do(console: Console) -> None:
    (media,) = fill(console.app, 1)
    with console.browser() as browser:
        assert "needs" in browser.get(f"/dataset?like={media}").text


LIMITED = CONFIG.replace("[console]", "[console]\nqueries_per_day = 2")


def test_search_by_key_counts_what_was_answered(start: Starts) -> None:
    console = start(text=LIMITED, guarded=True)
    fill(console.app, 3)
    with console.app.database.write() as session:
        key = api_keys.create(session, "museum", None, utc_now())
    with console.program() as nobody, console.program(key) as program:
        assert nobody.get("/api/search?text=plain").status_code == 401
        assert program.get("/api/images").status_code == 401  # a key is no password
        first = program.get("/api/search?text=plain&limit=2")
        assert len(first.json()["images"]) == 2 and "label" not in first.json()["images"][0]
        assert first.headers["ratelimit-policy"] == '"day";q=2;w=86400'
        assert first.headers["ratelimit"].startswith('"day";r=1;t=')
        wrong = [
            program.get("/api/search?author=nobody").status_code,
            program.get("/api/search?size=no").status_code,
            program.post("/api/search", content=b"no image").status_code,
        ]
        assert all(400 <= status < 500 for status in wrong)
        image = first.json()["images"][0]["image"]
        assert program.get(f"/api/search/images/{image}").status_code == 200  # not counted
        assert program.get("/api/search").status_code == 200
        over = program.get("/api/search")
        assert over.status_code == 429 and "free queries" in over.json()["error"]
        assert 0 < int(over.headers["retry-after"]) <= 86400
        assert over.headers["ratelimit"].startswith('"day";r=0;t=')
        (use,) = rows(console.app.database, ApiUse)
        assert use.used == 2
        with console.app.database.write() as session:
            api_keys.revoke(session, "museum", utc_now())
        assert program.get("/api/search").status_code == 401


def test_a_viewer_looks_and_says_no_word(guarded: Console) -> None:
    (media,) = fill(guarded.app, 1)
    with guarded.browser() as browser:
        browser.log_in("only looking")
        page = browser.get("/dataset").text
        assert media_in(page) == [media] and "Reject" not in page
        said = {"images": [media], "accepted": True}
        assert browser.change("/api/images/label", said).status_code == 403
    assert rows(guarded.app.database, ImageLabel) == []


def test_new_vectors_are_added_now_and_then_and_what_is_gone_is_never_found(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = alike_ones(console.app)
    synced: list[int] = []
    sync = ImageIndex.sync
    monkeypatch.setattr(ImageIndex, "sync", lambda index: (synced.append(1), sync(index)))
    path = f"/api/images/{images[0]}/alike"
    with console.program() as program:
        assert program.get(path).json()["images"][0]["media"] == images[1]
        with console.app.database.write() as session:
            session.delete(session.get_one(MediaRow, images[1]))
        found = [one["media"] for one in program.get(path).json()["images"]]
        assert images[1] not in found and len(synced) == 1
        monkeypatch.setattr("bot.verbs.search.FRESH", -1.0)
        program.get(path)
    assert len(synced) == 2
