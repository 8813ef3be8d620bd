"""The grid: every image once, newest first, in pages; filters; the details of a post."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session

from bot.core.events import Media
from storage import dataset, gallery, human_labels, search
from storage.database import Database
from storage.dataset import Fetched
from storage.forget import forget_post
from storage.search import Filters
from storage.tables import Curation, ImageLabel, LabelScore, MediaState, Verdict
from tests.databases import NOW, make_post, rows


def add(session: Session, name: str, minutes: int, images: int = 1, **changes: Any) -> int:
    """A post of so many minutes ago."""
    media = tuple(Media(i, f"https://m/{name}/{i}") for i in range(images))
    taken = NOW - timedelta(minutes=minutes)
    post = make_post(name, media=media, taken_at=taken, **changes)
    fetched = [
        Fetched(m, MediaState.STORED, f"{name}{m.index:0>62}", 9, "image/png", 64, 48)
        for m in media
    ]
    return dataset.add(session, post, fetched, NOW)


def fail(session: Session, media: int, check: str = "blur") -> None:
    session.add(Curation(media=media, version="1", scores={}, computed_at=NOW))
    session.flush()
    found = {"score": 1.0, "reason": f"{check} it is", "version": "1", "computed_at": NOW}
    session.add(Verdict(media=media, check=check, **found))


def pages(database: Database, limit: int, text: str = "", **filters: Any) -> list[list[str]]:
    """The posts of each page, as the names that their images begin with."""
    found: list[list[str]] = []
    before = None
    while not found or before is not None:
        with database.read() as session:
            asked = (search.parse(text), Filters(**filters), limit, before)
            page = gallery.page(session, *asked)
        found.append([f"{image.sha256[:2]}.{image.index}" for image in page.images])
        before = page.following
    return found


def flat(found: list[list[str]]) -> list[str]:
    return [one for page in found for one in page]


@pytest.fixture
def stored(database: Database) -> Database:
    """p0 (newest) to p9; p3 has three images; odd ones have #odd."""
    with database.write() as session:
        for n in (5, 1, 9, 3, 7, 0, 8, 2, 6, 4):  # not in the order of their time
            tags = ("odd",) if n % 2 else ()
            add(session, f"p{n}", n, 3 if n == 3 else 1, hashtags=tags, caption=f"word{n} all")
    return database


def test_pages_have_every_image_once_newest_first(stored: Database) -> None:
    everything = ["p0.0", "p1.0", "p2.0", "p3.0", "p3.1", "p3.2", "p4.0", "p5.0", "p6.0"]
    everything += ["p7.0", "p8.0", "p9.0"]
    for limit in (1, 2, 4, 5, 20):
        found = pages(stored, limit)
        assert flat(found) == everything, limit
        assert all(len(page) <= limit + 2 for page in found)
    assert flat(pages(stored, 2, "all", hashtags=("odd",)))[:2] == ["p1.0", "p3.0"]
    assert flat(pages(stored, 2, "word4")) == ["p4.0"]


