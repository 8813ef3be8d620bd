"""Rankings, neighbours and intervals: small cases by hand, and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, mannwhitneyu

from models.metrics.bootstrap import interval, paired_interval
from models.metrics.knn import knn_accuracy, neighbours
from models.metrics.ranking import auroc, average_precision, best_f1, f1_at

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
WANTED = np.array([True, False, True, True, False])


def circle(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_figures_by_hand() -> None:
    assert auroc(SCORES, WANTED) == pytest.approx(4 / 6)
    assert average_precision(SCORES, WANTED) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert best_f1(SCORES, WANTED) == (pytest.approx(2 * 3 / (4 + 3)), 0.6)
    assert f1_at(SCORES, WANTED, 0.75) == pytest.approx(2 * 1 / (2 + 3))
    assert f1_at(SCORES, WANTED, 0.7) == pytest.approx(2 * 2 / (3 + 3))


def test_equal_scores_are_one_step() -> None:
    equal = np.full(5, 0.3)
    assert auroc(equal, WANTED) == 0.5
    assert average_precision(equal, WANTED) == pytest.approx(3 / 5)
    assert best_f1(equal, WANTED) == (pytest.approx(6 / 8), 0.3)
    scores = np.array([0.9, 0.5, 0.5, 0.1])
    wanted = np.array([True, True, False, False])
    assert auroc(scores, wanted) == pytest.approx(3.5 / 4)
    assert average_precision(scores, wanted) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    shuffled = np.array([0, 2, 1, 3])
    assert average_precision(scores[shuffled], wanted[shuffled]) == pytest.approx(5 / 6)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_agrees_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, wanted = rng.integers(0, 9, 60) / 9, rng.random(60) < 0.3
    u = mannwhitneyu(scores[wanted], scores[~wanted]).statistic
    assert auroc(scores, wanted) == pytest.approx(u / (wanted.sum() * (~wanted).sum()))
    assert auroc(-scores, wanted) == pytest.approx(1 - auroc(scores, wanted))


@pytest.mark.parametrize("seed", range(5))
def test_every_threshold_tried_gives_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, wanted = rng.integers(0, 12, 50) / 12, rng.random(50) < 0.4
    thresholds = sorted(set(scores), reverse=True)
    f1, threshold = best_f1(scores, wanted)
    assert f1 == pytest.approx(max(f1_at(scores, wanted, t) for t in thresholds))
    assert f1_at(scores, wanted, threshold) == pytest.approx(f1)
    precision = [wanted[scores >= t].mean() for t in thresholds]
    recall = [0.0, *((scores[wanted] >= t).mean() for t in thresholds)]
    area = sum(p * (b - a) for p, a, b in zip(precision, recall, recall[1:], strict=False))
    assert average_precision(scores, wanted) == pytest.approx(area)


def test_one_class_is_an_error_where_it_means_nothing() -> None:
    none, all_ = np.zeros(5, bool), np.ones(5, bool)
    for wanted in (none, all_):
        with pytest.raises(ValueError, match="both classes"):
            auroc(SCORES, wanted)
    for figure in (average_precision, best_f1):
        with pytest.raises(ValueError, match="nothing is wanted"):
            figure(SCORES, none)
        figure(SCORES, all_)
    assert average_precision(SCORES, all_) == 1
    assert f1_at(SCORES, none, 2.0) == 1
    assert f1_at(SCORES, none, 0.5) == 0
    assert f1_at(SCORES, all_, 2.0) == 0


def test_scores_are_checked() -> None:
    with pytest.raises(ValueError, match="not a number"):
        auroc(np.array([0.1, np.nan]), np.array([True, False]))
    with pytest.raises(ValueError, match="do not belong"):
        auroc(SCORES, WANTED[:-1])


def test_neighbours_are_never_of_the_own_group() -> None:
    vectors = circle(0, 1, 2, 90)
    near = neighbours(vectors, np.array([0, 0, 1, 1]), k=2)
    assert set(near.index[0]) == {2, 3}
    assert near.weight.sum(axis=1) == pytest.approx(1)
    weight = np.exp(np.cos(np.radians([2, 90])) / 0.07)
    assert sorted(near.weight[0]) == pytest.approx(sorted(weight / weight.sum()))


def test_fewer_neighbours_than_asked_for() -> None:
    near = neighbours(circle(0, 10, 20), np.array([0, 0, 1]), k=20)
    assert near.weight[0].tolist().count(0.0) == 2  # itself and the other one of its group
    assert near.weight.sum(axis=1) == pytest.approx(1)
    alone = neighbours(circle(0, 10), np.array([0, 0]), k=20)
    assert alone.weight.sum() == 0


def test_knn_accuracy_by_hand() -> None:
    vectors = circle(0, 2, 4, 90, 92, 94)
    groups = np.arange(6)
    tags = [["a"], ["a"], ["a"], ["b"], ["b"], ["a"]]
    assert knn_accuracy(vectors, tags, groups, k=2) == pytest.approx(4 / 6)
    # nearest to 90 is 92 (b), to 92 are 90 (b) and 94 (a): equal votes, "a" comes first
    assert knn_accuracy(vectors, [[t] for t in "aaabbb"], groups, k=2) == 1
    assert knn_accuracy(vectors, [["a", "c"], ["c"], *tags[2:]], groups, k=2) > 0
    same_author = np.zeros(6, int)
    assert knn_accuracy(vectors, tags, same_author, k=2) == 0  # nobody else to ask
    with pytest.raises(ValueError, match="no pictures"):
        knn_accuracy(vectors[:0], [], groups[:0])


def test_blocks_do_not_change_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    groups = rng.integers(0, 9, 50)
    whole = neighbours(vectors, groups, 5)
    monkeypatch.setattr("models.metrics.knn.BLOCK", 7)
    parts = neighbours(vectors, groups, 5)
    assert [set(row) for row in whole.index] == [set(row) for row in parts.index]
    assert whole.weight.sum(axis=1) == pytest.approx(parts.weight.sum(axis=1))


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(3, 1, 200)
    low, high = interval(values)
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=2000, random_state=1
    ).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert interval(values) == (low, high)
    assert interval(values, seed=1) != (low, high)
    assert interval(np.array([2.0])) == (2.0, 2.0)


def test_an_interval_of_any_statistic_of_any_rows() -> None:
    rows = np.random.default_rng(0).random((100, 3))
    low, high = interval(rows, lambda drawn: float(drawn.mean(axis=0).max()))
    assert low < rows.mean(axis=0).max() < high


def test_paired_images_are_drawn_together() -> None:
    theirs = np.random.default_rng(0).normal(0, 10, 100)
    low, high = paired_interval(theirs + 1, theirs)
    assert (low, high) == pytest.approx((1, 1))  # unpaired it would be several wide
    spread = interval(theirs)
    assert spread[1] - spread[0] > 3
    with pytest.raises(ValueError, match="not paired"):
        paired_interval(theirs, theirs[:-1])
    with pytest.raises(ValueError, match="no images"):
        interval(theirs[:0])
