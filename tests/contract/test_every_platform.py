"""What every platform must keep to, whatever it is: the suite runs on each of them.

It is judged by what the network shows, and by nothing that our own code says about itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.errors import (
    ActionBlocked,
    ChallengeRequired,
    LoginRequired,
    OutcomeUnknown,
    PleaseWait,
    RateLimited,
    Refused,
    TagechoError,
    TargetGone,
    TargetPrivate,
    Unavailable,
)
from bot.core.events import Page, Post, Presence, Topic, TrackKind
from bot.platforms import registry
from bot.platforms.base import Streaming
from bot.platforms.memory.network import Fault
from bot.platforms.reply_modes import Idempotence
from tests.contract.subjects import KNOWS, Subject, planned, subject, written
from tests.waiting import eventually

EVERY = {one.name: one for one in registry.every()}
MODES = [(one.name, mode.name) for one in EVERY.values() for mode in one.ways.modes]
_NAMES = (f"person{number}" for number in itertools.count())
READS = {
    Fault.GONE: TargetGone,
    Fault.UNAVAILABLE: Unavailable,
    Fault.LOST_BEFORE: Unavailable,
    Fault.LOST_AFTER: Unavailable,
    Fault.THROTTLED: RateLimited,
    Fault.WAIT: PleaseWait,
    Fault.BLOCKED: ActionBlocked,
    Fault.ENDED: LoginRequired,
    Fault.CHALLENGE: ChallengeRequired,
}
WRITES = READS | {
    Fault.REFUSED: Refused,
    Fault.UNAVAILABLE: OutcomeUnknown,
    Fault.LOST_BEFORE: OutcomeUnknown,
    Fault.LOST_AFTER: OutcomeUnknown,
}


def _met(meanings: dict[Fault, type[TagechoError]]) -> list[tuple[str, Fault]]:
    """Each platform with the faults that there are on its network."""
    return [(name, fault) for name in EVERY for fault in meanings if fault in KNOWS[name]]


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Subject]]:
    """Each platform with a network that all tests of this file share."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            patch.delenv(name, raising=False)
        opened = {name: subject(name, tmp_path_factory.mktemp(name)) for name in EVERY}
        made = {name: one.__enter__() for name, one in opened.items()}
        for one in made.values():
            one.platform.login()
        yield made
        for one in opened.values():
            one.__exit__(None, None, None)


@pytest.fixture(params=EVERY)
def on(subjects: dict[str, Subject], request: pytest.FixtureRequest) -> Iterator[Subject]:
    found = subjects[request.param]
    yield found
    found.clear()


@pytest.fixture(params=MODES, ids="-".join)
def way(
    subjects: dict[str, Subject], request: pytest.FixtureRequest
) -> Iterator[tuple[Subject, str]]:
    name, mode = request.param
    yield subjects[name], mode
    subjects[name].clear()


def fresh(on: Subject, caption: str = "look") -> Post:
    """A post of somebody whom we never met."""
    name = next(_NAMES)
    on.person(name)
    return on.platform.post(on.post(name, caption))


def pages(read: Callable[[str | None], Page]) -> list[Page]:
    found = [read(None)]
    while (cursor := found[-1].cursor) is not None:
        found.append(read(cursor))
        assert len(found) < 50, "the listing does not end"
    return found


# --- what it says of itself -----------------------------------------------------------------------


def test_the_client_is_what_the_descriptor_says(on: Subject) -> None:
    descriptor = EVERY[on.platform.name]
    assert on.platform.ways is descriptor.ways
    assert isinstance(on.platform, Streaming) == descriptor.streams
    assert {"read", "media", "login", "delete"} <= set(descriptor.actions)
    for mode in descriptor.ways.modes:
        assert [step.image for step in mode.steps].count(True) == 1
        assert any(step.visible for step in mode.steps)
        assert all(step.leaves for step in mode.steps if step.visible)
    left = {step.leaves for step in descriptor.ways.steps() if step.leaves}
    assert left <= set(descriptor.deletion)
    assert all(one.meaning for one in descriptor.deletion.values())


