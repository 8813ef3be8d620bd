"""What people say of images and hashtags stands above what was computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import UsageError
from bot.flow.curate import Curator
from storage import dataset, human_labels, labels, learning
from storage.database import Database
from storage.dataset import Fetched
from storage.optouts import OptOuts
from storage.tables import Curation, HashtagLabel, LabelScore, MediaRow, MediaState, Verdict
from tests.databases import NOW, make_post, rows


@pytest.fixture
def optouts(database: Database, tmp_path: Path) -> OptOuts:
    made = OptOuts(tmp_path / "optout.key")
    with database.write() as session:
        made.open(session, NOW)
    return made


@pytest.fixture
def post(database: Database) -> int:
    """Of one image, which was measured."""
    made = make_post("p1", hashtags=("dog", "cat"))
    with database.write() as session:
        row = dataset.add(
            session,
            made,
            [Fetched(made.media[0], MediaState.STORED, "a" * 64, 9, "image/png", 64, 48)],
            NOW,
        )
        session.add(Curation(media=1, version="1", scores={"sharpness": 1.0}, computed_at=NOW))
        return row


def score(database: Database, post: int, tag: str, probability: float) -> None:
    with database.write() as session:
        said = {"method": "combined", "model_version": "net", "computed_at": NOW}
        session.merge(LabelScore(post=post, hashtag=tag, probability=probability, **said))


def scores(database: Database) -> dict[str, tuple[float, str]]:
    return {s.hashtag: (s.probability, s.model_version) for s in rows(database, LabelScore)}


def say(database: Database, accepted: bool | None) -> None:
    with database.write() as session:
        human_labels.label_image(session, 1, accepted, "a toy", "eva", NOW)


def verdicts(database: Database) -> dict[str, str]:
    return {verdict.check: verdict.reason for verdict in rows(database, Verdict)}


def learned(database: Database, optouts: OptOuts) -> list[tuple[str, ...]]:
    with database.read() as session:
        return [one.hashtags for one in learning.learnable(session, optouts, ("blur",))]


def test_a_rejected_image_is_judged_and_not_learned_from(
    database: Database, post: int, optouts: OptOuts
) -> None:
    curator = Curator(database, ())
    say(database, False)
    curator.judge([1], ())
    assert verdicts(database) == {"rejected": "eva rejected it: a toy"}
    assert learned(database, optouts) == []  # whichever checks are left out
    with database.read() as session:
        tagged = labels.tagged_posts(session, optouts)
        assert len(tagged) == 1 and human_labels.believed(session, tagged) == []
    say(database, None)
    curator.judge([1], ())
    assert verdicts(database) == {} and len(learned(database, optouts)) == 1


def test_an_accepted_image_keeps_no_verdict(
    database: Database, post: int, optouts: OptOuts
) -> None:
    with database.write() as session:
        session.get_one(Curation, 1).original = 1  # a near duplicate of something
        measured = {"score": 1.0, "reason": "blurred", "version": "1", "computed_at": NOW}
        session.add(Verdict(media=1, check="blur", **measured))
    assert learned(database, optouts) == []
    say(database, True)
    Curator(database, ()).judge([1], ())
    assert verdicts(database) == {} and len(learned(database, optouts)) == 1


def test_a_rejected_hashtag_is_no_label_and_can_be_taken_back(
    database: Database, post: int, optouts: OptOuts
) -> None:
    score(database, post, "dog", 0.8)
    with database.write() as session:
        human_labels.label_hashtag(session, post, "#Dog", False, "eva", NOW)
        human_labels.label_hashtag(session, post, "cat", True, "eva", NOW)
        with pytest.raises(UsageError, match="no hashtag 'bird'"):
            human_labels.label_hashtag(session, post, "bird", True, "eva", NOW)
    assert scores(database) == {"dog": (0.0, "person"), "cat": (1.0, "person")}
    assert learned(database, optouts) == [("cat",)]
    score(database, post, "cat", 0.3)  # the networks judge again
    with database.write() as session:
        human_labels.restore(session, NOW)
    assert scores(database)["cat"] == (1.0, "person")
    with database.write() as session:
        for tag in ("dog", "cat"):
            human_labels.label_hashtag(session, post, tag, None, "eva", NOW)
    assert scores(database) == {"dog": (0.8, "net"), "cat": (0.3, "net")}
    assert learned(database, optouts) == [("cat", "dog")]


def test_a_hashtag_that_was_edited_away_has_no_label(database: Database, post: int) -> None:
    with database.write() as session:
        human_labels.label_hashtag(session, post, "dog", False, "eva", NOW)
        dataset.see(session, post, make_post("p1", caption="new", hashtags=("cat",)), NOW)
    assert rows(database, HashtagLabel) == []


def test_only_a_stored_image_can_be_labelled(database: Database, post: int) -> None:
    with database.write() as session:
        session.get_one(MediaRow, 1).state = MediaState.GONE
        for media in (1, 77):
            with pytest.raises(UsageError, match="no stored image"):
                human_labels.label_image(session, media, True, "", "eva", NOW)
