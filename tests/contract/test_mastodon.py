"""What is Mastodon's own, beside the contract that every platform keeps."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import PIL.Image
import pytest

from bot.core.errors import (
    AccountSuspended,
    AuthError,
    BadCredentials,
    LoginRequired,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TargetGone,
    TargetPrivate,
    Unavailable,
    UsageError,
)
from bot.core.events import Author, Presence, Step, Topic, TrackKind
from bot.platforms.mastodon.adapter import MastodonPlatform
from bot.platforms.mastodon.addressing import SPELLING
from bot.platforms.mastodon.authorization import SCOPES, CodeAuthorization
from bot.platforms.mastodon.connection import ServerConnection
from bot.platforms.mastodon.descriptor import remarks
from bot.platforms.mastodon.parse import plain
from bot.platforms.mastodon.text_limits import length
from bot.platforms.mastodon_sandbox.server import Mastodon
from bot.platforms.mastodon_sandbox.world import Status
from tests.contract.subjects import NotedPacer, picture, written
from tests.mastodon import mastodon_at
from tests.pictures import noise
from tests.waiting import eventually, killed_at_the_end

TOPICS = (Topic(TrackKind.HASHTAG, "sunset"), Topic(TrackKind.MENTIONS))


class RestingPacer(NotedPacer):
    """Rests without waiting, and remembers how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.rested: list[float] = []

    def rest(self, seconds: float) -> bool:
        self.rested.append(seconds)
        return False


@pytest.fixture
def network() -> Iterator[Mastodon]:
    with Mastodon(page_size=5) as started:
        yield started


@pytest.fixture
def pacer() -> RestingPacer:
    return RestingPacer()


@pytest.fixture
def platform(network: Mastodon, pacer: RestingPacer, tmp_path: Path) -> Iterator[MastodonPlatform]:
    made = mastodon_at(network, pacer, session_file=tmp_path / "session.json")
    made.login()
    yield made
    made.close()


def post(network: Mastodon, text: str = "#sunset", author: str = "ana", **more: Any) -> Status:
    image = network.world.keep(picture("JPEG"), "", (320, 320))
    return network.world.publish(author, text, (image,), **more)


def id_of(network: Mastodon, status: Status) -> str:
    return f"{network.server}:{status.status_id}"


def reply(platform: MastodonPlatform, network: Mastodon, source: Status, **changes: Any) -> Step:
    """The second write, with the image uploaded."""
    found = platform.post(id_of(network, source))
    values: dict[str, Any] = {
        "source_post_id": found.post_id,
        "source_url": found.url,
        "author": found.author,
        "text": f"made for you: {found.url}",
        "alt_text": "a generated image",
        "size": (320, 320),
    }
    upload = platform.send(Step("upload", "u1", image=picture("JPEG"), **values))
    return Step("reply", "t1", inputs=upload.outputs, **(values | changes))


# --- an access token ------------------------------------------------------------------------------


def test_a_code_is_worth_a_token_once_somebody_allowed_the_app(
    network: Mastodon, pacer: RestingPacer
) -> None:
    connection = ServerConnection(network.server, network.username, attempts=1)
    with closing(CodeAuthorization(connection, pacer)) as flow:
        page = urlsplit(flow.address)
        asked = dict(parse_qsl(page.query))
        assert (page.netloc, page.path) == (network.server, "/oauth/authorize")
        assert asked["scope"] == " ".join(SCOPES) and asked["response_type"] == "code"
        assert asked["client_id"] in network.rest.apps
        with pytest.raises(UsageError, match="gives no access token"):
            flow.secret("a wrong one")
        assert flow.secret(f"code-of-{network.username}") == network.token
        network.fail("server_error", "token")
        with pytest.raises(Unavailable):
            flow.secret(f"code-of-{network.username}")
    assert {action for action, _ in pacer.told} == {"login"}


# --- a reply --------------------------------------------------------------------------------------


def test_a_reply_keeps_what_its_post_asks_for(
    network: Mastodon, platform: MastodonPlatform
) -> None:
    source = post(network, spoiler_text="bright light", sensitive=True)
    receipt = platform.send(reply(platform, network, source))
    (made,) = network.world.replies(source.status_id)
    assert (made.visibility, made.spoiler_text, made.sensitive) == (
        "unlisted",
        "bright light",
        True,
    )
    assert (made.language, made.images[0].description) == ("en", "a generated image")
    assert made.text.startswith("@ana@fedi.example made for you: ")
    assert network.world.notifications[-1].status_id == made.status_id, "the author is told"
    assert receipt.remote_id == id_of(network, made)