CAPTIONS = (
    "look, #Sunset #Закат, @Ana and @ben.b",
    "#fun🎉 #Café #2026 #a2026",
    "https://example.org/#no a@b.example #_ #",
)


@pytest.mark.parametrize("caption", CAPTIONS)
def test_a_caption_is_read_in_the_spelling_of_the_platform(on: Subject, caption: str) -> None:
    spelling = EVERY[on.platform.name].spelling
    post = on.platform.post(on.post(next(_NAMES), caption))
    assert post.caption == caption
    assert post.hashtags == spelling.hashtags(caption)
    said = spelling.mentions(caption)
    assert [name.partition("@")[0] for name in post.mentions] == list(said)
    for tag in post.hashtags:
        assert spelling.hashtag(f"#{tag.upper()}") == spelling.hashtag(tag) == tag
        listed = on.platform.hashtag(tag).posts
        assert post.post_id in [one.post_id for one in listed]
    for name in post.mentions:
        assert spelling.handle(f"@{name.upper()}") == spelling.handle(name) == name


def test_a_hashtag_that_no_caption_has_is_refused(on: Subject) -> None:
    spelling = EVERY[on.platform.name].spelling
    for name in ("two words", "#", "fun!", "2026", "a", "Закат"):
        found = spelling.hashtags(f"#{name}")
        if found == (name.lower(),):
            assert spelling.hashtag(name) == found[0]
        else:
            with pytest.raises(ValueError, match=r"\S"):
                spelling.hashtag(name)


def test_an_id_and_an_address_name_the_same_post(on: Subject) -> None:
    spelling = EVERY[on.platform.name].spelling
    post = fresh(on)
    assert spelling.post_id(post.post_id) == post.post_id
    assert spelling.is_user_id(post.author.user_id)
    assert not spelling.is_user_id(post.author.username)
    assert spelling.post(post.url) in (post.post_id, None)
    with pytest.raises(ValueError, match=r"\S"):
        spelling.post_id("no id of anything")


def test_a_session_is_used_again(on: Subject) -> None:
    first, second = on.platform.login(), on.platform.login()
    assert first == second
    assert first.platform == on.platform.name
    assert first.user_id and first.username


# --- reading --------------------------------------------------------------------------------------


def test_a_hashtag_is_listed_newest_first_and_in_pages(on: Subject) -> None:
    tag = f"page{next(_NAMES)}"
    wanted = [on.post(next(_NAMES), f"#{tag}") for _ in range(2 * on.per_page + 1)]
    on.post(next(_NAMES), "#another")
    found = pages(lambda cursor: on.platform.hashtag(tag, cursor))
    assert len(found) == 3
    listed = [post for page in found for post in page.posts]
    assert [post.post_id for post in listed] == wanted[::-1]
    assert all(tag in post.hashtags and post.media and post.url for post in listed)
    assert all(post.taken_at.tzinfo is not None for post in listed)


def test_a_profile_lists_its_own_posts(on: Subject) -> None:
    name = next(_NAMES)
    handle = on.person(name)
    wanted = [on.post(name, f"number {number}") for number in range(3)]
    on.post(next(_NAMES), "of somebody else")
    (page,) = pages(lambda cursor: on.platform.profile(handle, cursor))
    assert {post.post_id for post in page.posts} == set(wanted)
    assert len({post.author.user_id for post in page.posts}) == 1


def test_nobody_and_a_closed_profile(on: Subject) -> None:
    with pytest.raises(TargetGone):
        on.platform.profile("nobody.of.that.name")
    name = next(_NAMES)
    handle = on.person(name, is_private=True)
    on.post(name, "for friends")
    with pytest.raises(TargetPrivate):
        on.platform.profile(handle)


