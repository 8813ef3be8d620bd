"""What the caps let out is rendered first, and what they never let out is not rendered."""

from __future__ import annotations

from collections import Counter

from bot.flow.caps import AHEAD_DAYS
from bot.flow.render import BEYOND_CAPS
from tests.flow.kit import Flow


def test_no_more_is_rendered_than_may_go_out(flow: Flow) -> None:
    flow.track()
    flow.using(per_day=2, approval=True)
    posts = [flow.asking(f"p{n}") for n in range(7)]
    flow.poll()
    flow.render()
    states = Counter(flow.state(post) for post in posts)
    assert states == {"awaiting_approval": 2 * AHEAD_DAYS, "queued": 7 - 2 * AHEAD_DAYS}
    flow.approve(posts[0])
    flow.publish()
    flow.clock.advance(days=1)
    flow.render()
    assert sum(flow.state(post) == "awaiting_approval" for post in posts) == 2 * AHEAD_DAYS


def test_one_author_does_not_keep_others_waiting(flow: Flow) -> None:
    flow.track()
    flow.using(per_day=3, per_author_per_day=1)
    loud = [flow.asking("ana") for _ in range(4)]
    quiet = [flow.asking(name) for name in ("ben", "cid")]
    flow.poll()
    flow.render()
    assert [flow.state(post) for post in quiet] == ["approved", "approved"]
    assert Counter(flow.state(post) for post in loud) == {"approved": 2, "queued": 2}
    flow.publish()
    assert [flow.published(post) for post in quiet] == [1, 1]
    assert sum(flow.published(post) for post in loud) == 1


def test_what_waits_beyond_the_caps_holds_up_nothing(flow: Flow) -> None:
    """It is no work that waits for the renderer, so learning and the thread itself can rest."""
    flow.track()
    flow.using(per_day=1, approval=True)
    posts = [flow.asking(f"p{n}") for n in range(4)]
    flow.poll()
    flow.render()
    held = flow.reply(posts[3])
    assert held is not None
    assert held.reason == "beyond the caps"
    assert held.not_before > flow.clock()
    flow.using(per_day=10)
    flow.clock.advance(seconds=BEYOND_CAPS.total_seconds() + 1)
    flow.render()
    assert {flow.state(post) for post in posts} == {"awaiting_approval"}