def test_a_key_is_looked_at_or_not(network: Mastodon, platform: MastodonPlatform) -> None:
    """Where it is, a write sent again is the first one; where not, reading back finds the first."""
    step = reply(platform, network, source := post(network))
    first = platform.send(step)
    assert platform.send(step).remote_id == first.remote_id
    network.world.idempotent = False
    reading = platform.find(step, datetime.now(UTC) - timedelta(minutes=1))
    assert reading.verdict is Presence.APPLIED and reading.receipt is not None
    assert reading.receipt.remote_id == first.remote_id
    assert platform.send(step).remote_id != first.remote_id
    assert len(network.world.replies(source.status_id)) == 2


def test_our_own_posts_are_read_page_by_page(network: Mastodon, platform: MastodonPlatform) -> None:
    step = reply(platform, network, post(network))
    receipt = platform.send(step)
    for number in range(12):
        network.world.publish(network.username, f"later {number}")
    reading = platform.find(step, datetime.now(UTC) - timedelta(minutes=1))
    assert reading.receipt is not None and reading.receipt.remote_id == receipt.remote_id


def test_an_image_that_the_server_works_on(
    network: Mastodon, platform: MastodonPlatform, pacer: RestingPacer
) -> None:
    network.rest.looks = 3
    source = post(network)
    platform.send(reply(platform, network, source))
    assert len(network.world.replies(source.status_id)) == 1
    assert pacer.rested == [0.2, 0.4, 0.8, 1.6][: len(pacer.rested)] and pacer.rested

    network.rest.looks = 6
    step = replace(reply(platform, network, later := post(network)), token="t2")
    assert step.inputs["processing"]
    with pytest.raises(RateLimited) as caught:
        platform.send(step)
    assert caught.value.retry_after, "it is tried again, and nothing is in doubt"
    assert not any(isinstance(error, RateLimited) for _, error in pacer.told)
    while not network.world.replies(later.status_id):
        try:
            platform.send(step)
        except RateLimited:
            continue


def test_a_reply_whose_post_is_gone(network: Mastodon, platform: MastodonPlatform) -> None:
    step = reply(platform, network, source := post(network))
    network.world.remove(source.status_id)
    with pytest.raises(TargetGone):
        platform.send(step)
    assert network.world.replies_of(network.username) == {}


@pytest.mark.parametrize(
    ("limits", "size"),
    [
        ({"image_size_limit": 150_000}, (720, 720)),
        ({"image_size_limit": 30_000}, None),
        ({"image_matrix_limit": 360 * 360}, (360, 360)),
        ({"supported_mime_types": ["image/jpeg"]}, (720, 720)),
    ],
    ids=["quality", "size", "pixels", "type"],
)
def test_an_image_over_the_limit_of_the_server_is_encoded_anew(
    network: Mastodon,
    pacer: RestingPacer,
    tmp_path: Path,
    limits: dict[str, Any],
    size: tuple[int, int] | None,
) -> None:
    """Less quality first; fewer pixels where that is not enough, or where pixels are the limit."""
    network.rest.limits = {"media_attachments": limits}
    with closing(mastodon_at(network, pacer, session_file=tmp_path / "session.json")) as platform:
        platform.login()
        source = platform.post(id_of(network, post(network)))
        out = io.BytesIO()
        noise(3, 720).save(out, "PNG")
        upload = written(platform.ways.modes[0].steps[0], source, "up", {})
        step = replace(upload, image=out.getvalue(), size=(720, 720))
        sent_id = platform.send(step).remote_id
    image = network.world.images[sent_id]
    assert len(image.data) <= limits.get("image_size_limit", 10**9)
    with PIL.Image.open(io.BytesIO(image.data)) as made:
        assert made.format == "JPEG"
        assert made.size == size if size else 320 <= made.width < 720
    assert b"TrainedAlgorithmicMedia" in image.data, "it says that a machine made it"


def test_a_text_is_cut_to_the_limit_of_the_server(
    network: Mastodon, pacer: RestingPacer, tmp_path: Path
) -> None:
    network.rest.limits = {
        "statuses": {"max_characters": 120},
        "media_attachments": {"image_size_limit": 50, "description_limit": 5},
    }
    platform = mastodon_at(network, pacer, session_file=tmp_path / "session.json")
    platform.login()
    source = post(network)
    with pytest.raises(Refused, match="the server takes 50 bytes"):
        reply(platform, network, source)
    network.rest.limits["media_attachments"]["image_size_limit"] = 10_000_000
    platform.login()
    step = reply(platform, network, source)
    long = f"{'long words ' * 30} {step.source_url}"
    platform.send(reply(platform, network, source, text=long))
    (made,) = network.world.replies(source.status_id)
    assert length(made.text) <= 120 and made.text.endswith(step.source_url)
    assert made.images[0].description == "a gen"
    platform.close()