def test_who_mentions_or_tags_us(on: Subject) -> None:
    asking, other = on.asks(next(_NAMES)), on.post(next(_NAMES), "nothing of us")
    page = on.platform.mentions()
    found = {post.post_id for post in (*page.posts, *page.aside)}
    assert asking in found
    assert other not in found


def test_a_post_and_its_author(on: Subject) -> None:
    name = next(_NAMES)
    on.person(name, is_private=False)
    post = on.platform.post(on.post(name, "look, #Sunset"))
    assert post.hashtags == ("sunset",)
    author = on.platform.author(post.author.user_id)
    assert (author.user_id, author.username) == (post.author.user_id, post.author.username)
    assert not author.is_private
    on.remove(post.post_id)
    with pytest.raises(TargetGone):
        on.platform.post(post.post_id)


def test_an_image_and_one_that_is_too_large(on: Subject) -> None:
    media = fresh(on).media[0]
    data = on.platform.download(media, 10_000_000)
    assert data[:2] in (b"\xff\xd8", b"\x89P")
    with pytest.raises(Refused):
        on.platform.download(media, len(data) - 1)


def test_a_stream_resumes_where_it_was(on: Subject) -> None:
    """What a network pushes may take a moment to come, so each post is waited for."""
    platform = on.platform
    if not isinstance(platform, Streaming):
        assert not EVERY[on.platform.name].streams
        return
    tag = f"stream{next(_NAMES)}"
    topics = (Topic(TrackKind.HASHTAG, tag),)

    def streamed(cursor: str, wanted: int) -> tuple[list[str], str]:
        """Ids, in the order they came, and where to resume."""
        found: list[str] = []

        def more() -> bool:
            nonlocal cursor
            page = platform.stream(cursor, topics)
            assert page.cursor is not None
            found.extend(post.post_id for post in page.posts)
            cursor = page.cursor
            return len(found) >= wanted

        eventually("the posts are streamed", more)
        return found, cursor

    begin = platform.stream(None, topics)
    assert not begin.posts and begin.cursor is not None
    wanted = [on.post(next(_NAMES), f"#{tag} {number}") for number in range(2)]
    found, cursor = streamed(begin.cursor, 2)
    assert found == wanted
    wanted.append(on.post(next(_NAMES), f"#{tag}"))
    assert streamed(cursor, 1)[0] == wanted[2:]
    assert streamed(begin.cursor, 3)[0] == wanted, "a cursor may be used again"
    with pytest.raises(Refused):
        platform.stream("999999", topics)


@pytest.mark.parametrize(("name", "fault"), _met(READS))
def test_what_a_failed_read_means(subjects: dict[str, Subject], name: str, fault: Fault) -> None:
    on = subjects[name]
    post = fresh(on)
    on.fail("reading", fault)
    with pytest.raises(TagechoError) as caught:
        on.platform.post(post.post_id)
    assert type(caught.value) is READS[fault]
    assert on.pacer.told[-1] == ("read", caught.value)


# --- writing --------------------------------------------------------------------------------------


def now() -> datetime:
    return datetime.now(UTC)


def test_every_write_is_made_once_and_found_again(way: tuple[Subject, str]) -> None:
    on, mode = way
    source, since, outputs = fresh(on), now() - timedelta(minutes=1), dict[str, str]()
    for kind in planned(on, mode):
        step = written(kind, source, f"once{kind.name}{source.post_id}", outputs)
        before = on.made(kind.name)
        assert on.platform.find(step, since).verdict is Presence.ABSENT
        receipt = on.platform.send(step)
        assert receipt.remote_id
        assert on.made(kind.name) == before + 1
        if kind.visible:
            reading = on.platform.find(step, since)
            assert reading.verdict is Presence.APPLIED
            assert reading.receipt is not None
            assert reading.receipt.remote_id == receipt.remote_id
        outputs |= receipt.outputs


