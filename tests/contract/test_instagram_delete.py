"""Taking back what we published, judged by the network's journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from bot.core.errors import OutcomeUnknown, Refused, TagechoError, TargetGone
from bot.core.events import Post
from bot.platforms.instagram.adapter import InstagramPlatform
from bot.platforms.instagram.kinds import Remote, StepKind
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Content
from tests.contract.instagram_kit import OpenPacer, new_source, ready, settled
from tests.contract.test_instagram_errors import ROWS

KINDS = {
    StepKind.POST: Remote.POST,
    StepKind.STORY: Remote.STORY,
    StepKind.COMMENT: Remote.COMMENT,
    StepKind.DM_TEXT: Remote.DM,
    StepKind.DM_PHOTO: Remote.DM,
}
LOOKS = {
    StepKind.POST: "*/info/",
    StepKind.STORY: "*/story/",
    StepKind.COMMENT: "*/comments/",
    StepKind.DM_TEXT: "*/direct_v2/threads/*",
}
SOME = ("throttled", "feedback_required", "login_required", "challenge_required", "not_found")
EXPECTED = {fault: (read, write) for fault, read, write in ROWS}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as made:
        yield made


@pytest.fixture
def source(box: Sandbox, platform: InstagramPlatform) -> Post:
    return new_source(box, platform)


def published(platform: InstagramPlatform, kind: StepKind, source: Post, token: str = "t") -> str:
    """The id that `storage.retractions` would keep of it."""
    return platform.send(ready(platform, kind, source, f"{source.post_id}{token}")).remote_id


def deletions(box: Sandbox, remote_id: str) -> int:
    """How often it was deleted, by the journal."""
    item = remote_id.rpartition("/")[2]
    return sum(write["ids"]["pk"] == item for write in box.journal.writes("delete"))


def asked(box: Sandbox) -> int:
    return len(box.journal.requests("delete/", method="POST"))


@pytest.mark.parametrize("kind", KINDS)
def test_deleted_once_and_nothing_else_of_ours(
    box: Sandbox, platform: InstagramPlatform, source: Post, pacer: OpenPacer, kind: StepKind
) -> None:
    remote, (gone, stays) = KINDS[kind], (published(platform, kind, source, t) for t in "ab")
    assert platform.exists(remote, gone)
    before, writes = asked(box), len(box.journal.writes())
    platform.delete(remote, gone)
    assert (asked(box) - before, deletions(box, gone)) == (1, 1)
    assert len(box.journal.writes()) == writes + 1
    assert ("delete", None) in pacer.after_calls
    assert not platform.exists(remote, gone)
    assert platform.exists(remote, stays)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_gone_already_is_no_failure(
    box: Sandbox, platform: InstagramPlatform, source: Post, kind: StepKind
) -> None:
    """A network may say that it is not there, or nothing: never that it would not."""
    remote_id = published(platform, kind, source)
    platform.delete(KINDS[kind], remote_id)
    with suppress(TargetGone):
        platform.delete(KINDS[kind], remote_id)
    assert deletions(box, remote_id) == 1


@pytest.mark.parametrize("kind", [StepKind.COMMENT])
def test_a_comment_goes_with_its_post(
    box: Sandbox, platform: InstagramPlatform, source: Post, kind: StepKind
) -> None:
    remote_id = published(platform, kind, source)
    box.world.delete(source.post_id)
    assert not platform.exists(KINDS[kind], remote_id)
    with pytest.raises(TargetGone):
        platform.delete(KINDS[kind], remote_id)


@pytest.mark.parametrize("fault", ["drop", "server_error", "hang"])
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_answer_is_no_answer_and_the_look_tells(
    box: Sandbox,
    platform: InstagramPlatform,
    source: Post,
    kind: StepKind,
    fault: str,
    applied: bool,
) -> None:
    remote, remote_id = KINDS[kind], published(platform, kind, source)
    box.faults.add(fault, write="delete", after=applied)
    before = asked(box)
    with pytest.raises(OutcomeUnknown):
        platform.delete(remote, remote_id)
    box.faults.clear()
    assert settled(box, "delete/", before + 1) == before + 1, "sent once"
    assert platform.exists(remote, remote_id) is not applied
    with suppress(TargetGone):
        platform.delete(remote, remote_id)
    assert deletions(box, remote_id) == 1, "repeated without harm"


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(StepKind.POST, row[0]) for row in ROWS]
    + [(kind, fault) for kind in KINDS if kind is not StepKind.POST for fault in SOME],
)
def test_a_deletion_fails_as_other_writes_do(
    box: Sandbox,
    platform: InstagramPlatform,
    source: Post,
    pacer: OpenPacer,
    kind: StepKind,
    fault: str,
) -> None:
    remote, remote_id = KINDS[kind], published(platform, kind, source)
    box.faults.add(fault, write="delete")
    before = asked(box)
    with pytest.raises(TagechoError) as caught:
        platform.delete(remote, remote_id)
    assert type(caught.value) is EXPECTED[fault][1]
    box.faults.clear()
    assert settled(box, "delete/", before + 1) == before + 1
    assert pacer.after_calls[-1] == ("delete", caught.value)
    assert box.password not in str(caught.value)


@pytest.mark.parametrize(
    "fault", [row[0] for row in ROWS if row[0] not in ("not_found", "media_unavailable")]
)
@pytest.mark.parametrize("kind", LOOKS)
def test_a_look_that_fails_never_says_that_it_is_gone(
    box: Sandbox, platform: InstagramPlatform, source: Post, kind: StepKind, fault: str
) -> None:
    remote, remote_id = KINDS[kind], published(platform, kind, source)
    box.faults.add(fault, LOOKS[kind])
    with pytest.raises(EXPECTED[fault][0]):
        platform.exists(remote, remote_id)


@pytest.mark.parametrize("kind", [Remote.COMMENT, Remote.DM])
def test_nothing_of_somebody_else(
    box: Sandbox, platform: InstagramPlatform, source: Post, kind: Remote
) -> None:
    """The network answers 403: a pause, and no outcome that could be wrong."""
    if kind is Remote.COMMENT:
        theirs = box.world.comment(int(source.post_id), source.author.user_id, "mine")
        remote_id = f"{source.post_id}/{theirs.pk}"
    else:
        ours = published(platform, StepKind.DM_TEXT, source)
        thread = box.world.thread_by_id(ours.partition("/")[0])
        theirs_too = box.world.say(
            thread, source.author.user_id, Content("text", "hello", context="x")
        )
        remote_id = f"{thread.thread_id}/{theirs_too.pk}"
    with pytest.raises(TagechoError) as caught:
        platform.delete(kind, remote_id)
    assert not isinstance(caught.value, TargetGone)
    assert deletions(box, remote_id) == 0


@pytest.mark.parametrize(
    ("kind", "remote_id"),
    [(Remote.POST, ""), (Remote.POST, "1/2"), (Remote.COMMENT, "1"), (Remote.DM, "1/")],
)
def test_an_id_of_another_kind_leaves_nowhere(
    box: Sandbox, platform: InstagramPlatform, kind: Remote, remote_id: str
) -> None:
    before = len(box.journal.requests())
    for ask in (platform.delete, platform.exists):
        with pytest.raises(ValueError, match="is no"):
            ask(kind, remote_id)
    assert len(box.journal.requests()) == before


@pytest.mark.parametrize("kind", [StepKind.POST])
def test_a_network_that_says_it_did_not(
    box: Sandbox,
    platform: InstagramPlatform,
    source: Post,
    kind: StepKind,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote_id = published(platform, kind, source)
    from bot.platforms.sandbox import faults

    answer = (200, {"content-type": "application/json"}, b'{"status": "ok", "did_delete": false}')
    monkeypatch.setattr(faults, "ANSWERS", {**faults.ANSWERS, "not_found": answer})
    box.faults.add("not_found", write="delete")
    with pytest.raises(Refused) as caught:
        platform.delete(KINDS[kind], remote_id)
    assert type(caught.value) is Refused
    assert platform.exists(KINDS[kind], remote_id)
