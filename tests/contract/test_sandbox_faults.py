"""Each fault, as the unmodified client feels it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
import requests
from instagrapi import Client
from instagrapi import exceptions as ig

from bot.platforms.sandbox.faults import KINDS, Fault
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Post
from tests.paths import ROOT
from tests.waiting import PATIENCE, eventually

READ = "accounts/current_user/"

FELT = {
    "throttled": ig.ClientThrottledError,
    "please_wait": ig.PleaseWaitFewMinutes,
    "feedback_required": ig.FeedbackRequired,
    "challenge_required": ig.ChallengeRequired,
    "masked_challenge": ig.ChallengeRequired,
    "checkpoint": ig.UnknownError,
    "suspended": ig.AccountSuspended,
    "login_required": ig.LoginRequired,
    "unauthorized": ig.ClientUnauthorizedError,
    "forbidden": ig.ClientForbiddenError,
    "server_error": ig.ClientError,
    "unavailable": ig.ClientError,
    "html": ig.ClientJSONDecodeError,
    "empty": ig.ClientJSONDecodeError,
    "cut_json": ig.ClientJSONDecodeError,
    "truncated": ig.ClientConnectionError,
    "drop": ig.ClientConnectionError,
    "rate_limit_error": ig.RateLimitError,
    "sentry_block": ig.SentryBlock,
    "private_account": ig.PrivateAccount,
    "media_unavailable": ig.MediaUnavailable,
    "not_found": ig.ClientNotFoundError,
}
ELSEWHERE = {"request_timeout", "hang", "stall", "dm_refused"}  # have tests of their own below


def test_every_fault_has_a_test() -> None:
    assert set(FELT) | ELSEWHERE == set(KINDS)


@pytest.mark.parametrize(("kind", "error"), FELT.items())
def test_fault_becomes_the_error_the_client_knows(
    sandbox: Sandbox, raw_client: Client, kind: str, error: type[Exception]
) -> None:
    fault = sandbox.faults.add(kind, f"*/{READ}", count=0, retry_after=7)
    with pytest.raises(ig.ClientError) as caught:
        raw_client.private_request(READ)
    assert type(caught.value) is error
    assert fault.hits >= 1
    hit = sandbox.journal.requests(READ)[-1]
    assert hit["fault"] == kind
    assert (hit["status"] == 0) == (kind in ("drop", "truncated"))

    sandbox.faults.clear()
    assert raw_client.private_request(READ)["user"]["pk"] == sandbox.account.pk


def test_retry_after_is_in_the_answer(sandbox: Sandbox, raw_client: Client) -> None:
    sandbox.faults.add("throttled", retry_after=42)
    with pytest.raises(ig.ClientThrottledError) as caught:
        raw_client.private_request(READ)
    assert caught.value.response.headers["retry-after"] == "42"


def test_request_timeout_is_a_408(sandbox: Sandbox) -> None:
    """At HTTP level: the client would sleep a minute and send again."""
    sandbox.faults.add("request_timeout")
    answer = requests.get(
        "https://i.instagram.com/api/v1/qe/sync/",
        proxies={"https": sandbox.proxy_url},
        verify=sandbox.ca_file,
        timeout=PATIENCE,
    )
    assert answer.status_code == 408


def test_dm_refused(sandbox: Sandbox, raw_client: Client, source: Post) -> None:
    sandbox.faults.add("dm_refused", write="dm_text")
    with pytest.raises(ig.DirectMessageRequestsDisabled):
        raw_client.direct_send("hello", user_ids=[int(source.user_pk)])
    assert not sandbox.journal.writes("dm_text")
    raw_client.direct_send("hello", user_ids=[int(source.user_pk)])
    assert len(sandbox.journal.writes("dm_text")) == 1


def test_skip_and_count_choose_the_requests(sandbox: Sandbox, raw_client: Client) -> None:
    sandbox.faults.add("server_error", f"*/{READ}", skip=1, count=2)
    felt = []
    for _ in range(5):
        try:
            raw_client.private_request(READ)
            felt.append(False)
        except ig.ClientError:
            felt.append(True)
    assert felt == [False, True, True, False, False]
    assert sandbox.faults.pending() == []


def test_a_fault_for_one_kind_of_write_leaves_others_alone(
    sandbox: Sandbox, raw_client: Client, source: Post
) -> None:
    sandbox.faults.add("feedback_required", write="comment", count=0)
    with pytest.raises(ig.FeedbackRequired):
        raw_client.media_comment(source.media_id, "hi")
    raw_client.private_request(READ)
    raw_client.direct_send("hi", user_ids=[int(source.user_pk)])
    assert [w["kind"] for w in sandbox.journal.writes()] == ["login", "dm_text"]


@pytest.mark.parametrize("after", [False, True])
def test_a_write_may_be_applied_although_its_connection_broke(
    sandbox: Sandbox, raw_client: Client, source: Post, after: bool
) -> None:
    sandbox.faults.add("drop", write="comment", after=after, count=0)
    with pytest.raises(ig.ClientConnectionError):
        raw_client.media_comment(source.media_id, "hi")
    assert bool(sandbox.journal.writes("comment")) == after
    assert bool(source.comments) == after


def test_the_client_repeats_a_lost_write_in_silence(
    sandbox: Sandbox, raw_client: Client, source: Post
) -> None:
    """The trap that an adapter has to close: success is told, and the write happened twice."""
    raw_client.private_request(READ)  # the connection is now a reused one
    sandbox.faults.add("drop", write="comment", after=True, count=1)
    assert raw_client.media_comment(source.media_id, "hi").text == "hi"
    assert len(source.comments) == 2
    tokens = {written["token"] for written in sandbox.journal.writes("comment")}
    assert len(sandbox.journal.writes("comment")) == 2
    assert len(tokens) == 1


@pytest.mark.parametrize("kind", ["truncated", "html", "server_error", "cut_json"])
def test_an_answer_may_be_lost_after_the_write(
    sandbox: Sandbox, raw_client: Client, source: Post, kind: str
) -> None:
    sandbox.faults.add(kind, write="comment", after=True)
    with pytest.raises(ig.ClientError):
        raw_client.media_comment(source.media_id, "hi")
    assert len(source.comments) == 1


def test_hang_lasts_until_released(sandbox: Sandbox, raw_client: Client) -> None:
    fault = sandbox.faults.add("hang", f"*/{READ}")
    answered: list[bool] = []

    def ask() -> None:
        raw_client.private_request(READ)
        answered.append(fault.released.is_set())

    asking = threading.Thread(target=ask)
    asking.start()
    eventually("it hangs", lambda: fault.hits == 1)
    for _ in range(3):  # the others are served meanwhile
        assert requests.get(f"{sandbox.control_url}/health", timeout=PATIENCE).ok
    fault.released.set()
    asking.join(PATIENCE)
    assert answered == [True]


def test_stall_breaks_the_connection_when_released(sandbox: Sandbox, raw_client: Client) -> None:
    fault = sandbox.faults.add("stall", f"*/{READ}", count=0)
    fault.released.set()
    with pytest.raises(ig.ClientConnectionError):
        raw_client.private_request(READ)
    assert sandbox.journal.requests(READ)[-1]["status"] == 0


def test_hang_ends_by_itself_and_a_client_may_leave(sandbox: Sandbox, raw_client: Client) -> None:
    sandbox.faults.add("hang", f"*/{READ}", seconds=0.4)
    started = time.monotonic()
    raw_client.private_request(READ)
    assert time.monotonic() - started >= 0.4

    sandbox.faults.add("hang", "*/qe/sync/", count=0)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(
            "https://i.instagram.com/api/v1/qe/sync/",
            proxies={"https": sandbox.proxy_url},
            verify=sandbox.ca_file,
            timeout=0.3,
        )
    raw_client.private_request(READ)


def test_images_can_be_missing_and_cut(sandbox: Sandbox, source: Post) -> None:
    url = sandbox.net.image_url(source.pictures[0])
    whole = requests.get(url, timeout=PATIENCE).content
    sandbox.faults.add("not_found", "/m/*")
    assert requests.get(url, timeout=PATIENCE).status_code == 404
    for kind in ("truncated", "drop"):
        sandbox.faults.add(kind, "/m/*")
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            assert requests.get(url, timeout=PATIENCE).content
    assert requests.get(url, timeout=PATIENCE).content == whole


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault 'typo'"):
        Fault("typo")


def test_no_module_of_the_sandbox_needs_the_client() -> None:
    """The network must not depend on what it is there to test."""
    code = "import sys, bot.platforms.sandbox.server; sys.exit('instagrapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
