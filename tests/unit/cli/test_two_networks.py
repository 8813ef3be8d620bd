"""One configuration with accounts on two networks: what the verbs make of it, as typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.config import load
from bot.platforms.mastodon_sandbox.server import Mastodon
from tests.bluesky.server import PASSWORD, Server
from tests.command import Run
from tests.pictures import jpeg, photo

_CONFIG = """\
[data]
dir = "{folder}/data"

[accounts.sky]
platform = "bluesky"
username = "{handle}"
server = "{url}"
directory = "{url}"
events = "off"

[accounts.fedi]
platform = "mastodon"
username = "{username}"
server = "{server}"

[pacing]
read = "off"
"""
AWAY = "ana@other.example"  # a person of another server, as ours shows her
SUNSET, COFFEE = photo("astronaut", 400), photo("coffee", 400)


@dataclass
class Both:
    sky: Server
    fedi: Mastodon
    config: Path
    run: Run

    def told(self, *words: str) -> Any:
        """What a verb prints as JSON."""
        done = self.run(*words, "--json", "--config", self.config)
        assert done.code == 0, done.err
        return json.loads(done.out)

    def toot(self, author: str, text: str, data: bytes) -> str:
        image = self.fedi.world.keep(data, "", (400, 400))
        return self.fedi.world.publish(author, text, (image,)).status_id


@pytest.fixture
def both(
    tmp_path: Path, tagecho: Run, own_logging: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Both]:
    """Ana posts one photo on both, in two encodings; Ben another, on Bluesky."""
    monkeypatch.setenv("TAGECHO_ACCOUNTS__SKY__PASSWORD", PASSWORD)
    with Server() as sky, Mastodon() as fedi:
        monkeypatch.setenv("TAGECHO_ACCOUNTS__FEDI__TOKEN", fedi.token)
        config = tmp_path / "config.toml"
        said = {"folder": tmp_path, "handle": sky.me.handle, "url": sky.url}
        said |= {"username": fedi.username, "server": fedi.server}
        config.write_text(_CONFIG.format(**said))
        made = Both(sky, fedi, config, tagecho)
        sky.publish("ana", "up #dawn", (jpeg(SUNSET, 92),))
        made.toot(AWAY, "up #dawn", jpeg(SUNSET.resize((360, 360)), 80))
        sky.publish("ben", "hot #dawn", (jpeg(COFFEE),))
        yield made


def collect(both: Both) -> None:
    for account, count in (("sky", 2), ("fedi", 1)):
        found = both.told("collect", "#dawn", "--account", account)
        assert (found["new"], found["complete"]) == (count, True)


def test_what_is_on_both_is_stored_twice_and_known_as_one_photo(both: Both) -> None:
    collect(both)
    rows = both.told("search", "up")
    assert sorted((row["platform"], row["author"]) for row in rows) == [
        ("bluesky", "ana.test"), ("mastodon", AWAY),
    ]  # fmt: skip
    assert len({image for row in rows for image in row["images"]}) == 2, "each as it was there"
    summary = both.told("curate")
    assert summary["verdicts"].get("near_duplicate") == 1
    clean = both.told("search", "--hashtag", "dawn", "--clean")
    assert {row["caption"] for row in clean} == {"up #dawn", "hot #dawn"} and len(clean) == 2
    assert [row["author"] for row in both.told("search", "up", "--platform", "mastodon")] == [AWAY]


def test_datasets_and_their_cards_say_where_photos_are_from(both: Both, tmp_path: Path) -> None:
    collect(both)
    both.told("curate")
    both.run("dataset", "create", "dawn", "--hashtag", "dawn", "--config", both.config)
    out = tmp_path / "export"
    done = both.told("export", "dawn", "--format", "imagefolder", "--out", str(out))
    assert done["items"] == 2, "one photo is in it once"
    card = (out / "README.md").read_text()
    assert "- platforms: bluesky 2" in card, "the larger of the two is the original"
    assert "The photos belong to the people who took them" in card


def test_a_track_is_added_to_the_account_that_is_named(both: Both) -> None:
    for account, target in (("sky", "#dusk"), ("fedi", "#dusk"), ("fedi", f"@{AWAY}")):
        done = both.run("track", "add", target, "--account", account, "--config", both.config)
        assert done.code == 0, done.err
    tracks = load(both.config).tracks
    assert [(one.account, one.name) for one in tracks] == [
        ("sky", "dusk"), ("fedi", "dusk"), ("fedi", AWAY),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "whom", [f"mastodon/@{AWAY}", f"mastodon/{AWAY}", "mastodon/ANA@Other.Example"]
)
def test_somebody_of_another_server_is_forgotten_by_their_address(both: Both, whom: str) -> None:
    collect(both)
    both.told("forget", whom)
    assert {row["platform"] for row in both.told("search", "--hashtag", "dawn")} == {"bluesky"}
    assert both.told("collect", "#dawn", "--account", "fedi")["new"] == 0, "and kept out"


def test_a_post_of_another_server_is_forgotten_by_its_address_there(both: Both) -> None:
    collect(both)
    (row,) = both.told("search", "up", "--platform", "mastodon")
    assert row["url"].startswith("https://other.example/@ana/")
    both.told("forget", row["url"])
    assert both.told("search", "up", "--platform", "mastodon") == []


@pytest.mark.parametrize("by", ["handle", "did"])
def test_somebody_on_bluesky_is_forgotten_by_handle_and_by_did(both: Both, by: str) -> None:
    collect(both)
    ana = both.sky.join("ana")
    both.told("forget", f"bluesky/{getattr(ana, by)}")
    assert {row["author"] for row in both.told("search", "--hashtag", "dawn")} == {"ben.test", AWAY}
    ana.handle = "renamed.test"
    assert both.told("collect", "#dawn", "--account", "sky")["new"] == 0, "and kept out"


def test_a_post_on_bluesky_is_forgotten_by_the_address_that_the_app_shows(both: Both) -> None:
    """It has the handle; what is stored, the DID."""
    collect(both)
    (row,) = both.told("search", "hot")
    key = row["url"].rpartition("/")[2]
    both.told("forget", f"https://bsky.app/profile/ben.test/post/{key}")
    assert both.told("search", "hot") == []
