"""The gate: kill switch, caps, quiet hours. Judged by the network's journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.core.events import Receipt, Step
from bot.flow.forget import forget
from bot.flow.quiet_hours import QuietHours
from bot.platforms.sandbox.things import Post
from tests.flow.kit import Flow

KIRITIMATI = ZoneInfo("Pacific/Kiritimati")  # UTC+14: noon UTC is 2 o'clock of the next day


def ready(flow: Flow, *authors: str) -> list[Post]:
    """A post of each that asks, rendered and approved."""
    if not flow.tracks:
        flow.track()
    posts = [flow.asking(author) for author in authors]
    flow.poll()
    flow.render()
    return posts


def kinds(flow: Flow) -> list[str]:
    return [write["kind"] for write in flow.writes()]


def out(flow: Flow) -> int:
    return len(flow.writes("post"))


def test_the_kill_switch_holds_everything(flow: Flow) -> None:
    ready(flow, "ana", "ben")
    flow.pause()
    flow.publish()
    flow.settle(10)
    assert flow.writes() == []
    flow.pause(on=False)
    flow.publish()
    assert out(flow) == 2


def test_the_kill_switch_of_one_account(flow: Flow) -> None:
    (post,) = ready(flow, "ana")
    flow.pause(account="other")
    flow.pause(account="main")
    flow.publish()
    assert flow.writes() == []
    assert flow.reason(post) == "paused by the operator"
    flow.pause(on=False, account="main")
    flow.publish()
    assert out(flow) == 1


def test_the_kill_switch_between_two_steps(flow: Flow) -> None:
    """Turned while the upload is on its way: the post does not follow."""
    (post,) = ready(flow, "ana")
    send = flow.platform.send

    def and_pause(step: Step) -> Receipt:
        receipt = send(step)
        flow.pause()
        return receipt

    flow.platform.send = and_pause  # type: ignore[method-assign]
    flow.publish()
    assert [write["kind"] for write in flow.writes()] == ["upload"]
    flow.platform.send = send  # type: ignore[method-assign]
    flow.settle(5)
    assert out(flow) == 0
    flow.pause(on=False)
    flow.publish()
    assert [write["kind"] for write in flow.writes()] == ["upload", "post"]
    assert flow.state(post) == "sent"


def after_one_write(flow: Flow, change: Callable[[], object]) -> None:
    """Publish; `change` comes while the first write is on its way."""
    send = flow.platform.send

    def and_change(step: Step) -> Receipt:
        receipt = send(step)
        change()
        return receipt

    flow.platform.send = and_change  # type: ignore[method-assign]
    flow.publish()
    flow.platform.send = send  # type: ignore[method-assign]


def test_replies_switched_off_between_two_steps(flow: Flow) -> None:
    """By a reload: the rules in force now count, and the reply goes on where it was."""
    (post,) = ready(flow, "ana")
    after_one_write(flow, lambda: flow.using(enabled=False))
    flow.settle(5)
    assert kinds(flow) == ["upload"]
    assert (flow.state(post), flow.reason(post)) == ("approved", "replies are switched off")
    flow.using(enabled=True)
    flow.settle(2)
    assert kinds(flow) == ["upload", "post"]
    assert flow.state(post) == "sent"


def test_a_dry_run_adopted_between_two_steps(flow: Flow) -> None:
    """Nothing is to be seen yet, so nothing ever will be, also when it is switched off again."""
    (post,) = ready(flow, "ana")
    after_one_write(flow, lambda: flow.using(dry_run=True))
    assert flow.state(post) == "dry_run"
    flow.using(dry_run=False)
    flow.settle(5)
    assert kinds(flow) == ["upload"]


@pytest.mark.parametrize("off", [{"dry_run": True}, {"enabled": False}], ids=str)
def test_what_follows_the_reply_waits_as_well(flow: Flow, off: dict[str, bool]) -> None:
    """The image is out and its comment is not: it follows once, when the rules allow it again."""
    flow.using(comment="look: {url}")
    (post,) = ready(flow, "ana")
    send = flow.platform.send

    def and_change(step: Step) -> Receipt:
        receipt = send(step)
        if step.kind == "post":
            flow.using(**off)
        return receipt

    flow.platform.send = and_change  # type: ignore[method-assign]
    flow.publish()
    flow.settle(5)
    assert kinds(flow) == ["upload", "post"]
    assert flow.state(post) == "approved"
    flow.using(dry_run=False, enabled=True)
    flow.settle(5)
    assert kinds(flow) == ["upload", "post", "comment"]
    assert flow.state(post) == "sent"


def test_approval_switched_on_between_two_steps(flow: Flow) -> None:
    (post,) = ready(flow, "ana")
    after_one_write(flow, lambda: flow.using(approval=True))
    assert flow.state(post) == "awaiting_approval"
    assert kinds(flow) == ["upload"]
    flow.approve(post)
    flow.publish()
    assert kinds(flow) == ["upload", "post"]
    assert flow.state(post) == "sent"


def test_opting_out_between_two_steps(flow: Flow) -> None:
    (post,) = ready(flow, "ana")
    send = flow.platform.send

    def and_forget(step: Step) -> Receipt:
        receipt = send(step)
        forget(flow, "instagram", "ana")
        return receipt

    flow.platform.send = and_forget  # type: ignore[method-assign]
    flow.publish()
    flow.settle(5)
    assert [write["kind"] for write in flow.writes()] == ["upload"]
    assert flow.state(post) == "cancelled"


def test_collecting_goes_on_while_paused(flow: Flow) -> None:
    flow.track()
    flow.pause()
    flow.post("ana", "#sunset")
    assert flow.poll().taken.new == 1


def test_the_cap_per_day_begins_anew_at_midnight(flow: Flow) -> None:
    flow.using(per_day=2, per_author_per_day=9, expires=timedelta(days=9))
    ready(flow, "ana", "ben", "eve", "joe", "kim")
    flow.publish()
    assert out(flow) == 2
    flow.clock.advance(hours=11, minutes=50)  # 23:50
    flow.publish()
    assert out(flow) == 2
    flow.clock.advance(minutes=15)
    flow.publish()
    assert out(flow) == 4
    flow.clock.advance(days=1)
    flow.render()  # the fifth: for two days only, images are made ahead
    flow.publish()
    assert out(flow) == 5


def test_the_day_is_that_of_the_time_zone(flow: Flow) -> None:
    flow.using(per_day=1, per_author_per_day=9, zone=KIRITIMATI)
    ready(flow, "ana", "ben")
    flow.publish()
    flow.clock.advance(hours=12, minutes=1)  # past midnight UTC, 14 o'clock there
    flow.publish()
    assert out(flow) == 1
    flow.clock.advance(hours=10)  # 00:01 there
    flow.publish()
    assert out(flow) == 2


def test_the_cap_per_author(flow: Flow) -> None:
    flow.using(per_author_per_day=1)
    first, second, other = ready(flow, "ana", "ana", "ben")
    flow.publish()
    assert flow.published(first) == 1 and flow.published(other) == 1
    assert flow.published(second) == 0
    flow.clock.advance(hours=13)
    flow.publish()
    assert flow.published(second) == 1


def test_a_cap_of_zero(flow: Flow) -> None:
    flow.using(per_day=0)
    ready(flow, "ana")
    flow.publish()
    flow.clock.advance(days=1)
    flow.publish()
    assert flow.writes() == []


def test_what_was_tried_yesterday_counts_for_the_day_it_left(flow: Flow) -> None:
    flow.using(per_day=1, per_author_per_day=9, expires=timedelta(days=9))
    first, second = ready(flow, "ana", "ben")
    flow.clock.advance(hours=11, minutes=58)  # 23:58
    flow.box.faults.add("throttled", write="post", retry_after=180)
    flow.publish()
    assert out(flow) == 0
    # throttled by the network for the first, and by our own breaker for the second
    flow.clock.advance(minutes=10)
    flow.publish()
    assert out(flow) == 1
    flow.clock.advance(hours=12)
    flow.publish()
    assert out(flow) == 1
    flow.clock.advance(hours=12)
    flow.publish()
    assert out(flow) == 2
    assert flow.published(first) == flow.published(second) == 1


def test_quiet_hours_hold_sends_and_not_collecting(flow: Flow) -> None:
    flow.using(quiet=QuietHours(time(11), time(13)))
    flow.track()
    post = flow.asking("ana")
    assert flow.poll().taken.new == 1
    flow.render()
    flow.publish()
    assert flow.writes() == []
    assert flow.reason(post) == "quiet hours"
    flow.clock.advance(minutes=59)
    flow.asking("ben")
    assert flow.poll().taken.new == 1
    flow.publish()
    assert flow.writes() == []
    flow.clock.advance(minutes=2)
    flow.render()
    flow.publish()
    assert out(flow) == 2


def test_quiet_hours_over_midnight_in_their_zone(flow: Flow) -> None:
    flow.using(quiet=QuietHours(time(23), time(7)), zone=KIRITIMATI)  # it is 2 o'clock there
    ready(flow, "ana")
    flow.publish()
    flow.clock.advance(hours=4, minutes=55)
    flow.publish()
    assert flow.writes() == []
    flow.clock.advance(minutes=10)
    flow.publish()
    assert out(flow) == 1


def test_the_comment_follows_though_a_cap_or_quiet_hours_began(flow: Flow) -> None:
    """What is half out is finished: caps and quiet hours are for beginnings."""
    flow.using(comment="look: {url}", per_day=1)
    (post,) = ready(flow, "ana")
    flow.box.faults.add("drop", write="post", after=True)
    flow.publish()
    assert flow.state(post) == "unknown"
    flow.using(quiet=QuietHours(time(0), time(23, 59)), per_day=0)
    flow.settle(3)
    assert flow.published(post) == 1
    assert len(flow.writes("comment")) == 1
    assert flow.state(post) == "sent"


def test_what_is_being_sent_counts(flow: Flow) -> None:
    """A reply of unknown outcome may be on the network: it uses up its place."""
    flow.using(per_day=1, reads=(timedelta(hours=2), timedelta(hours=2)))
    ready(flow, "ana", "ben")
    flow.box.faults.add("drop", write="post", after=True)
    flow.publish()
    assert out(flow) == 1
    flow.clock.advance(hours=1)
    flow.publish()
    assert out(flow) == 1