# --- reading --------------------------------------------------------------------------------------


def test_boosts_and_posts_between_people_are_left_out(
    network: Mastodon, platform: MastodonPlatform
) -> None:
    seen = post(network)
    network.world.publish("ben", "", boost_of=seen.status_id)
    hidden = post(network, f"@{network.username} #sunset", "cara", visibility="direct")
    assert [one.post_id for one in platform.hashtag("sunset").posts] == [id_of(network, seen)]
    assert platform.profile("ben").posts == ()
    assert platform.mentions().posts == ()
    with pytest.raises(TargetPrivate):
        platform.post(id_of(network, hidden))


@pytest.mark.parametrize(
    "said", [{"bot": True}, {"note": "I paint. #nobot please"}, {"note": "no bots"}]
)
def test_bots_and_who_wants_none(
    network: Mastodon, platform: MastodonPlatform, said: dict[str, Any]
) -> None:
    network.world.join("dan", **said)
    status = post(network, "#sunset", "dan")
    (listed,) = platform.hashtag("sunset").posts
    assert listed.author.is_bot and platform.author(listed.author.user_id).is_bot
    assert not platform.post(id_of(network, post(network, author="eva"))).author.is_bot
    network.world.remove(status.status_id)


def test_an_image_in_its_original_bytes(network: Mastodon, platform: MastodonPlatform) -> None:
    status = post(network)
    (media,) = platform.post(id_of(network, status)).media
    assert platform.download(media, 10**7) == status.images[0].data
    assert (media.width, media.height) == (320, 320)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/a.jpg", "https://10.0.0.1/a.jpg", "http://example.org/a.jpg"]
)
def test_an_image_in_a_private_network_is_not_fetched(
    platform: MastodonPlatform, network: Mastodon, url: str
) -> None:
    (media,) = platform.post(id_of(network, post(network))).media
    with pytest.raises(Refused):
        platform.download(type(media)(0, url), 10**7)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one<br />two</p><p>three &amp; <b>four</b></p>", "one\ntwo\n\nthree & four"),
        ('<a href="https://a.example/long"><span class="invisible">https://</span>a.example/long</a>',
         "https://a.example/long"),
        ("plain, <unclosed", "plain, <unclosed"),
    ],
)  # fmt: skip
def test_the_text_of_a_status(html: str, text: str) -> None:
    assert plain(html) == text


def test_addresses_of_posts() -> None:
    for address in ("https://fedi.example/@ana/12", "fedi.example/@ana@other.example/12",
                    "https://fedi.example/users/ana/statuses/12"):  # fmt: skip
        assert SPELLING.post(address) == "fedi.example:12"
    for address in ("https://fedi.example/@ana", "ana@fedi.example", "mastodon/ana@fedi.example"):
        assert SPELLING.post(address) is None


# --- the account ----------------------------------------------------------------------------------


def test_what_an_account_is_told_about_itself(
    network: Mastodon, pacer: RestingPacer, tmp_path: Path
) -> None:
    file = tmp_path / "session.json"
    for is_bot in (True, False):
        network.world.change(network.username, bot=is_bot)
        platform = mastodon_at(network, pacer, session_file=file)
        platform.login()
        platform.close()
        assert bool(remarks(json.loads(file.read_text()))) is not is_bot
    assert network.token not in file.read_text() and file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("expired", BadCredentials),
        ("revoked", BadCredentials),
        ("scopes", BadCredentials),
        ("disabled", AccountSuspended),
        ("server_error", Unavailable),
        ("drop", Unavailable),
        ("throttled", RateLimited),
    ],
)
def test_what_a_failed_login_means(
    network: Mastodon, platform: MastodonPlatform, fault: str, kind: type[Exception]
) -> None:
    network.fail(fault, "whoami")
    with pytest.raises(kind) as caught:
        platform.login()
    assert type(caught.value) is kind
    platform.login()


def test_a_token_of_somebody_else_or_none(
    network: Mastodon, pacer: RestingPacer, tmp_path: Path
) -> None:
    network.world.tokens["other"] = network.world.join("ana").name
    for token, kind in (("other", AuthError), (None, LoginRequired)):
        platform = mastodon_at(network, pacer, session_file=tmp_path / "s.json", token=token)
        with pytest.raises(kind):
            platform.login()
        platform.close()


def test_a_server_that_speaks_only_version_1(
    network: Mastodon, pacer: RestingPacer, tmp_path: Path
) -> None:
    network.rest.version_two = False
    platform = mastodon_at(network, pacer, session_file=tmp_path / "s.json")
    assert platform.login().username == f"{network.username}@fedi.example"
    platform.close()


