"""Fusion of boxes and voting on masks, against values that were computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.detect.boxes import Boxes, fuse, overlaps
from models.detect.voting import box_of, vote


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Boxes:
    table = np.array(rows, float).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def test_boxes_of_one_object_are_averaged_by_their_scores() -> None:
    one, other = boxes((0, 0, 10, 10, 0.9, 0)), boxes((2, 0, 12, 10, 0.3, 0))
    fused = fuse([one, other])
    assert len(fused) == 1
    assert fused.corners[0] == pytest.approx([0.5, 0, 10.5, 10])  # (0·.9 + 2·.3) / 1.2
    assert fused.scores[0] == pytest.approx(0.6)


def test_what_one_of_two_saw_has_half_its_score_and_comes_last() -> None:
    one = boxes((0, 0, 10, 10, 0.8, 0), (50, 50, 60, 60, 0.9, 0))
    fused = fuse([one, boxes((0, 0, 10, 10, 0.6, 0))])
    assert fused.scores == pytest.approx([0.7, 0.45])
    assert fused.corners[1] == pytest.approx([50, 50, 60, 60])


def test_other_classes_and_distant_boxes_stay_apart() -> None:
    fused = fuse([boxes((0, 0, 10, 10, 0.8, 0), (0, 0, 10, 10, 0.7, 1), (6, 0, 16, 10, 0.5, 0))])
    assert sorted(fused.classes.tolist()) == [0, 0, 1]


def test_weights_of_answers_count() -> None:
    one, other = boxes((0, 0, 10, 10, 0.8, 0)), boxes((2, 0, 12, 10, 0.8, 0))
    fused = fuse([one, other], weights=[3, 1])
    assert fused.corners[0] == pytest.approx([0.5, 0, 10.5, 10])
    assert fused.scores[0] == pytest.approx(0.8)
    alone = fuse([one, Boxes.none()], weights=[3, 1])
    assert alone.scores[0] == pytest.approx(0.6)


def test_one_answer_with_two_boxes_of_one_object_is_one_voice() -> None:
    fused = fuse([boxes((0, 0, 10, 10, 0.8, 0), (0, 0, 10, 11, 0.6, 0))])
    assert fused.scores == pytest.approx([0.7])


def test_nothing_gives_nothing_and_wrong_weights_are_an_error() -> None:
    assert len(fuse([])) == len(fuse([Boxes.none()])) == 0
    with pytest.raises(ValueError, match="2 weights for 1"):
        fuse([Boxes.none()], weights=[1, 1])


def test_overlap_of_boxes() -> None:
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]], float)
    assert overlaps(others[0], others) == pytest.approx([1, 1 / 3, 0, 0])


def test_boxes_mirrored_scaled_cut_and_chosen() -> None:
    some = boxes((-5, 2, 10, 12, 0.9, 0), (95, 2, 130, 8, 0.4, 1), (200, 0, 220, 9, 0.8, 0))
    assert some.mirrored(100).corners[0] == pytest.approx([90, 2, 105, 12])
    assert some.mirrored(100).mirrored(100).corners == pytest.approx(some.corners)
    assert some.scaled(0.5).corners[1] == pytest.approx([47.5, 1, 65, 4])
    cut = some.within(100, 10)
    assert cut.corners == pytest.approx(np.array([[0, 2, 10, 10], [95, 2, 100, 8]]))
    assert len(some.above(0.5)) == 2


def test_a_vote_is_what_most_say() -> None:
    masks = [np.array([[1, 1, 0, 0]], np.float32), np.array([[1, 0, 0, 0]], np.float32),
             np.array([[1, 1, 0, 1]], np.float32)]  # fmt: skip
    voted = vote(masks)
    assert voted.mask.tolist() == [[True, True, False, False]]
    assert voted.agreement == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    assert vote(masks, weights=[1, 5, 1]).mask.tolist() == [[True, False, False, False]]


def test_a_sure_answer_outweighs_an_unsure_one() -> None:
    sure, unsure = np.array([[0.95, 0.1]], np.float32), np.array([[0.4, 0.6]], np.float32)
    assert vote([sure, unsure]).mask.tolist() == [[True, False]]


def test_a_vote_on_nothing() -> None:
    empty = np.zeros((2, 3), np.float32)
    assert vote([empty, empty]).agreement == 1
    assert box_of(vote([empty]).mask) is None
    for wrong in ([], [empty, empty.T]):
        with pytest.raises(ValueError, match=r"no answer|sizes"):
            vote(wrong)
    with pytest.raises(ValueError, match="weights"):
        vote([empty], weights=[0])


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((6, 9), bool)
    mask[1:4, 2:7] = True
    assert box_of(mask) == (2, 1, 7, 4)
