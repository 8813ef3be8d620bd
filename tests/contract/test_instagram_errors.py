"""Every row of the exception table, for reads and for writes, judged by the network's journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from bot.core.errors import (
    AccountSuspended,
    ActionBlocked,
    AuthError,
    ChallengeRequired,
    LoginRequired,
    OutcomeUnknown,
    PleaseWait,
    RateLimited,
    RecipientRefused,
    Refused,
    TagechoError,
    TargetGone,
    TargetPrivate,
    Unavailable,
)
from bot.core.events import Post
from bot.platforms.instagram.adapter import InstagramPlatform
from bot.platforms.instagram.kinds import StepKind
from bot.platforms.pacing import LedgerPacer
from bot.platforms.sandbox.server import Sandbox
from tests.contract.instagram_kit import (
    RATES,
    WRITE_PATHS,
    OpenPacer,
    account,
    applied,
    new_source,
    ready,
    sent,
    settled,
    step,
)
from tests.ledger import MemoryLedger

ROWS: list[tuple[str, type[TagechoError], type[TagechoError]]] = [
    ("throttled", RateLimited, RateLimited),
    ("please_wait", PleaseWait, PleaseWait),
    ("rate_limit_error", PleaseWait, PleaseWait),
    ("feedback_required", ActionBlocked, ActionBlocked),
    ("challenge_required", ChallengeRequired, ChallengeRequired),
    ("checkpoint", ChallengeRequired, ChallengeRequired),
    ("masked_challenge", ChallengeRequired, ChallengeRequired),
    ("suspended", AccountSuspended, AccountSuspended),
    ("sentry_block", AuthError, AuthError),
    ("login_required", LoginRequired, LoginRequired),
    ("unauthorized", RateLimited, RateLimited),
    ("forbidden", RateLimited, RateLimited),
    ("private_account", TargetPrivate, TargetPrivate),
    ("media_unavailable", TargetGone, TargetGone),
    ("not_found", TargetGone, TargetGone),
    ("request_timeout", Unavailable, OutcomeUnknown),
    ("server_error", Unavailable, OutcomeUnknown),
    ("unavailable", Unavailable, OutcomeUnknown),
    ("html", Unavailable, OutcomeUnknown),
    ("empty", Unavailable, OutcomeUnknown),
    ("cut_json", Unavailable, OutcomeUnknown),
    ("truncated", Unavailable, OutcomeUnknown),
    ("drop", Unavailable, OutcomeUnknown),
    ("hang", Unavailable, OutcomeUnknown),
]
KINDS = list(WRITE_PATHS)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as made:
        made.world.add_user("ana")
        yield made


@pytest.fixture
def source(box: Sandbox, platform: InstagramPlatform) -> Post:
    return new_source(box, platform)


def check_silence(box: Sandbox, error: BaseException) -> None:
    """Nothing that opens the account, and no cause that quotes an answer."""
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert box.password not in str(error)
    assert "Bearer" not in str(error)
    assert "<html" not in str(error)


@pytest.mark.parametrize(("kind", "expected", "_"), ROWS, ids=[row[0] for row in ROWS])
def test_reads(
    box: Sandbox,
    platform: InstagramPlatform,
    source: Post,
    pacer: OpenPacer,
    kind: str,
    expected: type[TagechoError],
    _: object,
) -> None:
    box.faults.add(kind, "*/info/")
    before = len(box.journal.requests("/info/"))
    with pytest.raises(TagechoError) as caught:
        platform.post(source.post_id)
    assert type(caught.value) is expected
    box.faults.clear()  # lets a hanging request end, so that the journal has it
    assert settled(box, "/info/", before + 1) == before + 1
    assert pacer.after_calls[-1] == ("read", caught.value)
    check_silence(box, caught.value)


@pytest.mark.parametrize(("kind", "_", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_writes_are_sent_once(
    box: Sandbox,
    platform: InstagramPlatform,
    source: Post,
    pacer: OpenPacer,
    kind: str,
    _: object,
    expected: type[TagechoError],
) -> None:
    box.faults.add(kind, write="comment")
    before = sent(box, StepKind.COMMENT)
    with pytest.raises(TagechoError) as caught:
        platform.send(step(StepKind.COMMENT, source))
    assert type(caught.value) is expected
    box.faults.clear()
    assert settled(box, WRITE_PATHS[StepKind.COMMENT], before + 1) == before + 1
    assert pacer.after_calls[-1] == ("comment", caught.value)
    check_silence(box, caught.value)


@pytest.mark.parametrize("fault", ["drop", "truncated", "server_error", "hang"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_was_applied_but_not_answered(
    box: Sandbox, platform: InstagramPlatform, source: Post, kind: StepKind, fault: str
) -> None:
    planned = ready(platform, kind, source, f"{kind}-{fault}")
    box.faults.add(fault, write=kind.value, after=True)
    requests, writes = sent(box, kind), applied(box, kind)
    with pytest.raises(OutcomeUnknown):
        platform.send(planned)
    box.faults.clear()
    assert settled(box, WRITE_PATHS[kind], requests + 1) == requests + 1
    assert applied(box, kind) == writes + 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_used_before_does_not_send_twice(
    box: Sandbox, platform: InstagramPlatform, kind: StepKind
) -> None:
    """curl repeats a POST when a reused connection dies: the second one must not arrive."""
    first = ready(platform, kind, new_source(box, platform), f"{kind}1")
    second = ready(platform, kind, new_source(box, platform), f"{kind}2")
    platform.send(first)
    box.faults.add("drop", write=kind.value, after=True)
    requests = sent(box, kind)
    with pytest.raises(OutcomeUnknown):
        platform.send(second)
    assert settled(box, WRITE_PATHS[kind], requests + 1) == requests + 1


def test_the_same_token_gives_the_same_ids(
    box: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    for _ in range(2):
        platform.send(step(StepKind.COMMENT, source, "same"))
        platform.send(step(StepKind.UPLOAD, source, "same"))
    comments, uploads = box.journal.writes("comment")[-2:], box.journal.writes("upload")[-2:]
    assert comments[0]["token"] == comments[1]["token"]
    assert uploads[0]["token"] == uploads[1]["token"]
    paths = [line["path"] for line in box.journal.requests("/rupload_igphoto/")[-2:]]
    assert paths[0] == paths[1]


@pytest.mark.parametrize(("header", "expected"), [(7.0, 7.0), (None, None)])
def test_retry_after(
    box: Sandbox,
    platform: InstagramPlatform,
    source: Post,
    header: float | None,
    expected: float | None,
) -> None:
    box.faults.add("throttled", "*/info/", retry_after=header)
    with pytest.raises(RateLimited) as caught:
        platform.post(source.post_id)
    assert caught.value.retry_after == expected


@pytest.mark.parametrize("kind", [StepKind.DM_TEXT, StepKind.DM_PHOTO])
def test_a_refused_direct_message(
    box: Sandbox, platform: InstagramPlatform, kind: StepKind
) -> None:
    box.world.add_user(f"shy.{kind}")
    source = platform.post(str(box.world.add_post(f"shy.{kind}", "look").pk))
    planned = ready(platform, kind, source)
    box.world.user(f"shy.{kind}").takes_dms = False
    with pytest.raises(RecipientRefused):
        platform.send(planned)


def test_refusals_of_an_upload_are_read(
    box: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    with pytest.raises(Refused):  # no image at all
        platform.send(step(StepKind.UPLOAD, source, image=b"not a picture"))
    box.faults.add("feedback_required", "*/rupload_igphoto/*")
    with pytest.raises(ActionBlocked):
        platform.send(step(StepKind.UPLOAD, source))
    box.faults.add("throttled", "*/messenger_image/*", retry_after=9)
    with pytest.raises(RateLimited) as caught:
        platform.send(step(StepKind.DM_UPLOAD, source))
    assert caught.value.retry_after == 9


def test_an_unknown_upload_is_refused(
    box: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    for kind in (StepKind.POST, StepKind.STORY):
        with pytest.raises(Refused):
            platform.send(step(kind, source, inputs={"upload_id": "123"}))
        before = sent(box, kind)
        with pytest.raises(Refused, match="upload_id"):
            platform.send(step(kind, source))
        assert sent(box, kind) == before


def test_after_a_403_the_session_is_looked_at_first(
    box: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    box.faults.add("forbidden", "*/info/")
    with pytest.raises(RateLimited):
        platform.post(source.post_id)
    before = len(box.journal.requests())
    platform.post(source.post_id)
    paths = [line["path"].split("/")[3] for line in box.journal.requests()[before:]]
    assert paths == ["accounts", "media"]


def test_nobody_listens_at_the_proxy(box: Sandbox, tmp_path: Path) -> None:
    with account(box) as working:
        working.login()
        source = working.post(str(box.world.add_post("ana", "look").pk))
    with account(box, proxy="http://127.0.0.1:9") as platform:
        with pytest.raises(Unavailable):
            platform.login()
        with pytest.raises(Unavailable):
            platform.post(source.post_id)
        for kind in (StepKind.COMMENT, StepKind.UPLOAD, StepKind.DM_UPLOAD):
            with pytest.raises(OutcomeUnknown):
                platform.send(step(kind, source))


def test_pauses_between_requests(box: Sandbox) -> None:
    with account(box, delay=(0.2, 0.2)) as platform:
        platform.login()
        started = datetime.now(UTC)
        platform.profile("ana")  # two requests
        assert 0.35 < (datetime.now(UTC) - started).total_seconds() < 3


def test_the_ledger_keeps_requests_from_the_network(box: Sandbox, tmp_path: Path) -> None:
    """After a 429 or a refusal to the account, a new process does not even ask."""
    box.world.add_user("eva")
    ledger = MemoryLedger()
    for kind, blocked in (
        ("throttled", {"read": RateLimited, "comment": None}),
        ("feedback_required", {"comment": RateLimited, "read": None}),
        ("please_wait", {"read": RateLimited, "comment": RateLimited}),
        ("checkpoint", {"read": AuthError, "comment": AuthError}),
    ):
        pacer = LedgerPacer("main", ledger, RATES)
        with account(box, pacer=pacer) as platform:
            platform.login()
            source = platform.post(str(box.world.add_post("eva", "look").pk))
            acts: dict[str, Callable[[], object]] = {
                "read": partial(platform.post, source.post_id),
                "comment": partial(platform.send, step(StepKind.COMMENT, source)),
            }
            if kind == "feedback_required":
                box.faults.add(kind, write="comment")
                with pytest.raises(ActionBlocked):
                    acts["comment"]()
            else:
                box.faults.add(kind, "*/info/")
                with pytest.raises((RateLimited, AuthError)):
                    acts["read"]()
            for action, error in blocked.items():
                before = len(box.journal.requests())
                if error is None:
                    acts[action]()
                    continue
                with pytest.raises(error):
                    acts[action]()
                assert len(box.journal.requests()) == before
        pacer.resume(force=True)


class RestingPacer(OpenPacer):
    """Remembers the pauses; the service stops in the `stops`-th."""

    def __init__(self, stops: int = 99) -> None:
        super().__init__()
        self.rests: list[float] = []
        self._stops = stops

    def rest(self, seconds: float) -> bool:
        self.rests.append(seconds)
        return len(self.rests) >= self._stops


@contextmanager
def trying_again(box: Sandbox, pacer: OpenPacer) -> Iterator[InstagramPlatform]:
    """The number of attempts that the service has."""
    with account(box, pacer=pacer, attempts=3) as platform:
        platform.login()
        pacer.before_calls.clear()
        yield platform
        box.faults.clear()


def test_a_read_is_tried_again_through_the_gate(box: Sandbox) -> None:
    made = box.world.add_post("ana", "look")
    pacer = RestingPacer()
    with trying_again(box, pacer) as platform:
        box.faults.add("server_error", "*/info/", count=2)
        assert platform.post(str(made.pk)).post_id == str(made.pk)
        assert pacer.before_calls == ["read"] * 3
        assert len(pacer.rests) == 2 and 0 < pacer.rests[0] <= pacer.rests[1] * 2 < 10
        box.faults.add("server_error", "*/info/", count=0)
        with pytest.raises(Unavailable):
            platform.post(str(made.pk))
        assert pacer.before_calls == ["read"] * 6, "and not for ever"


@pytest.mark.parametrize("fault", ["throttled", "please_wait", "media_unavailable", "checkpoint"])
def test_a_read_with_a_clear_answer_is_not_tried_again(box: Sandbox, fault: str) -> None:
    made = box.world.add_post("ana", "look")
    pacer = RestingPacer()
    with trying_again(box, pacer) as platform:
        box.faults.add(fault, "*/info/")
        with pytest.raises(TagechoError):
            platform.post(str(made.pk))
        assert (pacer.before_calls, pacer.rests) == (["read"], [])


def test_a_stop_ends_the_attempts_of_a_read(box: Sandbox) -> None:
    made = box.world.add_post("ana", "look")
    pacer = RestingPacer(stops=1)
    with trying_again(box, pacer) as platform:
        box.faults.add("server_error", "*/info/", count=0)
        with pytest.raises(Unavailable, match="stopped"):
            platform.post(str(made.pk))
        assert pacer.before_calls == ["read"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_write_is_sent_once_whatever_reads_do(box: Sandbox, kind: StepKind) -> None:
    pacer = RestingPacer()
    with trying_again(box, pacer) as platform:
        act = ready(platform, kind, new_source(box, platform), token="once" + kind)
        before = sent(box, kind)
        box.faults.add("server_error", f"*{WRITE_PATHS[kind]}*", count=0)
        with pytest.raises(OutcomeUnknown):
            platform.send(act)
        assert sent(box, kind) == before + 1
        assert pacer.rests == []
