"""`tagecho stats`: the figures, and a page that hostile text cannot break."""

from __future__ import annotations

import html
import json
import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from bot.cli import main as cli
from bot.config import Settings
from bot.config.settings import Data
from bot.core.errors import NothingToDo
from bot.core.events import Author, Media
from bot.service.app import opened
from bot.verbs.curate import curate
from bot.verbs.stats import BARS, collect, lines, timeline, write_page
from storage import dataset
from storage.dataset import Fetched
from storage.tables import LabelScore, MediaRow, MediaState
from tests.databases import NOW, make_post
from tests.datasets import add_image
from tests.pictures import jpeg, noise, photo

HOSTILE = """</title></style><script>alert(1)</script><img src=x onerror=alert(2)>"' {{ 7*7 }}"""


def fill(settings: Settings) -> None:
    """Four posts of three days: two of them one photo, one too small, one with a poor hashtag."""
    with opened(settings) as app:
        media = [
            add_image(app, "large", jpeg(photo(side=400))),
            add_image(app, "again", jpeg(photo(side=300)), days=1),
            add_image(app, "small", jpeg(noise(1, 150)), days=1),
            add_image(app, "poor", jpeg(noise(2)), days=4, tags=("sunset", "cat")),
        ]
        with app.database.write() as session:
            posts = {m.id: m.post for m in session.exec(select(MediaRow))}
            for one in media[:3]:
                dataset.found_by(session, posts[one], "main:hashtag:sunset", "sunsets", "", NOW)
            for one, tag, likely in (
                (media[0], "sunset", 0.95),
                (media[1], "sunset", 1.0),
                (media[3], "cat", 0.05),
            ):
                session.add(
                    LabelScore(
                        post=posts[one],
                        hashtag=tag,
                        method="combined",
                        probability=likely,
                        model_version="net-1",
                        computed_at=NOW,
                    )
                )
    curate(settings)


def test_the_figures(settings: Settings) -> None:
    fill(settings)
    found = collect(settings)
    whole = found.everything
    assert (whole.posts, whole.images, whole.authors, whole.flagged) == (4, 4, 4, 3)
    assert whole.verdicts == {"label_fit": 1, "near_duplicate": 1, "small": 1}
    assert whole.duplicates == {"exact": 0, "near": 1, "groups": 1}
    day = (NOW - timedelta(hours=1)).date()
    assert whole.by_day == {
        str(day): 1,
        str(day + timedelta(days=1)): 2,
        str(day + timedelta(days=4)): 1,
    }
    assert whole.label_fit == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    (sunsets,) = found.datasets
    assert (sunsets.name, sunsets.posts, sunsets.flagged) == ("sunsets", 3, 2)
    tags = {group.name: group for group in found.hashtags}
    assert list(tags) == ["sunset", "cat"]
    assert (tags["sunset"].posts, tags["cat"].posts) == (4, 1)
    assert tags["cat"].label_fit[0] == 1 and sum(tags["sunset"].label_fit) == 2
    assert tags["cat"].top_authors == [("poor", 1)]
    text = "\n".join(lines(found))
    assert re.search(r"^#sunset +4 +4 +4 +3", text, re.M)


def test_the_page_shows_everything_and_loads_nothing(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    page = tmp_path / "stats.html"
    write_page(settings, collect(settings), page)
    text = page.read_text()
    for heading in ("Worst label fit", "Best label fit", "Duplicates, group 1", "Verdict: small"):
        assert heading in text
    assert text.count("data:image/jpeg;base64,") >= 8
    assert text.index("#cat") < text.index("Best label fit")
    assert "<svg" in text and "<script" not in text
    loaded = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert all(
        u.startswith(("data:image/jpeg;base64,", "https://www.instagram.com/")) for u in loaded
    )
    assert page.stat().st_mode & 0o077 == 0


def test_hostile_words_stay_words(settings: Settings, tmp_path: Path) -> None:
    data = jpeg(noise(3, 100))
    with opened(settings) as app:
        media = Media(0, "https://m/x")
        post = make_post(
            "x",
            author=Author("instagram", "u1", HOSTILE),
            caption=HOSTILE,
            url="javascript:alert(3)",
            hashtags=(HOSTILE,),
            media=(media,),
        )
        image = Fetched(
            media, MediaState.STORED, app.originals.put(data), len(data), "image/jpeg", 100, 100
        )
        with app.database.write() as session:
            row = dataset.add(session, post, [image], NOW)
            dataset.found_by(session, row, "t", HOSTILE, "", NOW)
            session.add(
                LabelScore(
                    post=row,
                    hashtag=HOSTILE,
                    method="combined",
                    probability=0.1,
                    model_version="net-1",
                    computed_at=NOW,
                )
            )
    curate(settings)
    page = tmp_path / "stats.html"
    write_page(settings, collect(settings), page)
    text = page.read_text()
    assert "<script" not in text and "onerror=alert(2)>" not in text
    assert (
        text.count(html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")) > 4
    )
    assert "javascript:" not in text and "{{ 7*7 }}" in text


def test_an_image_that_is_gone_is_said(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    with opened(settings) as app, app.database.read() as session:
        app.originals.remove(s for s in session.exec(select(MediaRow.sha256)) if s)
    write_page(settings, collect(settings), tmp_path / "stats.html")
    text = (tmp_path / "stats.html").read_text()
    assert "cannot be shown" in text and "data:image" not in text


def test_nothing_collected(settings: Settings) -> None:
    with pytest.raises(NothingToDo):
        collect(settings)


def test_days_become_at_most_so_many_bars() -> None:
    assert timeline({}) == []
    two = timeline({"2026-03-01": 4, "2026-03-03": 2})
    assert [(b.label, b.count, b.share) for b in two] == [
        ("2026-03-01", 4, 1.0),
        ("2026-03-02", 0, 0.0),
        ("2026-03-03", 2, 0.5),
    ]
    long = timeline({"2015-01-01": 1, "2026-01-01": 1, "2026-03-01": 5})
    assert len(long) <= BARS and sum(b.count for b in long) == 6


def test_the_verbs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text('[data]\ndir = "data"\n')
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tagecho", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    assert run("curate")[0] == 8
    assert run("stats")[0] == 8
    fill(Settings(data=Data(dir=tmp_path / "data")))
    code, out, _ = run("stats", "--json", "--html", "page.html")
    assert code == 0 and json.loads(out)["everything"]["posts"] == 4
    assert (tmp_path / "page.html").exists()
    (tmp_path / "config.toml").write_text('[data]\ndir = "data"\n[curation]\nmin_side = "off"\n')
    code, out, err = run("curate", "--dry-run")
    assert code == 0 and out.startswith("gone") and "would be new: 0" in err
    code, out, _ = run("curate", "--json")
    assert json.loads(out)["gone"] == {"small": 1}