def test_an_answer_that_uses_up_the_limit_opens_the_circuit(
    network: Mastodon, platform: MastodonPlatform, pacer: RestingPacer
) -> None:
    platform.hashtag("sunset")  # the client asks what the server offers, once
    network.left = 2
    pacer.told.clear()
    platform.hashtag("sunset")
    platform.hashtag("sunset")
    (_, first), (_, second) = pacer.told
    assert first is None and isinstance(second, RateLimited)
    assert second.retry_after and 200 < second.retry_after < 302
    with pytest.raises(RateLimited) as caught:
        platform.hashtag("sunset")
    assert caught.value.retry_after and caught.value.retry_after > 200


@pytest.mark.parametrize("reset", ["not a date", "1700000000", ""])
def test_a_header_that_cannot_be_read_loses_no_write(
    network: Mastodon, platform: MastodonPlatform, reset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = reply(platform, network, source := post(network))
    monkeypatch.setattr("bot.platforms.mastodon_sandbox.server._at", lambda _: reset)
    try:
        platform.send(step)
    except OutcomeUnknown:
        assert reset != "1700000000", "the client cannot read it; the status is there"
    assert len(network.world.replies(source.status_id)) == 1


def test_a_page_instead_of_an_answer(network: Mastodon, platform: MastodonPlatform) -> None:
    network.fail("html", "timeline")
    with pytest.raises(Unavailable):
        platform.hashtag("sunset")


# --- the stream -----------------------------------------------------------------------------------


def streamed(platform: MastodonPlatform, cursor: str, wanted: int) -> tuple[list[str], str]:
    found: list[str] = []

    def more() -> bool:
        nonlocal cursor
        page = platform.stream(cursor, TOPICS)
        assert page.cursor is not None
        cursor = page.cursor
        found.extend(one.post_id for one in page.posts)
        return len(found) >= wanted

    eventually("posts are streamed", more)
    return found, cursor


def test_a_stream_goes_on_after_the_server_was_away(
    network: Mastodon, pacer: RestingPacer, tmp_path: Path
) -> None:
    """What came while nothing listened is listed, page by page, and nothing comes twice."""
    first = mastodon_at(network, pacer, session_file=tmp_path / "s.json")
    first.login()
    cursor = first.stream(None, TOPICS).cursor
    assert cursor is not None
    eventually("both are connected", lambda: network.world.listeners() == 2)
    asked = post(network, f"look, @{network.username}", "ben")
    found, cursor = streamed(first, cursor, 1)
    assert found == [id_of(network, asked)]
    first.close()
    eventually("it hung up", lambda: _gone(network))
    missed = [id_of(network, post(network, f"#sunset {number}")) for number in range(12)]
    second = mastodon_at(network, pacer, session_file=tmp_path / "s.json")
    second.login()
    found, cursor = streamed(second, cursor, 12)
    assert found == missed
    live = id_of(network, post(network))
    assert streamed(second, cursor, 1)[0] == [live]
    second.close()


def _gone(network: Mastodon) -> bool:
    """A server notices that a client left when it has something to say."""
    post(network, f"@{network.username} #sunset #another", "zoe")
    for status in network.world.shown():
        if status.person.name == "zoe":
            network.world.remove(status.status_id)
    return network.world.listeners() == 0


def test_a_server_without_streams_says_so(network: Mastodon, platform: MastodonPlatform) -> None:
    network.rest.streams = False
    cursor = platform.stream(None, TOPICS).cursor

    def refused() -> str:
        try:
            platform.stream(cursor, TOPICS)
        except Unavailable as error:
            return str(error)
        return ""

    assert "streams nothing, polls find the posts" in eventually("it is told", refused)
    assert platform.hashtag("sunset").posts == ()


# --- the loopback server as a process -------------------------------------------------------------


def test_the_loopback_server_as_a_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bot.platforms.mastodon_sandbox", "--json", "--rate", "20"]
    with (
        subprocess.Popen(
            [*command, "--dir", str(tmp_path), "--hashtag", "dawn"],
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
        killed_at_the_end(process),
    ):
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["platform"] == "mastodon" and told["secrets"]["token"]

        def posts() -> int:
            with urllib.request.urlopen(told["control"] + "/world") as answer:
                return int(json.load(answer)["posts"])

        eventually("people post", lambda: posts() > 3)
        process.terminate()
        assert process.wait(60) == 0


def test_an_author_of_another_server_is_nobody_here(platform: MastodonPlatform) -> None:
    with pytest.raises(TargetGone):
        platform.author("other.example:12")
    assert isinstance(platform.login(), Author)
