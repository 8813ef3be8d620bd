"""`tagecho caption`: learned tags, official sentences, people's words, and where they show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import func, select

from bot.config import Settings
from bot.config.settings import Data
from bot.core.errors import ModelError, NothingToDo, NotInstalled, UsageError
from bot.flow import forget as flow
from bot.service.app import networks_of, opened
from bot.verbs import caption as verb
from bot.verbs import doctor
from bot.verbs.forget import forget
from bot.verbs.search import SearchQuery, find
from models.serving import describe
from models.serving.catalogue import CATALOGUE
from models.words import kept
from storage import words
from storage.tables import CaptionRow, Embedding, ImageTag, MediaRow
from storage.words import Words
from tests import official
from tests.databases import NOW
from tests.datasets import put
from tests.paths import ROOT
from tests.streams import colour_stream
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("small_segmenter")
ALL = {"limit": None, "again": False}


COUNT = 60


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    """For what is the same on every database."""
    return Settings(data=Data(dir=tmp_path / "data"))


@pytest.fixture
def stream(here: Settings) -> dict[int, str]:
    with opened(here) as app:
        return colour_stream(app, COUNT)


def rows(settings: Settings, table: Any) -> list[Any]:
    with opened(settings) as app, app.database.read() as session:
        return list(session.exec(select(table)))


def say(settings: Settings, media: int, network: str, said: Words) -> str:
    with opened(settings) as app, app.database.write() as session:
        sha256 = session.get_one(MediaRow, media).sha256 or ""
        words.keep(session, network, f"{network}-1", {sha256: said}, NOW)
        return sha256


# --- learned tags ---------------------------------------------------------------------------------


def test_tags_are_learned_from_hashtags_and_given_to_images_without_any(
    here: Settings, stream: dict[int, str]
) -> None:
    done = verb.caption(here, "colours", "embedded", **ALL)
    assert (done.images, done.captioned) == (COUNT, COUNT)
    assert done.tagged >= COUNT / 2
    assert done.version.startswith("words-")
    assert done.figures["tags"]["map"] > done.figures["tags"]["map_frequent"]
    listed = verb.listing(here, "colours", unreviewed=True, limit=100)
    right = [row["tags"][0][0] == stream[row["image"]] for row in listed if row["tags"]]
    assert len(right) == done.tagged
    assert sum(right) >= 0.9 * len(right)
    assert {row["sentence"] for row in listed} == {""}
    assert {row["tags_by"] for row in listed if row["tags"]} == {done.version}
    silent = list(stream)[4::5]
    of_silent = [row["tags"] for row in listed if row["image"] in silent]
    assert sum(bool(tags) for tags in of_silent) >= len(silent) / 2, "whose posts have no such tag"
    again = verb.caption(here, "colours", "embedded", **ALL)
    assert (again.captioned, again.before) == (0, COUNT)


def test_limit_and_again(here: Settings, stream: dict[int, str]) -> None:
    first = verb.caption(here, "colours", "embedded", limit=40, again=False)
    assert (first.captioned, first.left) == (40, COUNT - 40)
    second = verb.caption(here, "colours", "embedded", **ALL)
    assert (second.captioned, second.before) == (COUNT - 40, 40)
    third = verb.caption(here, "colours", "embedded", limit=None, again=True)
    assert (third.captioned, third.before) == (COUNT, 0)
    assert len(rows(here, CaptionRow)) == len(stream)


def test_nothing_to_learn_from(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no dataset"):
        verb.caption(settings, "colours", "embedded", **ALL)
    with opened(settings) as app:
        put(app, "a", into="colours")
    with pytest.raises(NothingToDo, match="nothing can be learned"):
        verb.caption(settings, "colours", "embedded", **ALL)
    with pytest.raises(UsageError, match='did you mean "embedded"'):
        verb.caption(settings, "colours", "embeded", **ALL)


def test_who_is_forgotten_leaves_no_word(here: Settings, stream: dict[int, str]) -> None:
    verb.caption(here, "colours", "embedded", **ALL)
    home = networks_of(here)
    assert kept.load(home) is not None
    forget(here, "instagram/name-u3")
    assert kept.load(home) is None, "it is learned anew of those who are left"
    left = rows(here, CaptionRow)
    assert len(left) == len(stream) - 5
    assert {row.sha256 for row in rows(here, ImageTag)} <= {row.sha256 for row in left}


def test_the_command_line(
    here: Settings, stream: dict[int, str], tagecho: Callable[..., Any], tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[data]\ndir = "{here.data.dir}"\n', encoding="utf-8")
    told = json.loads(tagecho("caption", "colours", "--json", "-c", config).out)
    assert told["captioned"] == len(stream)
    report = tagecho("caption", "colours", "--report", "-c", config).out
    assert "mean average precision per post" in report
    assert "recall@10" in report
    image = next(iter(stream))
    assert f"#{stream[image]}" in tagecho("captions", "accept", str(image), "-c", config).out
    said = tagecho(
        "captions", "write", str(image), "--sentence", "A red wall", "--language", "en",
        "--tag", "Wall", "--json", "-c", config,
    )  # fmt: skip
    row = json.loads(said.out)
    assert (row["sentence"], row["tags"], row["accepted"]) == ("A red wall", [["wall", 1.0]], True)
    listed = tagecho("captions", "list", "colours", "--limit", "100", "-c", config).out
    assert f"{image}  A red wall  #wall  (person)" in listed
    tagecho("captions", "unreview", str(image), "-c", config)
    after = tagecho("captions", "list", "colours", "--limit", "100", "-c", config).out
    assert "A red wall" not in after


# --- what people say ------------------------------------------------------------------------------


def test_a_persons_word_stands_above_networks(settings: Settings) -> None:
    with opened(settings) as app:
        [media] = put(app, "a", into="x")
    with pytest.raises(UsageError, match="nothing to accept"):
        verb.review(settings, media, sentence=None, tags=None, language="")
    sha256 = say(settings, media, "blip-base", Words("a dog", "en", 0.7, (("dog", None),)))
    row = verb.review(settings, media, sentence=None, tags=None, language="")
    assert (row["sentence"], row["language"], row["sentence_by"]) == ("a dog", "en", "person")
    say(settings, media, "florence-2-base", Words("a cat", "en", 0.9))
    with opened(settings) as app, app.database.read() as session:
        now = words.current(session, [sha256])[sha256]
        assert (now.sentence, now.tags) == ("a dog", [("dog", None)])
        assert words.accepted_sentence(session, sha256) == "a dog"
        assert words.answers(session, sha256)[0][0].network == "person"
    verb.take_back(settings, media)
    with opened(settings) as app, app.database.read() as session:
        assert words.current(session, [sha256])[sha256].sentence in ("a dog", "a cat")
        assert words.accepted_sentence(session, sha256) == ""
    with pytest.raises(UsageError, match="at most"):
        verb.review(settings, media, sentence="x" * 2000, tags=None, language="")
    with pytest.raises(UsageError, match="no stored image"):
        verb.review(settings, 999, sentence="x", tags=None, language="")


def test_words_are_searched_and_go_with_the_image(settings: Settings) -> None:
    with opened(settings) as app:
        [media] = put(app, "a", "u1", into="x")
        put(app, "b", "u2", into="x")
    say(settings, media, "blip-base", Words("a dog on grass", "en", 0.7, (("dog", None),)))

    def found(**wanted: Any) -> int:
        return len(find(settings, SearchQuery(**wanted)).rows)

    assert found(text="dog grass") == 1
    assert found(tags=("Dog",)) == 1
    assert found(tags=("cat",)) == 0
    assert found(tags=("dog",), dataset="x") == 1
    with opened(settings) as app:
        flow.forget(app, "instagram", "u1", lambda _: True)
    assert found(text="dog grass") == found(tags=("dog",)) == 0
    assert rows(settings, CaptionRow) == rows(settings, ImageTag) == []


# --- official networks ----------------------------------------------------------------------------


def official_pack(settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    pytest.importorskip("torch", reason="official networks need it")
    official.unpinned(monkeypatch)
    save = {"blip-base": official.save_blip, "florence-2-base": official.save_florence}[name]
    return official.put_hub(networks_of(settings), name, save)


@pytest.mark.slow
@pytest.mark.learn
@pytest.mark.parametrize("name", ["blip-base", "florence-2-base"])
def test_official_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """By the real library, from a tiny network in the hub's own layout, in its own process."""
    settings = Settings(data=Data(dir=tmp_path / "data"))
    official_pack(settings, monkeypatch, name)
    with opened(settings) as app:
        colour_stream(app, 6)
    done = verb.caption(settings, "colours", name, **ALL)
    assert (done.captioned, done.failed, done.unreadable) == (6, [], [])
    assert done.version.startswith(f"{name}-")
    stored = rows(settings, CaptionRow)
    assert {row.language for row in stored} == {"en"}
    assert all(0 < row.score <= 1 for row in stored)
    if name == "blip-base":
        assert len({row.sentence for row in stored}) > 1, "other pictures, other sentences"
        assert set(" ".join(row.sentence for row in stored).split()) <= set(official.WORDS)


