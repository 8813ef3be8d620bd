"""The stream of a server's repositories: frames that a real PDS sent, over a real connection."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from websockets.sync.server import ServerConnection, serve

from bot.core.errors import Refused, Unavailable
from bot.platforms.bluesky.events import Event, Events
from tests.waiting import PATIENCE, eventually

# A commit with one new post: "A photo of #dawn"
COMMIT = base64.b64decode(
    "omF0ZyNjb21taXRib3ABrGNvcHOBo2NjaWTYKlglAAFxEiCx+CzyXGqw+y1saEsvPjpPOs3inU0a28nTqKjrLMaUj2Rw"
    "YXRoeCBhcHAuYnNreS5mZWVkLnBvc3QvM24zY2VhamxpeXMyb2ZhY3Rpb25mY3JlYXRlY3Jldm0zbjNjZWFqbXh1czJv"
    "Y3NlcRgjZHJlcG94IGRpZDpwbGM6dXJ6YXpnNnVnZWZkendxZ2hqaWxuNGU2ZHRpbWV4GDIwMjYtMTEtMjdUMTQ6MDU6"
    "MjEuMjE1WmVibG9ic4Blc2luY2VtM24zY2VhaWFqeXMyb2ZibG9ja3NZAiw6omVyb290c4HYKlglAAFxEiCmmgi7hUgq"
    "SEjeKOexEwQems79agYPfBdI34Q8iOfsKmd2ZXJzaW9uAYEBAXESIAAQytJHFkAkKqjy2LqAortCEgWMMgRz9gYgtkgT"
    "VrihomFlgaRha1ggYXBwLmJza3kuZmVlZC5wb3N0LzNuM2NlYWpsaXlzMm9hcABhdPZhdtgqWCUAAXESILH4LPJcarD7"
    "LWxoSy8+Ok86zeKdTRrbydOoqOssxpSPYWz2igEBcRIgsfgs8lxqsPstbGhLLz46TzrN4p1NGtvJ06io6yzGlI+kZHRl"
    "eHRwQSBwaG90byBvZiAjZGF3bmUkdHlwZXJhcHAuYnNreS5mZWVkLnBvc3RlbGFuZ3OBYmVuaWNyZWF0ZWRBdHggMjAy"
    "Ni0xMS0yN1QxNDowNToyMC45NDQ5MTMrMDA6MDDgAQFxEiCmmgi7hUgqSEjeKOexEwQems79agYPfBdI34Q8iOfsKqZj"
    "ZGlkeCBkaWQ6cGxjOnVyemF6ZzZ1Z2VmZHp3cWdoamlsbjRlNmNyZXZtM24zY2Vham14dXMyb2NzaWdYQIxA8so/FBaU"
    "vedWVQsGlgnZSOR/6A3bduIGEPzDb6kQQG9UTJxRVR0DIdAUeLskdGgPP0QXET72F5cPDleoRbNkZGF0YdgqWCUAAXES"
    "IAAQytJHFkAkKqjy2LqAortCEgWMMgRz9gYgtkgTVrihZHByZXb2Z3ZlcnNpb24DZmNvbW1pdNgqWCUAAXESIKaaCLuF"
    "SCpISN4o57ETBB6azv1qBg98F0jfhDyI5+wqZnJlYmFzZfRmdG9vQmln9GhwcmV2RGF0YdgqWCUAAXESIJ3+/mHdduo9"
    "yuUCOICwg3nVet8gSC1v2+J1kon2R2d7"
)
# The answer to a cursor that is ahead
FUTURE = base64.b64decode(
    "oWJvcCCiZWVycm9ybEZ1dHVyZUN1cnNvcmdtZXNzYWdldUN1cnNvciBpbiB0aGUgZnV0dXJlLg=="
)


@contextmanager
def server(*frames: bytes | str) -> Iterator[tuple[str, list[str]]]:
    """Sends these and closes. Its address, and the paths that were asked for."""
    asked: list[str] = []

    def tell(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.path)
        for frame in frames:
            connection.send(frame)

    with serve(tell, "127.0.0.1", 0) as listening:
        thread = Thread(target=listening.serve_forever)
        thread.start()
        port = listening.socket.getsockname()[1]
        try:
            yield f"ws://127.0.0.1:{port}/xrpc/com.atproto.sync.subscribeRepos", asked
        finally:
            listening.shutdown()
            thread.join()


def taken(events: Events) -> tuple[list[Event], Exception]:
    """All that came, and how it ended."""
    found: list[Event] = []

    def ended() -> Exception | None:
        try:
            found.extend(events.take())
        except (Refused, Unavailable) as error:
            return error
        return None

    return found, eventually("the connection ends", ended)


def test_a_post_is_heard_of_with_its_cursor() -> None:
    with server(COMMIT) as (address, asked):
        events = Events(address, PATIENCE)
        assert events.open("seq:7") == "seq:7"
        ((event,), end) = taken(events)
    (heard,) = event.heard
    assert heard.uri.startswith("at://did:plc:") and "/app.bsky.feed.post/" in heard.uri
    assert heard.record["text"] == "A photo of #dawn"
    assert event.position.startswith("seq:")
    assert isinstance(end, Unavailable) and not events.is_open
    assert asked == ["/xrpc/com.atproto.sync.subscribeRepos?cursor=7"]


@pytest.mark.parametrize(("moment", "wanted"), [(1, 1), (9_000_000_000_000_000, 0)])
def test_what_is_older_than_the_beginning_is_passed_over(moment: int, wanted: int) -> None:
    """Until the first event there is no number to go on from, but the time."""
    with server(COMMIT) as (address, asked):
        events = Events(address, PATIENCE)
        events.open(f"since:{moment}")
        (event,), _ = taken(events)
    assert len(event.heard) == wanted
    assert asked == ["/xrpc/com.atproto.sync.subscribeRepos?cursor=0"]


def test_a_cursor_that_is_ahead_is_refused() -> None:
    with server(FUTURE) as (address, _):
        events = Events(address, PATIENCE)
        events.open("seq:999999")
        found, end = taken(events)
    assert not found
    assert isinstance(end, Refused)


@pytest.mark.parametrize("cursor", ["time:1", "7", "seq:x", ""])
def test_a_cursor_of_another_stream_is_refused(cursor: str) -> None:
    events = Events("ws://127.0.0.1:9/xrpc/com.atproto.sync.subscribeRepos", PATIENCE)
    if cursor:
        with pytest.raises(Refused):
            events.open(cursor)
    with pytest.raises(Unavailable):
        events.open(None)


def test_what_cannot_be_read_ends_the_stream_after_what_came_before() -> None:
    with server("text is passed over", COMMIT, b"\xff\xff") as (address, _):
        events = Events(address, PATIENCE)
        events.open(None)
        found, end = taken(events)
    assert len(found) == 1
    assert isinstance(end, Unavailable)
