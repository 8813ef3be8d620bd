"""Which hashtags fit: clusters of drawn embeddings, where the truth is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from models.labels.calibrate import calibrated, drawn
from models.labels.evidence import Pairs, entries, grouped, posts_of
from models.labels.fits import Fits, Method, fits
from models.labels.kernel import kernel
from models.labels.noise import detect, swapped
from models.labels.outline import Outlines, _blocks
from models.labels.probe import folded, learn, probe
from models.labels.vote import vote

Vectors = NDArray[np.float64]
JUDGES = (Method.KNN, Method.PROBE, Method.OUTLINE, Method.COMBINED)


def clusters(count: int = 240, spread: float = 0.5, seed: int = 0) -> tuple[Vectors, list[str]]:
    """Points around three directions, named after them; `a` is as common as both others."""
    rng = np.random.default_rng(seed)
    tags = np.array(["a", "a", "b", "c"])[np.arange(count) % 4]
    centre = {"a": 0, "b": 1, "c": 2}
    points = np.eye(12)[[centre[tag] for tag in tags]] + rng.normal(0, spread / 3, (count, 12))
    return points, [str(tag) for tag in tags]


def authors(count: int, people: int = 30) -> list[str]:
    return [f"user{(7 * i) % people}" for i in range(count)]


def judged(points: Vectors, hashtags: Sequence[Collection[str]], people: list[str]) -> Fits:
    """What the network sees is also the outline."""
    return fits(points, points, hashtags, people)


def of(result: Fits, method: Method, post: int, tag: str) -> float:
    for row, name, value in zip(
        result.posts, result.hashtags, result.probability[method], strict=True
    ):
        if (row, name) == (post, tag):
            return float(value)
    raise AssertionError((post, tag))


@pytest.mark.parametrize("method", JUDGES)
def test_a_wrong_hashtag_is_doubted_and_the_right_ones_are_not(method: Method) -> None:
    points, tags = clusters()
    noisy = list(tags)
    noisy[1] = "b"  # a picture of a
    result = judged(points, [(tag,) for tag in noisy], authors(len(tags)))
    assert of(result, method, 1, "b") < 0.15
    right = np.delete(result.probability[method], 1)
    assert right.min() > 0.5
    assert right.mean() > 0.9


@pytest.mark.parametrize("method", JUDGES)
def test_each_hashtag_of_a_post_is_judged_by_itself(method: Method) -> None:
    points, tags = clusters()
    hashtags = [{tag, "ootd"} for tag in tags]
    hashtags[0] = {"a", "b", "ootd"}
    result = judged(points, hashtags, authors(len(tags)))
    assert of(result, method, 0, "a") > 0.8
    assert of(result, method, 0, "b") < 0.3
    assert len(result.hashtags) == 2 * len(tags) + 1


def test_probabilities_are_probabilities_and_repeatable() -> None:
    points, tags = clusters(spread=1.5)
    hashtags = [(tag, tag) for tag in tags]  # named twice is named once
    one = judged(points, hashtags, authors(len(tags)))
    two = judged(points, hashtags, authors(len(tags)))
    assert one.hashtags == tuple(tags)
    assert one.posts.tolist() == list(range(len(tags)))
    for method in Method:
        values = one.probability[method]
        assert values.shape == (len(tags),)
        assert ((values >= 0) & (values <= 1)).all()
        assert np.array_equal(values, two.probability[method])


def test_the_baseline_knows_only_how_common_a_hashtag_is() -> None:
    points, tags = clusters()
    result = judged(points, [(tag,) for tag in tags], authors(len(tags)))
    assert of(result, Method.FREQUENCY, 0, "a") == 0.5
    assert of(result, Method.FREQUENCY, 2, "b") == 0.25


@pytest.mark.parametrize("method", JUDGES)
def test_calibrated_against_hashtags_drawn_at_random(method: Method) -> None:
    """Where pictures tell nothing, nothing is claimed."""
    rng = np.random.default_rng(0)
    tags = [(str(tag),) for tag in rng.choice(list("aabc"), 300)]
    values = judged(rng.normal(size=(300, 8)), tags, authors(300)).probability[method]
    assert abs(values.mean() - 0.5) < 0.03
    assert values.std() < 0.12


def test_nobody_confirms_themselves() -> None:
    """One person's mistake, made thirty times, stays unconfirmed by that person."""
    points, tags = clusters()
    people = authors(len(tags))
    wrong = [i for i in range(len(tags)) if people[i] in {"user0", "user7"} and tags[i] == "a"]
    people = ["liar" if i in wrong else person for i, person in enumerate(people)]
    noisy = ["b" if i in wrong else tag for i, tag in enumerate(tags)]
    result = judged(points, [(tag,) for tag in noisy], people)
    assert len(wrong) >= 8
    assert all(of(result, Method.COMBINED, i, "b") < 0.3 for i in wrong)