@pytest.mark.slow
@pytest.mark.learn
def test_killed_twice_none_is_lost_and_none_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=Data(dir=tmp_path / "data"))
    official_pack(settings, monkeypatch, "blip-base")
    count = 36
    with opened(settings) as app:
        colour_stream(app, count)
    config = tmp_path / "config.toml"
    config.write_text(f'[data]\ndir = "{settings.data.dir}"\n', encoding="utf-8")
    command = [
        sys.executable, "-m", "bot", "caption", "colours", "--network", "blip-base", "--json",
        "-c", str(config),
    ]  # fmt: skip

    def stored() -> int:
        return len(rows(settings, CaptionRow))

    when: dict[str, Any] = {}
    for enough in (6, 18):
        process = subprocess.Popen(command, cwd=ROOT, process_group=0)
        eventually("some are stored", lambda most=enough: stored() >= most)  # type: ignore[misc]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        when |= {row.sha256: row.at for row in rows(settings, CaptionRow) if row.sha256 not in when}
    last = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(last.stdout)
    assert told["before"] == len(when) >= 18
    assert told["before"] + told["captioned"] == count
    after = {row.sha256: row.at for row in rows(settings, CaptionRow)}
    assert len(after) == count
    assert {name: at for name, at in after.items() if name in when} == when, "not done again"


