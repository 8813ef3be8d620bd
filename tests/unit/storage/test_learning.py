"""What may be learned from, and whose images were."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import select

from bot.core.events import Author, Media
from storage import dataset, learning
from storage.database import Database
from storage.dataset import Fetched
from storage.forget import forget
from storage.learning import RunState, learnable, still_here
from storage.optouts import OptOuts
from storage.tables import (
    Curation,
    LearningAuthor,
    LearningRun,
    MediaRow,
    MediaState,
    PostRow,
    Verdict,
)
from tests.databases import NOW, make_post


@pytest.fixture
def optouts(database: Database, tmp_path: Path) -> OptOuts:
    made = OptOuts(tmp_path / "optout.key")
    with database.write() as session:
        made.open(session, NOW)
    return made


def add(database: Database, name: str, user: str, *images: str, state: str = "stored") -> int:
    """A post with images; each is named by its hash. Returns the number of the post."""
    media = tuple(Media(i, f"https://m/{name}/{i}") for i in range(len(images)))
    post = make_post(name, author=Author("instagram", user, user), hashtags=("x",), media=media)
    fetched = [
        Fetched(item, MediaState(state), sha256, 9, "image/jpeg", 40, 40)
        for item, sha256 in zip(media, images, strict=True)
    ]
    with database.write() as session:
        return dataset.add(session, post, fetched, NOW)


def hashes(database: Database, optouts: OptOuts, *leave_out: str, most: int | None = None) -> str:
    with database.read() as session:
        return "".join(p.sha256 for p in learnable(session, optouts, leave_out or ("all",), most))


def media_of(database: Database, sha256: str) -> int:
    with database.read() as session:
        return session.exec(select(MediaRow.id).where(MediaRow.sha256 == sha256)).one() or 0


def test_the_newest_first_and_each_image_once(database: Database, optouts: OptOuts) -> None:
    add(database, "p1", "u1", "a", "b")
    add(database, "p2", "u2", "c", "a")
    assert hashes(database, optouts) == "cab"
    assert hashes(database, optouts, most=2) == "ca"
    with database.read() as session:
        found = {picture.sha256: picture for picture in learnable(session, optouts)}
    assert (found["a"].author, found["c"].author) == ("instagram/u1", "instagram/u2")
    assert found["b"].hashtags == ("x",)


def test_what_is_left_out(database: Database, optouts: OptOuts) -> None:
    add(database, "p1", "u1", "a")
    add(database, "p2", "u2", "b", state="quarantined")
    deleted = add(database, "p3", "u3", "c")
    add(database, "p4", "gone", "d", "e")
    add(database, "p5", "u5", "e", "f")  # e: the same bytes as somebody's who left
    copy, dark = add(database, "p6", "u6", "g"), add(database, "p7", "u7", "h")
    assert copy and dark
    with database.write() as session:
        session.get_one(PostRow, deleted).deleted_at = NOW
        optouts.add(session, "instagram", "gone", NOW)
    with database.write() as session:
        session.add(
            Curation(
                media=media_of(database, "g"),
                version="1",
                scores={},
                original=media_of(database, "a"),
                computed_at=NOW,
            )
        )
        session.add(
            Verdict(
                media=media_of(database, "h"),
                check="dark",
                score=0.1,
                reason="dark",
                version="1",
                computed_at=NOW,
            )
        )
    assert hashes(database, optouts) == "fa"
    assert hashes(database, optouts, "blurred") == "hfa"
    assert hashes(database, optouts, "blurred", "dark") == "fa"
    with database.read() as session:
        assert sorted(learnable(session, optouts, ()), key=lambda p: p.sha256)[-1].sha256 == "h"
        assert still_here(session, optouts) == {"a", "c", "f", "g", "h"}


def test_a_run_and_its_authors(database: Database) -> None:
    newest = add(database, "p1", "u1", "a")
    with database.write() as session:
        run = learning.begin(session, {"dino_steps": 3}, NOW).id or 0
        learning.learned_from(session, run, ["instagram/u1", "instagram/u1", "other/a/b"])
        learning.note(session, run, {"begun": 1}, stage="dino")
    with database.read() as session:
        found = learning.unfinished(session)
        assert found is not None
        assert (found.id, found.stage, found.newest_post) == (run, "dino", newest)
        assert found.facts == {"recipe": {"dino_steps": 3}, "begun": 1, "taught": 2}
        rows = session.exec(select(LearningAuthor)).all()
        assert {(r.platform, r.user_id) for r in rows} == {("instagram", "u1"), ("other", "a/b")}
        assert learning.new_posts(session, newest) == 0
    add(database, "p2", "u2", "b")
    with database.write() as session:
        learning.finish(session, run, RunState.KEPT_OUT, "no better", NOW)
    with database.read() as session:
        assert learning.unfinished(session) is None
        assert learning.new_posts(session, newest) == 1
        assert [r.state for r in learning.runs(session)] == ["kept_out"]
        assert session.get_one(LearningRun, run).finished == NOW


def test_which_of_those_it_learned_from_are_gone(database: Database, optouts: OptOuts) -> None:
    with database.write() as session:
        run = learning.begin(session, {}, NOW).id or 0
        learning.learned_from(session, run, ["instagram/u1", "instagram/u2", "instagram/u3"])
        learning.learned_from(session, run, ["instagram/u3", "other/u1"])  # what its start knew
        learning.note(session, run, model_version="segment-1")
        assert learning.teachers_gone(session, optouts, session.get_one(LearningRun, run)) == 0
        optouts.add(session, "instagram", "u2", NOW)
    with database.write() as session:
        forget(session, "instagram", "u1")
        made = learning.made(session, "segment-1")
        assert made is not None
        assert learning.taught(session, run) == {"instagram/u2", "instagram/u3", "other/u1"}
        assert learning.teachers_gone(session, optouts, made) == 2
        assert learning.made(session, "segment-2") is None


def test_a_run_from_before_they_were_counted(database: Database, optouts: OptOuts) -> None:
    with database.write() as session:
        run = learning.begin(session, {}, NOW)
        session.add(LearningAuthor(run=run.id or 0, platform="instagram", user_id="u1"))
        run.facts = {"data": {"authors": 1}}
        session.flush()
        assert learning.teachers_gone(session, optouts, run) == 0
        forget(session, "instagram", "u1")
        assert learning.teachers_gone(session, optouts, run) == 1