def test_a_copy_confirms_nothing() -> None:
    points = np.eye(4)[[0, 0, 1, 2, 3]]
    groups = grouped(points.astype(np.float32), ["ann", "bob", "bob", "cy", "cy"])
    assert groups.tolist() == [0, 0, 0, 1, 1]  # ann's picture is bob's, so bob's other one too


@pytest.mark.parametrize("method", JUDGES)
def test_a_hashtag_with_one_post_is_neither_confirmed_nor_refuted(method: Method) -> None:
    points, tags = clusters()
    tags[5] = "only-here"
    result = judged(points, [(tag,) for tag in tags], authors(len(tags)))
    assert of(result, method, 5, "only-here") == 0.5


def test_one_author_all_alike_and_one_hashtag_say_nothing() -> None:
    points, tags = clusters(40)
    hashtags = [(tag,) for tag in tags]
    cases = (
        (points, hashtags, ["ann"] * 40),
        (np.ones((40, 12)), hashtags, authors(40)),
        (np.zeros((40, 12)), hashtags, authors(40)),
        (points, [("a",)] * 40, authors(40)),
    )
    for embeddings, named, people in cases:
        result = judged(embeddings, named, people)
        for method in JUDGES:
            assert result.probability[method] == pytest.approx(0.5)


def test_few_or_no_posts() -> None:
    nothing = judged(np.zeros((0, 4)), [], [])
    assert nothing.hashtags == ()
    assert nothing.probability[Method.COMBINED].shape == (0,)
    untagged = judged(np.eye(3), [(), (), ()], ["ann", "bob", "cy"])
    assert untagged.hashtags == ()
    one = judged(np.eye(1), [("a",)], ["ann"])
    assert one.probability[Method.COMBINED].tolist() == [0.5]
    two = judged(np.eye(2), [("a",), ("b",)], ["ann", "bob"])
    assert two.probability[Method.COMBINED] == pytest.approx(0.5)


def test_bad_input_is_named() -> None:
    points, tags = clusters(12)
    points[3, 1] = np.nan
    points[7, 0] = np.inf
    hashtags = [(tag,) for tag in tags]
    with pytest.raises(ValueError, match=r"embedding 3 is not finite \(2 such\)"):
        judged(points, hashtags, authors(12))
    with pytest.raises(ValueError, match="do not belong together"):
        judged(points[:5], hashtags, authors(12))
    with pytest.raises(ValueError, match="do not belong together"):
        judged(points[:, 0], hashtags, authors(12))


def test_folds_keep_groups_whole_and_are_of_one_size() -> None:
    groups = np.random.default_rng(0).integers(0, 40, 500)
    fold = folded(groups, 5)
    assert all(len(set(fold[groups == group])) == 1 for group in range(40))
    assert np.ptp(np.bincount(fold)) < 0.2 * 100


def test_votes_by_hand() -> None:
    """Four people; the two nearest of each are the pictures beside it."""
    degrees = np.radians([0, 1, 2, 3])
    points = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    posts = posts_of(points, points, [("a",), ("a",), ("b",), ("b",)], list("wxyz"))
    pairs = Pairs(np.array([0, 0]), np.array([0, 1]))
    near = np.exp(np.cos(np.radians([1, 2])) / 0.07)
    near = near / near.sum()
    wanted = np.log((2 * near + 1) / (2 * np.array([1 / 3, 2 / 3]) + 1))
    assert vote(posts, pairs, k=2) == pytest.approx(wanted)


