"""`tagecho watch`: found again in the stream, once each, also after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil
from PIL import ImageOps
from sqlmodel import select

from bot.cli import main as cli
from bot.config import Settings
from bot.core.errors import NothingToDo, UsageError
from bot.service.app import App, opened
from bot.verbs.watch import watch
from bot.verbs.watch_pictures import write_page, write_pairs
from storage.forget import forget
from storage.tables import WatchCheck, WatchMatch
from tests.databases import NOW
from tests.datasets import put
from tests.paths import ROOT
from tests.pictures import jpeg, noise, photo


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "below").mkdir(parents=True)
    (folder / "astronaut.jpg").write_bytes(jpeg(photo("astronaut", 300)))
    photo("coffee", 300).save(folder / "below" / "coffee.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def collect(app: App) -> None:
    put(app, "cropped", images=[jpeg(photo("astronaut", 300).crop((60, 20, 280, 240)))])
    put(app, "mirrored", "u2", images=[jpeg(ImageOps.mirror(photo("coffee", 300)), 60)])
    put(app, "other", "u3", images=[jpeg(photo("chelsea", 300))])
    put(app, "noise", "u4", images=[jpeg(noise(3))])


def posts(rows: list[dict[str, object]]) -> set[tuple[str, str]]:
    return {
        (Path(str(row["picture"])).stem, str(row["url"]).rstrip("/").split("/")[-1]) for row in rows
    }


def test_altered_pictures_are_found_and_compared_once(settings: Settings, mine: Path) -> None:
    with opened(settings) as app:
        collect(app)
    first = watch(settings, mine)
    assert posts(first.rows()) == {("astronaut", "cropped"), ("coffee", "mirrored")}
    assert (first.pictures, first.added, first.images) == (2, 2, 4)
    rows = {Path(row["picture"]).stem: row for row in first.rows()}
    assert rows["coffee"]["mirrored"] and not rows["astronaut"]["mirrored"]
    assert all(row["new"] for row in first.rows())
    assert 0.45 < rows["astronaut"]["covered"] < 0.65
    again = watch(settings, mine)
    assert (again.images, again.added) == (0, 0)
    assert posts(again.rows()) == posts(first.rows())
    assert not any(row["new"] for row in again.rows())


def test_what_comes_later_is_compared_on_either_side(settings: Settings, mine: Path) -> None:
    with opened(settings) as app:
        collect(app)
    watch(settings, mine)
    with opened(settings) as app:
        put(app, "later", "u5", images=[jpeg(photo("astronaut", 200), 40)])
    second = watch(settings, mine)
    assert second.images == 1
    assert ("astronaut", "later") in posts([row for row in second.rows() if row["new"]])
    (mine / "chelsea.jpg").write_bytes(jpeg(photo("chelsea", 320), 95))
    third = watch(settings, mine)
    assert (third.added, third.images) == (1, 5)
    assert posts([row for row in third.rows() if row["new"]]) == {("chelsea", "other")}


def test_a_picture_that_left_the_folder_is_not_watched(settings: Settings, mine: Path) -> None:
    with opened(settings) as app:
        collect(app)
    watch(settings, mine)
    (mine / "astronaut.jpg").unlink()
    report = watch(settings, mine)
    assert (report.pictures, report.removed) == (1, 1)
    assert posts(report.rows()) == {("coffee", "mirrored")}
    (mine / "astronaut.jpg").write_bytes(jpeg(photo("astronaut", 300)))
    assert ("astronaut", "cropped") in posts(watch(settings, mine).rows()), (
        "its number is a new one"
    )


def test_pictures_without_landmarks_are_found_as_a_whole(
    settings: Settings, tmp_path: Path
) -> None:
    smooth = Pil.linear_gradient("L").resize((90, 120)).rotate(30).convert("RGB")
    folder = tmp_path / "smooth"
    folder.mkdir()
    smooth.save(folder / "smooth.png")
    with opened(settings) as app:
        put(app, "copied", images=[jpeg(smooth.resize((180, 240)), 70)])
        put(app, "mirrored", "u2", images=[jpeg(ImageOps.mirror(smooth), 80)])
        put(app, "noise", "u3", images=[jpeg(noise(3))])
    rows = watch(settings, folder).rows()
    assert posts(rows) == {("smooth", "copied"), ("smooth", "mirrored")}


def test_what_cannot_be_read_is_told_and_not_asked_again(settings: Settings, mine: Path) -> None:
    (mine / "broken.jpg").write_bytes(b"no picture")
    with opened(settings) as app:
        put(app, "broken", images=[b"neither"])
    report = watch(settings, mine)
    assert len(report.unreadable) == 2
    assert report.images == 1
    assert watch(settings, mine).images == 0


def test_a_forgotten_person_and_one_who_opted_out_are_not_reported(
    settings: Settings, mine: Path
) -> None:
    with opened(settings) as app:
        collect(app)
    watch(settings, mine)
    with opened(settings) as app:
        with app.database.write() as session:
            app.optouts.add(session, "instagram", "u1", NOW)
        with app.database.write() as session:
            forget(session, "instagram", "u2")
        with app.database.read() as session:
            assert len(session.exec(select(WatchMatch)).all()) == 1
            assert len(session.exec(select(WatchCheck)).all()) == 3
    assert watch(settings, mine).rows() == []


def test_no_folder_and_an_empty_one(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        watch(settings, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToDo, match="no picture"):
        watch(settings, tmp_path / "empty")


def test_findings_are_drawn_side_by_side(settings: Settings, mine: Path, tmp_path: Path) -> None:
    with opened(settings) as app:
        collect(app)
    found = watch(settings, mine).found
    written = write_pairs(settings, found, tmp_path / "out")
    assert sorted(path.name.split("--")[0] for path in written) == ["astronaut", "coffee"]
    drawn = Pil.open(next(path for path in written if path.name.startswith("astronaut")))
    assert drawn.width > 1.5 * drawn.height
    red, green, blue = np.asarray(drawn.convert("RGB"), int).transpose(2, 0, 1)
    outline = ((red > 220) & (green < 110) & (blue < 60)).sum()
    assert outline > 1000, "what both have in common is outlined in both"
    assert write_pairs(settings, found, tmp_path / "out") == [], "what is there stays"
    write_page(settings, found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert "<script" not in page


CONFIG = '[data]\ndir = "{folder}"\n'


def test_killed_half_way_nothing_is_compared_twice_or_left_out(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(folder=tmp_path / "data"))
    from bot import config as configuration

    settings = configuration.load(config)
    with opened(settings) as app:
        for n in range(6):
            put(app, f"n{n}", f"n{n}", images=[jpeg(noise(10 + n))])
        collect(app)
    code = (
        "import os, signal, sys\n"
        "from bot.verbs import watch\n"
        "watch.BATCH = 4\n"
        "keep = watch._keep\n"
        "def kept(*args):\n"
        "    keep(*args)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "watch._keep = kept\n"
        "from bot.cli.main import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "watch", str(mine), "--config", str(config)]
    for done in (4, 8):
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        with opened(settings) as app, app.database.read() as session:
            assert len(session.exec(select(WatchCheck)).all()) == done
    monkeypatch.setattr(sys, "argv", ["tagecho", "watch", str(mine), "-c", str(config), "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["images"] == 2
    assert posts(printed["found"]) == {("astronaut", "cropped"), ("coffee", "mirrored")}


def test_new_findings_are_told_once_by_a_notice(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bot import config as configuration
    from bot.net import notices

    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(folder=tmp_path / "data"))
    monkeypatch.setenv("TAGECHO_NOTICES__URLS", "json://127.0.0.1:1/")
    with opened(configuration.load(config)) as app:
        collect(app)
    told: list[tuple[str, str]] = []

    def send(urls: object, title: str, body: str, own: object) -> list[notices.Delivery]:
        told.append((title, body))
        return [notices.Delivery("json")]

    monkeypatch.setattr(notices, "send", send)
    for _ in range(2):
        arguments = ["tagecho", "watch", str(mine), "-c", str(config), "--notify"]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0, capsys.readouterr().err
    ((title, body),) = told
    assert "2 findings" in title
    assert "astronaut.jpg: @" in body