def test_a_page_costs_the_same_where_hardly_any_image_passes(
    stored: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stored.write() as session:
        fail(session, gallery.page(session, (), Filters(), 99).images[-1].media)
    monkeypatch.setattr(search, "SCANNED", 3)
    monkeypatch.setattr(search, "NARROW", 0)
    with stored.read() as session:
        found = gallery.page(session, (), Filters(checks=("blur",)), 5)
        assert found.images == [] and found.following is not None
    assert flat(pages(stored, 5, checks=("blur",))) == ["p9.0"]


def test_verdicts_labels_and_doubt_are_filters(stored: Database) -> None:
    with stored.write() as session:
        images = gallery.page(session, (), Filters(), 99).images
        by_name = {image.sha256[:2]: image for image in images if not image.index}
        fail(session, by_name["p2"].media)
        fail(session, by_name["p5"].media, "screenshot")
        for name, accepted in (("p1", True), ("p4", False)):
            human_labels.label_image(session, by_name[name].media, accepted, "", "eva", NOW)
        for name, probability in (("p1", 0.9), ("p5", 0.1), ("p7", 0.2)):
            said = {"hashtag": "odd", "method": "combined", "model_version": "m"}
            score = LabelScore(
                post=by_name[name].post, probability=probability, computed_at=NOW, **said
            )
            session.add(score)
    assert pages(stored, 9, checks=("blur", "screenshot")) == [["p2.0", "p5.0"]]
    assert "p2.0" not in flat(pages(stored, 9, clean=True))
    assert pages(stored, 9, label=search.ACCEPTED) == [["p1.0"]]
    assert pages(stored, 9, label=search.REJECTED) == [["p4.0"]]
    assert not {"p1.0", "p4.0"} & set(flat(pages(stored, 9, label=search.UNLABELLED)))
    assert pages(stored, 9, doubt=0.3, hashtags=("odd",)) == [["p5.0", "p7.0"]]
    with stored.read() as session:
        shown = {i.sha256[:2]: i for i in gallery.page(session, (), Filters(), 99).images}
    assert shown["p2"].verdicts == {"blur": "blur it is"}
    assert (shown["p1"].label, shown["p4"].label, shown["p0"].label) == ("accepted", "rejected", "")


def test_a_post_with_its_edits_and_its_duplicates(stored: Database) -> None:
    with stored.write() as session:
        copy = add(session, "c0", 20)
    with stored.write() as session:
        images = gallery.page(session, (), Filters(), 99).images
        original = next(image for image in images if image.sha256.startswith("p3"))
        (other,) = [image for image in images if image.post == copy]
        for media, root in ((original.media, None), (other.media, original.media)):
            row = {"version": "1", "scores": {"sharpness": 7.0}, "computed_at": NOW}
            session.add(Curation(media=media, original=root, **row))
            session.flush()
        edited = make_post("p3", caption="now", hashtags=("odd",), taken_at=original.taken_at)
        dataset.see(session, original.post, edited, NOW)
        dataset.found_by(session, original.post, "main:hashtag:odd", "odd", "", NOW)
    with stored.read() as session:
        found = gallery.details(session, original.post)
        assert found is not None and gallery.details(session, 999) is None
        shown = gallery.images(session, [original.media])
    assert found.caption == "now" and [edit.field for edit in found.edits] == ["caption"]
    assert shown[0].caption == "now"  # what somebody took out of a caption is not shown
    assert [len(image.duplicates) for image in found.images] == [1, 0, 0]
    assert found.images[0].duplicates[0].media == other.media
    assert found.images[0].scores == {"sharpness": 7.0}
    assert [track.dataset for track in found.tracks] == ["odd"]
    assert [tag.hashtag for tag in found.hashtags] == ["odd"]


def test_what_people_said_goes_with_the_post(stored: Database) -> None:
    with stored.write() as session:
        image = gallery.page(session, (), Filters(), 1).images[0]
        human_labels.label_image(session, image.media, False, "no", "eva", NOW)
        forget_post(session, "instagram", "p0", NOW)
    assert rows(stored, ImageLabel) == []


def test_each_post_is_asked_for_its_own_images(stored: Database) -> None:
    """Else a page reads every stored image once for each post that it looks at."""
    if not stored.sqlite:
        pytest.skip("an index of SQLite")
    asked: list[str] = []
    with stored.read() as session:

        def hear(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            asked.append(statement)

        event.listen(stored.engine, "before_cursor_execute", hear)
        gallery.page(session, (), Filters(), 5)
        event.remove(stored.engine, "before_cursor_execute", hear)
        (page,) = [one for one in asked if "EXISTS (SELECT 1 FROM media" in one]
        plan = session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {page}", ("stored",) * page.count("?")
        )
        steps = [str(row[-1]) for row in plan]
    assert any("(post=?)" in step for step in steps), steps
    assert not any("ix_media_state" in step for step in steps), steps
