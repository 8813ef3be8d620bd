"""Who gets a reply and who does not: one rule, one test, judged by the network's journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from bot.core.errors import NothingToDo
from bot.core.events import TrackKind
from bot.flow.forget import forget
from bot.platforms.sandbox.things import Post
from storage import outbox, words
from storage.tables import MediaRow
from tests.flow.kit import OPT_IN, Flow, served, tag
from tests.pictures import plain_jpeg

MENTIONS = TrackKind.MENTIONS


def one_reply(flow: Flow, post: Post) -> None:
    assert flow.published(post) == 1
    assert [write["kind"] for write in flow.writes()] == ["upload", "post"]


def nothing_written(flow: Flow) -> None:
    assert flow.writes() == []


# --- what asks ---------------------------------------------------------------------------------


def test_the_author_mentions_us_in_the_caption(flow: Flow) -> None:
    flow.track()
    post = flow.post("ana", "#sunset @imagebot please!")
    flow.run()
    one_reply(flow, post)
    assert flow.reply(post).trigger == "mention"  # type: ignore[union-attr]


def test_the_author_tags_us_in_the_second_image_of_an_album(flow: Flow) -> None:
    flow.track()
    flow.person("ana")
    first = served(flow.box, "first", plain_jpeg((1080, 1080), (200, 30, 30)))
    second = replace(
        served(flow.box, "second", plain_jpeg((1080, 1080), (30, 200, 30))), tags=(tag(flow),)
    )
    post = flow.post("ana", "#sunset", kind="album", pictures=[first, second])
    flow.run()
    one_reply(flow, post)
    reply = flow.reply(post)
    assert reply is not None and (reply.trigger, reply.media_index) == ("usertag", 1)
    assert flow.originals.get(reply.before_sha256 or "") == plain_jpeg((1080, 1080), (30, 200, 30))


def test_an_opt_in_hashtag(flow: Flow) -> None:
    flow.track()
    post = flow.post("ana", f"#sunset #{OPT_IN.upper()}")
    flow.run()
    one_reply(flow, post)
    assert flow.reply(post).trigger == "opt-in"  # type: ignore[union-attr]


def test_a_track_that_replies(flow: Flow) -> None:
    flow.track(reply="outline")
    post = flow.post("ana", "#sunset")
    flow.run()
    one_reply(flow, post)
    reply = flow.reply(post)
    assert reply is not None and (reply.trigger, reply.style) == ("track", "outline")


def test_a_mention_no_track_would_find(flow: Flow) -> None:
    track = flow.track("", MENTIONS)
    post = flow.post("ana", "no hashtag here, @imagebot")
    tagged = flow.post("ben", "nor here", tags=[tag(flow)])
    flow.poll(track)
    flow.render()
    flow.publish()
    assert flow.published(post) == 1
    assert flow.published(tagged) == 1


def test_the_reply_tags_the_author_and_links_the_source(flow: Flow) -> None:
    flow.track()
    post = flow.asking()
    flow.run()
    (write,) = flow.writes("post")
    made = flow.box.world.post(write["ids"]["pk"])
    assert write["target"] == "ana" and post.url in made.caption
    assert made.alt_text == "echo for ana"


def test_an_accepted_sentence_is_in_the_alt_text(flow: Flow) -> None:
    """What a network said alone is not: a person has to accept it."""
    flow.track()
    for who, author in (("blip-base", "ana"), (words.PERSON, "ben")):  # the same photo
        post = flow.asking(author)
        flow.poll()
        row = flow.reply(post)
        assert row is not None
        with flow.database.write() as session:
            [held] = session.exec(select(MediaRow.sha256).where(MediaRow.post == row.post)).all()
            said = words.Words("a dog on grass.", "en")
            words.keep(session, who, "v", {held or "": said}, flow.clock())
        flow.run()
    alts = {
        write["target"]: flow.box.world.post(write["ids"]["pk"]).alt_text
        for write in flow.writes("post")
    }
    assert alts == {"ana": "echo for ana", "ben": "A dog on grass. echo for ben"}


# --- what does not -----------------------------------------------------------------------------


def test_a_plain_post(flow: Flow) -> None:
    flow.track()
    post = flow.post("ana", "#sunset")
    flow.run()
    nothing_written(flow)
    assert flow.reply(post) is None


def test_a_mention_in_somebody_elses_comment(flow: Flow) -> None:
    flow.track()
    flow.track("", MENTIONS)
    post = flow.post("ana", "#sunset")
    flow.person("ben")
    flow.box.world.comment(post.pk, "ben", "@imagebot look at this")
    flow.box.world.comment(post.pk, "ana", "@imagebot me too")
    flow.run()
    nothing_written(flow)


def test_a_longer_name_that_begins_like_ours(flow: Flow) -> None:
    flow.track()
    flow.post("ana", "#sunset @imagebot2 @imagebot.fan mail me at me@imagebot.com")
    flow.run()
    nothing_written(flow)


def test_a_post_dated_ahead(flow: Flow) -> None:
    """Its time cannot be true, so nothing says that it is young; a few minutes are two clocks."""
    flow.track()
    far = flow.asking("ana", at=flow.clock.time() + timedelta(days=10).total_seconds())
    near = flow.asking("ben", at=flow.clock.time() + timedelta(minutes=5).total_seconds())
    flow.run()
    assert (flow.published(far), flow.published(near)) == (0, 1)


def test_a_post_older_than_max_age(flow: Flow) -> None:
    flow.track()
    old = flow.asking(at=flow.clock.time() - 24 * 3600 - 60)
    young = flow.asking(at=flow.clock.time() - 24 * 3600 + 600)
    flow.using(per_author_per_day=5)
    flow.run()
    assert (flow.published(old), flow.published(young)) == (0, 1)


def test_our_own_post(flow: Flow) -> None:
    flow.track(reply="tint")
    flow.post("imagebot", f"#sunset #{OPT_IN} @imagebot")
    flow.run()
    nothing_written(flow)


def test_a_published_reply_does_not_trigger_another(flow: Flow) -> None:
    flow.track(reply="tint")
    flow.using(caption="#sunset for @{author} from {url}", per_day=100, per_author_per_day=100)
    post = flow.post("ana", "#sunset")
    for _ in range(3):
        flow.run()
    assert flow.published(post) == 1
    assert len(flow.writes("post")) == 1


def test_another_own_accounts_post(flow: Flow) -> None:
    flow.track(reply="tint")
    second = flow.box.world.add_user("our.second")
    flow.us = replace(flow.us, ours=frozenset({second.pk}))
    flow.asking("our.second")
    flow.run()
    nothing_written(flow)


def test_an_own_account_that_is_not_logged_in(flow: Flow) -> None:
    """Nobody knows its id yet; its name stands in the configuration."""
    flow.track(reply="tint")
    flow.us = replace(flow.us, names=frozenset({"our.second"}))
    flow.asking("Our.Second")
    flow.run()
    nothing_written(flow)


@pytest.mark.parametrize("ignored", ["news.feed", "ID"])
def test_a_person_on_the_ignore_list(flow: Flow, ignored: str) -> None:
    flow.track()
    person = flow.box.world.add_user("News.Feed")
    flow.using(ignore=frozenset({person.pk if ignored == "ID" else ignored}))
    flow.asking("News.Feed")
    flow.run()
    nothing_written(flow)


@pytest.mark.parametrize(
    ("username", "full_name"),
    [
        ("daily_quote_bot", ""),
        ("bot.of.the.day", ""),
        ("weather-bot24", ""),
        ("imagebot7", ""),
        ("quotebot", ""),
        ("MemeBots_2024", ""),
        ("meme.bot.", ""),
        ("quotes", "Quotes (Bot)"),
        ("quotes2", "BOT – Zitate"),
        ("quotes3", "ＢＯＴ"),
        ("autoreplybot_official", ""),
        ("robot.maker", ""),  # unclear, so no
        ("memeb0t", ""),
        ("погода", "погодный бот"),
    ],
)
def test_another_bot(flow: Flow, username: str, full_name: str) -> None:
    flow.track(reply="tint")
    flow.person(username.replace("-", "_"), full_name=full_name)
    flow.asking(username.replace("-", "_"))
    flow.run()
    nothing_written(flow)


def test_people_whose_names_only_contain_it(flow: Flow) -> None:
    flow.track()
    names = {
        "abbot": "Abbott Smith",
        "marc.ribot": "Marc Ribot",
        "robotics": "Robotics",
        "botanica": "Botanik",
        "jboti": "",
        "jane.talbot99": "Jane Talbot",
    }
    posts = []
    for name, full_name in names.items():
        flow.person(name, full_name=full_name or "J")
        posts.append(flow.asking(name))
    flow.run()
    published = {post.user_pk: flow.published(post) for post in posts}
    assert list(published.values()) == [1, 1, 1, 1, 1, 1]


def test_a_profile_that_says_it_is_a_bot(flow: Flow) -> None:
    """Listings do not show it; it is looked at before sending."""
    flow.track()
    flow.person("daily.views", biography="Views every day. I am a bot")
    post = flow.asking("daily.views")
    flow.run()
    nothing_written(flow)
    assert (flow.state(post), flow.reason(post)) == ("cancelled", "a bot")


def test_a_profile_that_cannot_be_read_holds_the_reply(flow: Flow) -> None:
    flow.track()
    post = flow.asking("ana")
    flow.poll()
    flow.render()
    flow.box.faults.add("throttled", "/api/v1/users/*/info/", retry_after=120)
    flow.publish()
    assert flow.state(post) == "approved"
    flow.settle(10)
    assert flow.published(post) == 1


@pytest.mark.parametrize(
    "caption",
    [
        "For @imagebot, made by a machine from https://www.instagram.com/p/CODE/",
        "Voor @imagebot van https://www.instagram.com/p/CODE/ #tint",
    ],
)
def test_a_reply_of_another_such_service(flow: Flow, caption: str) -> None:
    """It tags the author it answers: two of them would answer each other for ever."""
    flow.track("", MENTIONS)
    flow.using(caption="Voor @{author} van {url} #{style}")
    flow.post("some.page", caption, tags=[tag(flow)])
    flow.run()
    nothing_written(flow)


def test_a_person_who_speaks_of_machines(flow: Flow) -> None:
    flow.track("", MENTIONS)
    flow.using(caption="Voor @{author} van {url} #{style}")
    posts = [
        flow.post("ana", "@imagebot is this made by a machine?"),
        flow.post("ben", "Voor @imagebot van https://www.instagram.com/p/CODE/ #tint, and my cat"),
    ]
    flow.run()
    assert [flow.published(post) for post in posts] == [1, 1]


def test_a_private_account(flow: Flow) -> None:
    flow.track(reply="tint")
    flow.person("quiet.corner", is_private=True)
    flow.asking("quiet.corner")
    flow.run()
    nothing_written(flow)


def test_somebody_who_opted_out(flow: Flow) -> None:
    flow.track()
    first = flow.post("ana", "#sunset")
    flow.run()
    counts = forget(flow, "instagram", "ana")
    assert counts["posts"] == 1
    flow.asking("ana")
    flow.run()
    nothing_written(flow)
    assert flow.reply(first) is None
    with flow.database.read() as session:
        assert flow.optouts.has(session, "instagram", flow.box.world.user("ana").pk)


def test_somebody_who_opted_out_while_a_reply_awaited_approval(flow: Flow) -> None:
    flow.track()
    flow.using(approval=True)
    post, approved = flow.asking("ana"), flow.asking("ben")
    flow.run()
    assert flow.state(post) == flow.state(approved) == "awaiting_approval"
    flow.approve(approved)
    forget(flow, "instagram", "ana")
    forget(flow, "instagram", "ben")
    assert list(flow.originals.root.rglob("??/??/*")) == []
    flow.using(approval=False)
    flow.run()
    flow.settle(5)
    nothing_written(flow)


def test_somebody_unknown_can_only_be_kept_out_by_id(flow: Flow) -> None:
    flow.track()
    with pytest.raises(NothingToDo):
        forget(flow, "instagram", "ana")
    person = flow.box.world.add_user("ana")
    forget(flow, "instagram", person.pk)
    flow.asking("ana")
    assert flow.poll().taken.kept_out == 1
    flow.run()
    nothing_written(flow)


def test_replies_switched_off(flow: Flow) -> None:
    flow.track(reply="tint")
    flow.using(enabled=False)
    flow.asking()
    flow.run()
    nothing_written(flow)


def test_replies_switched_off_while_one_waits(flow: Flow) -> None:
    flow.track()
    post = flow.asking()
    flow.poll()
    flow.render()
    flow.using(enabled=False)
    flow.publish()
    nothing_written(flow)
    flow.using(enabled=True)
    flow.settle(2)
    one_reply(flow, post)


def test_dry_run_is_the_end(flow: Flow) -> None:
    flow.track()
    flow.using(dry_run=True)
    post = flow.asking()
    flow.run()
    assert flow.state(post) == "dry_run"
    assert flow.reply(post).after_sha256  # type: ignore[union-attr]
    flow.using(dry_run=False)
    flow.run()
    flow.settle(60)
    nothing_written(flow)
    assert flow.state(post) == "dry_run"


def test_dry_run_catches_what_was_approved_before(flow: Flow) -> None:
    flow.track()
    post = flow.asking()
    flow.poll()
    flow.render()
    flow.using(dry_run=True)
    flow.publish()
    flow.using(dry_run=False)
    flow.settle(10)
    nothing_written(flow)
    assert flow.state(post) == "dry_run"


def test_mentions_switched_off(flow: Flow) -> None:
    flow.track()
    flow.using(mentions=False)
    flow.post("ana", "#sunset @imagebot", tags=())
    flow.run()
    nothing_written(flow)


# --- approval ----------------------------------------------------------------------------------


def test_nothing_leaves_before_a_person_approves(flow: Flow) -> None:
    flow.track()
    flow.using(approval=True)
    post = flow.asking()
    flow.run()
    flow.settle(5)
    nothing_written(flow)
    assert flow.state(post) == "awaiting_approval"
    flow.approve(post)
    flow.publish()
    one_reply(flow, post)


def test_an_expired_approval_never_sends(flow: Flow) -> None:
    flow.track()
    flow.using(approval=True, expires=timedelta(hours=2))
    awaiting, late = flow.asking("ana"), flow.asking("ben")
    flow.run()
    flow.approve(late)
    flow.clock.advance(hours=2, minutes=1)
    flow.publish()  # the gate itself looks at the time
    assert flow.state(late) == "expired"
    with flow.database.write() as session:
        assert outbox.expire(session, flow.clock()) == 1
    assert flow.state(awaiting) == "expired"
    flow.using(approval=False)
    flow.run()
    flow.settle(5)
    nothing_written(flow)


def test_approval_switched_on_while_a_reply_waits_to_leave(flow: Flow) -> None:
    flow.track()
    post = flow.asking()
    flow.poll()
    flow.render()
    assert flow.state(post) == "approved"
    flow.using(approval=True)
    flow.publish()
    nothing_written(flow)
    assert flow.state(post) == "awaiting_approval"
    flow.approve(post)
    flow.publish()
    one_reply(flow, post)


def test_a_rejected_reply_never_leaves(flow: Flow) -> None:
    flow.track()
    flow.using(approval=True)
    post = flow.asking()
    flow.run()
    with flow.database.write() as session:
        outbox.reject(session, flow.reply_id(post), "op", "no", flow.clock())
    flow.using(approval=False)
    flow.run()
    flow.settle(5)
    nothing_written(flow)


# --- what becomes of the source meanwhile ------------------------------------------------------


def waiting(flow: Flow, caption: str, **more: Any) -> Post:
    flow.track(**more)
    post = flow.post("ana", caption)
    flow.poll()
    flow.render()
    assert flow.state(post) == "approved"
    return post


def test_a_deleted_source_cancels(flow: Flow) -> None:
    post = waiting(flow, f"#sunset #{OPT_IN}")
    flow.box.world.delete(post.pk)
    flow.publish()
    nothing_written(flow)
    assert flow.state(post) == "cancelled"


def test_a_source_made_private_cancels(flow: Flow) -> None:
    post = waiting(flow, f"#sunset #{OPT_IN}")
    flow.box.world.user("ana").is_private = True
    flow.publish()
    nothing_written(flow)
    assert flow.state(post) == "cancelled"


def test_a_trigger_edited_away_cancels(flow: Flow) -> None:
    post = waiting(flow, "#sunset @imagebot")
    flow.box.world.edit(post.pk, "#sunset, I changed my mind")
    flow.publish()
    nothing_written(flow)
    assert flow.state(post) == "cancelled"


def test_a_trigger_edited_in_is_one(flow: Flow) -> None:
    flow.track()
    post = flow.post("ana", "#sunset")
    flow.run()
    nothing_written(flow)
    flow.box.world.edit(post.pk, "#sunset @imagebot")
    flow.run()
    one_reply(flow, post)


def test_a_track_that_no_longer_replies_cancels(flow: Flow) -> None:
    post = waiting(flow, "#sunset", reply="tint")
    flow.track(reply=None)
    flow.publish()
    nothing_written(flow)
    assert flow.state(post) == "cancelled"


def test_a_removed_track_cancels(flow: Flow) -> None:
    post = waiting(flow, "#sunset", reply="tint")
    flow.tracks.clear()
    flow.publish()
    nothing_written(flow)
    assert flow.reason(post) == "its track was removed"


# --- once --------------------------------------------------------------------------------------


def test_one_reply_over_two_tracks_and_the_mentions(flow: Flow) -> None:
    flow.track("sunset", reply="tint")
    flow.track("beach", reply="outline")
    flow.track("ana", TrackKind.PROFILE)
    flow.track("", MENTIONS)
    flow.person("ana")
    post = flow.post("ana", f"#sunset #beach #{OPT_IN} @imagebot", tags=[tag(flow)])
    for _ in range(3):
        flow.run()
    one_reply(flow, post)
