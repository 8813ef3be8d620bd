"""A mask that may be wrong is looked at by a person, or is not shown."""

from __future__ import annotations

from dataclasses import replace

from storage.tables import ReplyState
from tests.flow.kit import Flow


def rendered(flow: Flow, *, confidence: float, approval: bool) -> str:
    """The id of a post whose reply was rendered."""
    flow.stages.confidence = confidence
    flow.policy = replace(flow.policy, approval=approval)
    flow.track()
    post = flow.asking("ana", pictures=[flow.box.gallery.pick(0)])
    flow.poll()
    flow.render()
    return post


def test_a_doubtful_mask_waits_and_says_why(flow: Flow) -> None:
    post = rendered(flow, confidence=0.6, approval=True)
    reply = flow.reply(post)
    assert reply is not None
    assert reply.state == ReplyState.AWAITING_APPROVAL
    assert reply.reason == "the main object is not clear (60% sure)"
    assert "fallback_style" not in reply.facts


def test_a_sure_mask_waits_for_approval_without_a_reason(flow: Flow) -> None:
    reply = flow.reply(rendered(flow, confidence=0.9, approval=True))
    assert reply is not None
    assert (reply.state, reply.reason) == (ReplyState.AWAITING_APPROVAL, "")


def test_where_nobody_approves_a_doubtful_mask_is_not_shown(flow: Flow) -> None:
    """The whole picture goes out, in the style that needs no mask."""
    post = rendered(flow, confidence=0.6, approval=False)
    reply = flow.reply(post)
    assert reply is not None
    assert reply.state == ReplyState.APPROVED
    assert reply.facts["compose"]["style"] == reply.facts["fallback_style"] == "frame"
    assert "not clear" in reply.facts["fallback_reason"]
    flow.publish()
    assert flow.published(post) == 1


def test_a_doubtful_mask_in_a_picture_never_goes_out_by_itself(flow: Flow) -> None:
    """Rendered for a person to look at; then approval was switched off."""
    post = rendered(flow, confidence=0.6, approval=True)
    flow.policy = replace(flow.policy, approval=False)
    flow.publish()
    reply = flow.reply(post)
    assert reply is not None
    assert reply.state == ReplyState.AWAITING_APPROVAL
    assert flow.published(post) == 0
