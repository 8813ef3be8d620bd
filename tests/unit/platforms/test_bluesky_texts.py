"""Bluesky's texts, keys and addresses: counted and read as its servers do."""

from __future__ import annotations

import pytest

from bot.platforms.bluesky.addressing import SPELLING
from bot.platforms.bluesky.record_key import encode, key_of
from bot.platforms.bluesky.rich_text import facets
from bot.platforms.bluesky.text_limits import TEXT

DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
URI = f"at://{DID}/app.bsky.feed.post/3jzfcijpj2z2a"


def linked(text: str, people: dict[str, str]) -> list[tuple[str, str]]:
    """What each facet stands on, by its bytes, and what it leads to."""
    data = text.encode()
    return [
        (
            data[one["index"]["byteStart"] : one["index"]["byteEnd"]].decode(),
            next(value for key, value in one["features"][0].items() if key != "$type"),
        )
        for one in facets(text, people)
    ]


@pytest.mark.parametrize(
    "before", ["", "plain ", "Für ", "дня ", "夕焼け ", "👩‍👩‍👧‍👦🏳️‍🌈 ", "e\u0301 "]
)
def test_facets_stand_on_bytes_in_any_script(before: str) -> None:
    text = f"{before}@Ana.test, #été and https://bsky.app/profile/x. #2026 ana@mail.test"
    assert linked(text, {"ana.test": DID}) == [
        ("@Ana.test", DID),
        ("#été", "été"),
        ("https://bsky.app/profile/x", "https://bsky.app/profile/x"),
    ]


def test_only_people_who_are_known_are_mentioned() -> None:
    assert linked("@ana.test @ben.test", {"ben.test": DID}) == [("@ben.test", DID)]


@pytest.mark.parametrize(
    ("text", "graphemes"),
    [("a" * 300, 300), ("e\u0301" * 300, 300), ("夕" * 300, 300), ("👍🏽" * 300, 300)],
)
def test_a_text_of_300_graphemes_is_within_the_limit(text: str, graphemes: int) -> None:
    assert TEXT.length(text) == graphemes
    assert TEXT.length(text + "a") > TEXT.most


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👦" * 130, "🇫🇷" * 400, "a" * 301, "\u0301" * 2000])
def test_a_text_is_never_counted_short(text: str) -> None:
    """3000 bytes are a limit, too: families are 25 bytes each."""
    assert TEXT.length(text) > TEXT.most


def test_a_text_is_cut_before_its_link() -> None:
    link = "https://bsky.app/profile/x/post/y"
    cut = TEXT.fitted("🌅" * 290 + " " + link, link)
    assert cut.endswith(f"… {link}")
    assert TEXT.length(cut) == TEXT.most


def test_a_key_is_fixed_by_the_token_and_lies_after_its_source() -> None:
    source = encode(1_700_000_000_000_000, 5)
    key = key_of("token", source)
    assert key == key_of("token", source)
    assert len(key) == 13
    assert source < key < encode(1_700_000_001_000_002, 0)
    assert len({key_of(f"token{number}", source) for number in range(2000)}) == 2000
    assert len(key_of("token", "self")) == 13, "a source whose key is no TID"


@pytest.mark.parametrize(
    "address",
    [
        URI,
        f"https://bsky.app/profile/{DID}/post/3jzfcijpj2z2a",
        f"profile/{DID}/post/3jzfcijpj2z2a/",
        f"bsky.app/profile/{DID}/post/3jzfcijpj2z2a?ref=x",
    ],
)
def test_an_address_with_a_did_names_a_post(address: str) -> None:
    assert SPELLING.post(address) == URI


@pytest.mark.parametrize(
    "address",
    ["https://bsky.app/profile/ana.test/post/3jzfcijpj2z2a", f"at://{DID}/app.bsky.feed.like/3j"],
)
def test_what_names_no_post(address: str) -> None:
    assert SPELLING.post(address) is None


def test_mentions_are_handles() -> None:
    said = "@ana.bsky.social, (@Ben.test) @cora @d.e.f. x@mail.test https://e.org/@fay.test"
    assert SPELLING.mentions(said) == ("ana.bsky.social", "ben.test", "d.e.f")
