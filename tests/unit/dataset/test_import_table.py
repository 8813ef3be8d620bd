"""Images that no tool downloaded: plain folders, and those that a CSV or JSONL file names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlmodel import select

from bot.config import Settings
from bot.core.errors import UsageError
from bot.dataset.importing.folder import ImportReport, take
from bot.dataset.importing.table import Table, columns_of
from bot.service.app import opened
from storage.tables import AuthorRow, MediaRow, PostHashtag, PostRow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images that differ, two of them in folders."""
    root = tmp_path / "photos"
    for number, name in enumerate(("a.jpg", "b.png", "street cats/c.jpg", "dogs/big/d.jpg")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), (number * 60, 90, 120)).save(path)
    return root


def table(folder: Path, text: str, name: str = "posts.csv", **columns: str) -> Table:
    path = folder.parent / name
    path.write_text(text, encoding="utf-8")
    return Table(path, columns)


def stored(settings: Settings) -> dict[str, dict[str, Any]]:
    """Each post by its id, with the file sizes left out."""
    with opened(settings) as app, app.database.read() as session:
        found = {}
        for post in session.exec(select(PostRow)):
            tags = session.exec(select(PostHashtag.hashtag).where(PostHashtag.post == post.id))
            images = session.exec(select(MediaRow).where(MediaRow.post == post.id)).all()
            author = session.get_one(AuthorRow, (post.platform, post.author_id))
            found[post.post_id] = {
                "author": author.username,
                "caption": post.caption,
                "hashtags": set(tags),
                "images": len(images),
                "likes": post.like_count,
                "platform": post.platform,
                "taken": f"{post.taken_at:%Y-%m-%d}",
            }
        return found


def test_a_plain_folder(settings: Settings, folder: Path) -> None:
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    report = take(settings, folder, "mine", plain=True)
    assert (report.posts, report.images, report.problems) == (4, 4, [])
    assert report.passed_over == {"other files": 1}
    posts = stored(settings)
    assert sorted(map(sorted, (post["hashtags"] for post in posts.values()))) == [
        [],
        [],
        ["big", "dogs"],
        ["street_cats"],
    ]
    assert len({post["author"] for post in posts.values()}) == 4
    again = take(settings, folder, "mine", plain=True)
    assert (again.posts, again.known) == (0, 4)


def test_a_csv_with_columns_of_other_names(settings: Settings, folder: Path) -> None:
    rows = table(
        folder,
        "name;who;when;text;tags;n\n"
        'a.jpg;ana;2026-01-31 12:00;"A #red; day";"cap, Hat";12\n'
        "b.png;;;;;\n",
        **columns_of(
            ["file=name", "author=who", "time=when", "caption=text", "hashtags=tags", "likes=n"]
        ),
    )
    report = take(settings, folder, "mine", table=rows)
    assert (report.posts, report.problems) == (2, [])
    first, second = sorted(stored(settings).values(), key=lambda post: post["author"] != "ana")
    assert first == {
        "author": "ana",
        "caption": "A #red; day",
        "hashtags": {"cap", "hat", "red"},
        "images": 1,
        "likes": 12,
        "platform": "files",
        "taken": "2026-01-31",
    }
    assert (second["caption"], second["hashtags"], second["likes"]) == ("", set(), None)


def test_rows_of_one_id_are_one_post(settings: Settings, folder: Path) -> None:
    lines = [
        {
            "file": "a.jpg",
            "id": "p1",
            "author": "ana",
            "hashtags": ["#Cap"],
            "platform": "elsewhere",
        },
        {"file": "b.png", "id": "p1", "author": "ana", "platform": "elsewhere"},
        {"file": "street cats/c.jpg", "id": "p2", "author": "bo", "time": 1700000000},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    report = take(settings, folder, "mine", table=table(folder, text, "posts.jsonl"))
    assert (report.posts, report.images) == (2, 3)
    posts = stored(settings)
    assert (posts["p1"]["images"], posts["p1"]["hashtags"]) == (2, {"cap"})
    assert (posts["p2"]["taken"], posts["p1"]["platform"]) == ("2023-11-14", "elsewhere")


def test_a_bad_row_is_one_line_and_the_others_come_in(settings: Settings, folder: Path) -> None:
    text = "file,id,time\na.jpg,,\n../secret.jpg,,\n,,\nabsent.jpg,x,\nb.png,a b,\nb.png,,noon\n"
    report: ImportReport = take(settings, folder, "mine", table=table(folder, text))
    assert report.posts == 1
    told = [why for _, why in report.problems]
    assert [line.partition(":")[0] for line in told[:4]] == ["row 2", "row 3", "row 4", "row 5"]
    assert len(told) == 5


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("posts.csv", "name\na.jpg\n", "no column 'file'; there are name"),
        ("posts.jsonl", '{"file": "a.jpg"}\nno\n', "posts.jsonl:2: not JSON"),
        ("posts.csv", 'file\n"a.jpg\n', "unexpected end"),
    ],
)
def test_a_table_that_is_none(
    settings: Settings, folder: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        take(settings, folder, "mine", table=table(folder, text, name))


def test_columns_are_named_by_field() -> None:
    assert columns_of(["file=name", "author=a=b"]) == {"file": "name", "author": "a=b"}
    for wrong in ("file", "file=", "fil=name"):
        with pytest.raises(UsageError, match="FIELD=COLUMN"):
            columns_of([wrong])