def test_a_network_that_is_not_here_or_not_whole(
    here: Settings, stream: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="models pull blip-base"):
        verb.caption(here, "colours", "blip-base", **ALL)
    official.unpinned(monkeypatch)
    official.put_hub(networks_of(here), "blip-base", _empty_files)
    monkeypatch.setitem(describe.ENTRIES, "blip-base", "tests.answerers:captioner")
    monkeypatch.setenv("TAGECHO_TEST_CAPTIONER", "import")
    with pytest.raises(NotInstalled, match="tagecho\\[official\\]"):
        verb.caption(here, "colours", "blip-base", **ALL)
    monkeypatch.setenv("TAGECHO_TEST_CAPTIONER", "raise")
    with pytest.raises(ModelError, match="does not like it; 0 images are done"):
        verb.caption(here, "colours", "blip-base", **ALL)
    assert rows(here, CaptionRow) == []


def test_a_crash_costs_one_image(
    here: Settings, stream: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    official.unpinned(monkeypatch)
    official.put_hub(networks_of(here), "blip-base", _empty_files)
    monkeypatch.setitem(describe.ENTRIES, "blip-base", "tests.answerers:captioner")
    monkeypatch.setenv("TAGECHO_TEST_CAPTIONER", "crash on the third")
    done = verb.caption(here, "colours", "blip-base", limit=4, again=False)
    assert done.captioned == 3
    [why] = done.failed
    assert "crashed" in why
    monkeypatch.setenv("TAGECHO_TEST_CAPTIONER", "well")
    again = verb.caption(here, "colours", "blip-base", limit=1, again=False)
    assert (again.captioned, again.before) == (1, 3)


@pytest.mark.parametrize(
    ("how", "fine", "words"),
    [
        ("well", True, "s a picture, in a process of its own"),
        ("import", False, "a_package_that_is_not_there"),
        ("raise", False, "does not like it"),
    ],
)
def test_doctor_says_how_long_a_picture_takes(
    here: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    fine: bool,
    words: str,
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[data]\ndir = "{here.data.dir}"\n', encoding="utf-8")
    assert [one for one in doctor.examine(path) if one.topic == "words"] == [], "nothing is pulled"
    official.put_hub(networks_of(here), "blip-base", _empty_files)
    monkeypatch.setitem(describe.ENTRIES, "blip-base", "tests.answerers:captioner")
    monkeypatch.setenv("TAGECHO_TEST_CAPTIONER", how)
    [found] = [one for one in doctor.examine(path) if one.topic == "words"]
    assert found.fine is fine
    assert words in found.text
    assert found.text.startswith("blip-base: ")


def _empty_files(folder: Path) -> None:
    for file in CATALOGUE["blip-base"].files:
        (folder / file.name).write_bytes(b"{}")


def test_one_row_for_one_image_of_many_posts(settings: Settings) -> None:
    """Who posts the same bytes again has the same words, and they stay with those who are left."""
    with opened(settings) as app:
        data = [b"\xff\xd8 the same"]
        [first] = put(app, "a", "u1", images=data, into="x")
        put(app, "b", "u2", images=data, into="x")
    say(settings, first, "blip-base", Words("a dog", "en", 0.7))
    assert len(find(settings, SearchQuery(text="dog")).rows) == 2
    with opened(settings) as app:
        flow.forget(app, "instagram", "u1", lambda _: True)
        with app.database.read() as session:
            assert session.exec(select(func.count()).select_from(CaptionRow)).one() == 1
            assert session.exec(select(func.count()).select_from(Embedding)).one() == 0
    assert len(find(settings, SearchQuery(text="dog")).rows) == 1
