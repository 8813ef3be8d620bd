"""Learned tags and word vectors: better than frequency on people never seen, calibrated, kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.base import WeightsError
from models.words import kept, learn, tagger, textvectors
from models.words.features import Sight
from models.words.fusion import DAMPING, fused
from models.words.learn import SpokenPosts, Versions, learn_words

THINGS = ("dog", "hat", "boat", "tree", "cake")
VERSIONS = Versions("net-1", "outline-1", "abc")


def stream(count: int = 240, noise: float = 0.3, seed: int = 0) -> SpokenPosts:
    """Each image shows two things. Their hashtags are left out, or wrong, at this rate."""
    random = np.random.default_rng(seed)
    looks = random.normal(size=(len(THINGS), 40))
    shown = np.zeros((count, len(THINGS)))
    for row in shown:
        row[random.choice(len(THINGS), 2, replace=False)] = 1
    seen = shown @ looks + random.normal(0, 0.7, (count, 40))
    outlined = shown @ random.normal(size=(len(THINGS), 30)) + random.normal(0, 2, (count, 30))
    tags = []
    for row in shown:
        right = {THINGS[t] for t in np.flatnonzero(row) if random.random() > noise}
        wrong = {str(random.choice(THINGS))} if random.random() < noise else set()
        tags.append(frozenset(right | wrong | {"photo"}))
    authors = [f"u{n % 24}" for n in range(count)]
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return SpokenPosts(unit.astype(np.float32), outlined.astype(np.float32), tags, tags, authors)


@pytest.fixture(scope="module")
def lessons() -> SpokenPosts:
    return stream()


@pytest.fixture(scope="module")
def learned(lessons: SpokenPosts) -> kept.LearnedWords:
    return learn_words(lessons, VERSIONS)


def test_tags_are_better_than_frequency_on_people_never_seen(learned: kept.LearnedWords) -> None:
    figures = learned.figures["tags"]
    assert figures["map"] > figures["map_frequent"] + 0.1
    assert figures["gain_low"] > 0
    assert figures["map_low"] < figures["map"] < figures["map_high"]
    assert figures["map_by_tag"] > 2 * figures["map_by_tag_frequent"]
    assert figures["calibration_error"] < 0.08
    assert learned.tagger is not None
    assert set(learned.tagger.tags) == set(THINGS), "every post has #photo: it tells nothing"


def test_tags_of_noise_are_no_better_than_frequency() -> None:
    lessons = stream()
    random = np.random.default_rng(7)
    mixed = [lessons.hashtags[n] for n in random.permutation(len(lessons.hashtags))]
    figures = learn_words(replace(lessons, hashtags=mixed, words=mixed), VERSIONS).figures["tags"]
    assert figures["gain_low"] < 0.02


def test_what_an_image_gets(lessons: SpokenPosts, learned: kept.LearnedWords) -> None:
    assert learned.tagger is not None
    features = learned.sight(lessons.embeddings, lessons.outlines)
    best = learned.tagger.best(features, 0.5, 3)
    assert all(len(tags) <= 3 for tags in best)
    assert all(p >= 0.5 for tags in best for _, p in tags)
    assert all(tags == sorted(tags, key=lambda one: -one[1]) for tags in best)
    right = [tag in lessons.hashtags[n] for n, tags in enumerate(best) for tag, _ in tags]
    assert np.mean(right) > 0.6
    assert learned.tagger.best(features, 1.0, 3) == [[] for _ in best]


def test_search_by_words_finds_images_that_have_no_text(
    lessons: SpokenPosts, learned: kept.LearnedWords
) -> None:
    figures = learned.figures["search"]
    assert figures["learned"] > 0.3
    assert figures["queries"] > 50
    query = learned.text(["dog", "boat", "unheard"])
    assert query is not None
    assert learned.text.known(["dog", "boat", "unheard"]) == ["dog", "boat"]
    assert learned.text(["unheard"]) is None
    scores = learned.text.scores(query, learned.sight(lessons.embeddings, lessons.outlines))
    has = np.array([{"dog", "boat"} <= tags for tags in lessons.hashtags])
    assert scores[has].mean() > 3 * abs(scores[~has].mean())


def test_who_says_it_alone_teaches_nothing() -> None:
    groups = np.repeat(np.arange(10), 10)
    tags = [
        ("mine",) if group == 0 else ("ours",) if n % 2 else () for n, group in enumerate(groups)
    ]
    assert tagger.teachable(tags, groups) == ("ours",)
    assert tagger.teachable(tags, groups, share=0.3) == ()


def test_the_file_gives_back_what_was_learned(
    learned: kept.LearnedWords, lessons: SpokenPosts, tmp_path: Path
) -> None:
    assert kept.load(tmp_path) is None
    stored = kept.keep(learned, tmp_path)
    assert stored.version.startswith("words-")
    assert kept.path_in(tmp_path).stat().st_mode & 0o777 == 0o600
    again = kept.load(tmp_path)
    assert again is not None
    assert again.figures == learned.figures
    features = again.sight(lessons.embeddings, lessons.outlines)
    assert np.array_equal(features, learned.sight(lessons.embeddings, lessons.outlines))
    assert again.tagger is not None
    assert learned.tagger is not None
    assert np.array_equal(again.tagger(features), learned.tagger(features))
    assert np.array_equal(again.text.vectors, learned.text.vectors)
    assert kept.keep(learned, tmp_path).version == stored.version, "the same words, the same bytes"
    assert kept.forget(tmp_path)
    assert not kept.forget(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no zip", b"\x80\x04K\x01."])
def test_a_damaged_file_is_said(tmp_path: Path, data: bytes) -> None:
    path = kept.path_in(tmp_path)
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="Remove it"):
        kept.load(tmp_path)


def test_too_little_to_learn_from(lessons: SpokenPosts) -> None:
    few = SpokenPosts(lessons.embeddings[:5], lessons.outlines[:5], [()] * 5, [()] * 5, ["u"] * 5)
    with pytest.raises(ValueError, match="5 images"):
        learn_words(few, VERSIONS)
    silent = replace(lessons, words=[()] * 240)
    with pytest.raises(ValueError, match="no word"):
        learn_words(silent, VERSIONS)


def test_the_calibration_gives_probabilities() -> None:
    random = np.random.default_rng(0)
    chance = random.random((4000, 1))
    wanted = (random.random((4000, 1)) < chance).astype(float)
    evidence = 3 * np.log(chance / (1 - chance)) + 2  # too sure, and not in the middle
    told = tagger.calibrated(tagger.Unseen(evidence, np.full((4000, 1), 0.5)), wanted)
    assert told.seen == pytest.approx(1 / 3, rel=0.1)
    assert told.offset == pytest.approx(-2 / 3, abs=0.1)
    assert learn.calibration_error(told(evidence, np.array([0.5])), wanted) < 0.02
    turned = tagger.calibrated(tagger.Unseen(-evidence, np.full((4000, 1), 0.5)), wanted)
    assert turned.seen == 0, "never against what is seen"
    assert learn.calibration_error(np.full((100, 1), 0.25), np.eye(100)[:, :1]) == pytest.approx(
        0.24
    )


def test_rankings_are_fused_by_rank() -> None:
    found = fused({"text": ["a", "b"], "learned": ["b", "c"]})
    assert [one.thing for one in found] == ["b", "a", "c"]
    assert found[0].ranks == {"text": 2, "learned": 1}
    assert found[0].score == pytest.approx(1 / (DAMPING + 2) + 1 / (DAMPING + 1))
    assert fused({"text": ["a", "b"], "learned": []})[0].thing == "a"


def test_halves_of_the_features_weigh_the_same(lessons: SpokenPosts) -> None:
    sight = Sight.fit(lessons.embeddings, lessons.outlines * 1000)
    features = sight(lessons.embeddings, lessons.outlines * 1000)
    half = sight.seen.directions.shape[1]
    assert np.allclose(np.linalg.norm(features[:, :half], axis=1), 1, atol=1e-4)
    assert np.allclose(np.linalg.norm(features[:, half:], axis=1), 1, atol=1e-4)
    assert features.shape[1] == sight.width
    with pytest.raises(ValueError, match="images"):
        Sight.fit(lessons.embeddings[:3], lessons.outlines[:3])


def test_a_word_that_no_image_tells_is_not_heard(lessons: SpokenPosts) -> None:
    features = Sight.fit(lessons.embeddings, lessons.outlines)(lessons.embeddings, lessons.outlines)
    random = np.random.default_rng(3)
    said = np.stack([[t in tags for t in THINGS[:1]] for tags in lessons.hashtags]).astype(float)
    both = np.concatenate([said, random.permutation(said)], axis=1)
    text = textvectors.teach(features, both, ("dog", "noise"))
    lengths = np.linalg.norm(text.vectors, axis=1)
    assert lengths[0] > lengths[1]