def test_a_write_sent_again_does_what_its_descriptor_says(way: tuple[Subject, str]) -> None:
    on, mode = way
    source, outputs = fresh(on), dict[str, str]()
    for kind in planned(on, mode):
        step = written(kind, source, f"again{kind.name}{source.post_id}", outputs)
        receipt = on.platform.send(step)
        before = on.made(kind.name)
        if kind.idempotence is Idempotence.TOKEN:
            assert on.platform.send(step).remote_id == receipt.remote_id
            assert on.made(kind.name) == before
        elif kind.idempotence is Idempotence.REPEATABLE:
            receipt = on.platform.send(step)  # what follows may use either
        outputs |= receipt.outputs


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_is_settled_by_reading(way: tuple[Subject, str], applied: bool) -> None:
    on, mode = way
    source, since, outputs = fresh(on), now() - timedelta(minutes=1), dict[str, str]()
    for kind in planned(on, mode):
        step = written(kind, source, f"lost{kind.name}{source.post_id}", outputs)
        before = on.made(kind.name)
        on.fail(kind.name, Fault.LOST_AFTER if applied else Fault.LOST_BEFORE)
        with pytest.raises(OutcomeUnknown):
            on.platform.send(step)
        on.clear()
        assert on.made(kind.name) == before + applied
        reading = on.platform.find(step, since)
        there = applied and kind.visible
        assert reading.verdict is (Presence.APPLIED if there else Presence.ABSENT)
        receipt = reading.receipt if there else on.platform.send(step)
        assert receipt is not None
        outputs |= receipt.outputs


@pytest.mark.parametrize(
    ("name", "mode", "fault"),
    [(name, mode, fault) for name, fault in _met(WRITES) for of, mode in MODES if of == name],
)
def test_what_a_failed_write_means(
    subjects: dict[str, Subject], name: str, mode: str, fault: Fault
) -> None:
    on = subjects[name]
    source, outputs = fresh(on), dict[str, str]()
    for kind in planned(on, mode):
        step = written(kind, source, f"fails{fault}{kind.name}{source.post_id}", outputs)
        before = on.made(kind.name)
        on.fail(kind.name, fault)
        with pytest.raises(TagechoError) as caught:
            on.platform.send(step)
        on.clear()
        assert isinstance(caught.value, WRITES[fault] if fault is not Fault.GONE else Refused)
        assert on.made(kind.name) == before + (fault is Fault.LOST_AFTER)
        assert (kind.action, caught.value) in on.pacer.told
        outputs |= on.platform.send(step).outputs


def test_what_we_made_can_be_deleted(way: tuple[Subject, str]) -> None:
    on, mode = way
    source, outputs, made = fresh(on), dict[str, str](), []
    for kind in planned(on, mode):
        step = written(kind, source, f"gone{kind.name}{source.post_id}", outputs)
        receipt = on.platform.send(step)
        outputs |= receipt.outputs
        if kind.leaves:
            made.append((kind.leaves, receipt.remote_id))
    for kind_of, remote_id in made:
        assert on.platform.exists(kind_of, remote_id)
        on.platform.delete(kind_of, remote_id)
        assert not on.platform.exists(kind_of, remote_id)
        with suppress(TargetGone):  # some say so, some say nothing
            on.platform.delete(kind_of, remote_id)
        assert not on.platform.exists(kind_of, remote_id)


@pytest.mark.parametrize("applied", [True, False])
def test_a_deletion_whose_answer_is_lost(way: tuple[Subject, str], applied: bool) -> None:
    on, mode = way
    source, outputs = fresh(on), dict[str, str]()
    for kind in planned(on, mode):
        step = written(kind, source, f"unsure{kind.name}{source.post_id}", outputs)
        receipt = on.platform.send(step)
        outputs |= receipt.outputs
        if kind.leaves:
            on.fail("delete", Fault.LOST_AFTER if applied else Fault.LOST_BEFORE)
            with pytest.raises(OutcomeUnknown):
                on.platform.delete(kind.leaves, receipt.remote_id)
            on.clear()
            assert on.platform.exists(kind.leaves, receipt.remote_id) is not applied