def test_the_probe_learns_the_exact_optimum() -> None:
    """At the minimum of a ridge-penalised logistic loss its gradient is 0; other tags: no part."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 6))
    wanted = np.stack([features[:, 0] > 0.3, rng.random(200) < 0.2], axis=1).astype(float)
    weights, bias = learn(features, wanted)
    error = 1 / (1 + np.exp(-(features @ weights + bias))) - wanted
    assert features.T @ error / 200 + 1e-3 * weights == pytest.approx(0, abs=2e-4)
    assert error.mean(axis=0) == pytest.approx(0, abs=2e-4)
    alone, _ = learn(features, wanted[:, :1])
    assert alone[:, 0] == pytest.approx(weights[:, 0], abs=0.02)
    assert abs(weights[0, 0]) > 5 * abs(weights[0, 1])


def test_the_probe_is_silent_about_hashtags_it_could_not_learn() -> None:
    points, tags = clusters(60)
    tags[4:7] = ["rare"] * 3
    posts = posts_of(points, points, [(tag,) for tag in tags], authors(60))
    pairs = posts.pairs
    rare = pairs.tags == posts.names.index("rare")
    evidence = probe(posts, pairs)
    assert (evidence[rare] == 0).all()
    assert (evidence[~rare] > 0).mean() > 0.9


def test_only_the_commonest_hashtags_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    points, tags = clusters(120)
    posts = posts_of(points, points, [(tag,) for tag in tags], authors(120))
    monkeypatch.setattr("models.labels.probe.MOST", 1)
    evidence = probe(posts, posts.pairs)
    learned = posts.pairs.tags == posts.names.index("a")
    assert (evidence[learned] != 0).all()
    assert (evidence[~learned] == 0).all()


def test_blocks_of_hashtags_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points, tags = clusters(120)
    posts = posts_of(points, points, [(tag,) for tag in tags], authors(120))
    whole = probe(posts, posts.pairs)
    monkeypatch.setattr("models.labels.probe.BLOCK", 1)
    assert probe(posts, posts.pairs) == pytest.approx(whole, abs=0.15)


def test_drawn_hashtags_are_foreign() -> None:
    points, tags = clusters(60)
    posts = posts_of(points, points, [{tag, "ootd"} for tag in tags], authors(60))
    foreign = drawn(posts, 0)
    assert 0.95 * len(posts.pairs) <= len(foreign) <= len(posts.pairs)
    assert not entries(posts.carries, foreign.posts, foreign.tags).any()
    everywhere = posts_of(points, points, [("ootd",)] * 60, authors(60))
    assert len(drawn(everywhere, 0)) == 0


def test_a_witness_that_contradicts_itself_is_ignored() -> None:
    rng = np.random.default_rng(0)
    good, foreign = rng.normal(1, 1, 400), rng.normal(-1, 1, 400)
    backwards = -good
    own = np.stack([good, backwards], axis=1)
    values = calibrated(own, np.stack([foreign, -foreign], axis=1))
    assert values == pytest.approx(calibrated(own[:, :1], foreign[:, None]), abs=1e-3)
    logit = np.log(values / (1 - values))
    assert logit == pytest.approx(2 * good, abs=0.5)  # the true log ratio of the two normals


def test_entries_are_looked_up() -> None:
    matrix = sparse.csr_array(np.array([[0.0, 2.0], [3.0, 0.0]]))
    rows, columns = np.array([0, 1, 1, 0]), np.array([1, 0, 1, 0])
    assert entries(matrix, rows, columns).tolist() == [2, 3, 0, 0]
    assert entries(matrix, rows[:0], columns[:0]).tolist() == []
    assert entries(sparse.csr_array((2, 2)), rows, columns).tolist() == [0, 0, 0, 0]


def test_swaps_are_counted_foreign_and_as_common_as_the_hashtags() -> None:
    tags = ["a"] * 600 + ["b"] * 300 + ["c"] * 100
    noisy, wrong = swapped(tags, 0.4, seed=3)
    assert wrong.sum() == 400
    changed = np.array([new != old for new, old in zip(noisy, tags, strict=True)])
    assert np.array_equal(changed, wrong)
    from_a = [new for new, old, w in zip(noisy, tags, wrong, strict=True) if w and old == "a"]
    assert abs(from_a.count("b") / len(from_a) - 0.75) < 0.1  # 300 to 100
    assert swapped(tags, 0.4, seed=3)[0] == noisy
    assert swapped(tags, 0.0)[0] == tags
    with pytest.raises(ValueError, match="two different"):
        swapped(["a", "a"], 0.2)
    with pytest.raises(ValueError, match="within 0 and 1"):
        swapped(tags, 1.2)


def test_swaps_are_found_where_pictures_tell_and_only_there() -> None:
    points, tags = clusters(400)
    found = {d.method: d for d in detect(points, points, tags, authors(400), 0.2, seeds=(2, 3))}
    assert set(found) == set(Method)
    for method in JUDGES:
        assert found[method].auroc > 0.95
        assert found[method].low <= found[method].auroc <= found[method].high
        assert found[method].f1 <= found[method].best_f1
    assert found[Method.COMBINED].f1 > 0.85
    assert 0.4 < found[Method.FREQUENCY].auroc < 0.65
    blind = np.random.default_rng(0).normal(size=(400, 12))
    lost = {d.method: d for d in detect(blind, blind, tags, authors(400), 0.2, seeds=(2,))}
    assert all(0.35 < lost[method].auroc < 0.65 for method in JUDGES)


def test_a_rate_that_leaves_one_class_is_an_error() -> None:
    points, tags = clusters(8)
    for rate in (0.0, 1.0):
        with pytest.raises(ValueError, match="both wrong and right"):
            detect(points, points, tags, authors(8), rate)


def test_an_outline_is_that_of_the_mirror_image_and_not_of_another_shape() -> None:
    rows, columns = np.mgrid[:120, :90]
    corner = np.where((rows < 60) & (columns < 30), 200, 60)[..., None].repeat(3, 2)
    disc = np.where((rows - 60) ** 2 + (columns - 45) ** 2 < 900, 200, 60)[..., None].repeat(3, 2)
    seen = [
        Outlines()(np.ascontiguousarray(image, np.uint8)).embedding
        for image in (corner, corner[:, ::-1], corner // 2 + 20, corner[::-1], disc)
    ]
    assert seen[0].shape == (1008,)
    assert seen[0].dtype == np.float32
    apart = [float(np.linalg.norm(seen[0] - other)) for other in seen]
    assert apart[1] < 1e-4
    assert apart[2] < 0.2 * apart[3]  # light changes little
    assert min(apart[3:]) > 1


def test_half_an_outline_nearly_keeps_the_distances_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 8, 8, 3), dtype=np.uint8).repeat(12, 1).repeat(12, 2)
    wholes = [
        (_blocks(image / np.float32(255)) + _blocks(image[:, ::-1] / np.float32(255))) / 2
        for image in images
    ]
    halves = [Outlines()(image).embedding for image in images]
    wanted = np.linalg.norm(wholes[0] - wholes[1])
    assert np.linalg.norm(halves[0] - halves[1]) == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 900, 3), (96, 96, 3)])
def test_a_flat_picture_of_any_size_has_an_outline(shape: tuple[int, ...]) -> None:
    assert not Outlines()(np.full(shape, 7, np.uint8)).embedding.any()


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 4), (4, 4, 4)])
def test_an_outline_needs_a_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="RGB"):
        Outlines()(np.zeros(shape, np.uint8))


def test_the_regression_by_hand() -> None:
    """With every picture a landmark: what the normal equations of each fold say."""
    points, tags = clusters(60, spread=1)
    posts = posts_of(points, points, [(tag,) for tag in tags], authors(60))
    pairs = posts.pairs
    squares = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    near = np.exp(-squares / squares.mean())
    answers, fold = posts.carries.toarray(), folded(posts.groups, 5)
    wanted = np.zeros((60, 3))
    for number in range(5):
        known, asked = fold != number, fold == number
        share = answers[known].mean(axis=0)
        left = near[known].T @ near[known] + 1.0 * (near + 1e-3 * np.eye(60))
        weights = np.linalg.solve(left, near[known].T @ (answers[known] - share))
        wanted[asked] = near[asked] @ weights / np.sqrt(share * (1 - share))
    assert kernel(posts, pairs) == pytest.approx(wanted[pairs.posts, pairs.tags], abs=1e-4)


def test_blocks_of_posts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points, tags = clusters(120)
    posts = posts_of(points, points, [{tag, "ootd"} for tag in tags], authors(120))
    whole = kernel(posts, posts.pairs)
    monkeypatch.setattr("models.labels.kernel.BLOCK", 7)
    assert kernel(posts, posts.pairs) == pytest.approx(whole)
    assert (whole[posts.pairs.tags == posts.names.index("ootd")] == 0).all()  # on every post


def test_few_landmarks_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.labels.kernel.LANDMARKS", 20)
    points, tags = clusters(240)
    posts = posts_of(points, points, [(tag,) for tag in tags], authors(240))
    assert (kernel(posts, posts.pairs) > 0).mean() > 0.95


def test_the_regression_is_silent_about_what_it_could_not_learn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points, tags = clusters(60)
    tags[4:7] = ["rare"] * 3
    posts = posts_of(points, points, [(tag,) for tag in tags], authors(60))
    evidence = kernel(posts, posts.pairs)
    rare = posts.pairs.tags == posts.names.index("rare")
    assert (evidence[rare] == 0).all()
    assert (evidence[~rare] != 0).all()
    monkeypatch.setattr("models.labels.kernel.MOST", 1)
    only = kernel(posts, posts.pairs)
    assert np.array_equal(only != 0, posts.pairs.tags == posts.names.index("a"))


def test_outlines_alone_are_enough() -> None:
    """What the network's embeddings cannot tell, outlines do."""
    points, tags = clusters(400)
    blind = np.random.default_rng(0).normal(size=(400, 12))
    found = {d.method: d for d in detect(blind, points, tags, authors(400), 0.2, seeds=(2,))}
    assert found[Method.OUTLINE].auroc > 0.95
    assert found[Method.COMBINED].auroc > 0.95
    assert found[Method.PROBE].auroc < 0.65
