"""Folders of other tools and our own exports come in, once; hostile files become lines."""

from __future__ import annotations

import json
import lzma
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlmodel import select

from bot.config import Settings
from bot.core.errors import NothingToDo, UsageError
from bot.dataset.export.fields import DEFAULT
from bot.dataset.export.folder import ExportOptions, export
from bot.dataset.importing.exported import exported as exported_line
from bot.dataset.importing.folder import take
from bot.flow.forget import forget, forget_post
from bot.platforms.instagram import sidecars
from bot.service.app import opened
from bot.sidecars import files
from bot.sidecars.sidecar import merged
from bot.verbs import datasets
from storage.queries import Query
from storage.tables import AuthorRow, BlobRow, MediaRow, PostHashtag, PostRow, PostTrack
from tests.databases import NOW
from tests.datasets import picture, put, settings_at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    return path


def gallery(folder: Path, post: str = "1001", num: int = 1, **changes: Any) -> dict[str, Any]:
    """What gallery-dl writes: FILE.jpg, and FILE.jpg.json beside it."""
    data: dict[str, Any] = {
        "category": "instagram",
        "subcategory": "tagged",
        "post_id": post,
        "post_shortcode": "Cabc",
        "post_url": "https://www.instagram.com/p/Cabc/",
        "owner_id": "77",
        "username": "ann",
        "fullname": "Ann A.",
        "description": "my #Hoodie by @maker",
        "tags": ["#Hoodie"],
        "post_date": "2026-01-31 12:00:00",
        "date": "2026-01-31 12:00:01",
        "likes": 7,
        "media_id": f"{post}{num}",
        "num": num,
        "display_url": f"https://cdn/{post}/{num}.jpg",
        "video_url": None,
        "width": 64,
        "height": 48,
        "location_id": "9",
        "location_name": "Beach",
        "tagged_users": [{"id": "88", "username": "cy", "full_name": "Cy"}],
        "extension": "jpg",
    }
    data |= changes
    path = folder / f"{post}_{num}.jpg"
    path.write_bytes(picture(int(post) + num))
    path.with_name(path.name + ".json").write_text(json.dumps(data))
    return data


def loader(folder: Path, post: str = "2001", *, xz: bool = True, **changes: Any) -> Path:
    """What instaloader writes: DATE_UTC.json.xz, DATE_UTC.jpg, DATE_UTC.txt."""
    node: dict[str, Any] = {
        "__typename": "GraphImage",
        "id": post,
        "shortcode": "Cdef",
        "taken_at_timestamp": 1769860800,
        "owner": {"id": "99", "username": "bob", "full_name": "Bob"},
        "edge_media_to_caption": {"edges": [{"node": {"text": "a #hoodie"}}]},
        "edge_media_preview_like": {"count": 3},
        "edge_media_to_parent_comment": {"count": 2},
        "edge_media_to_tagged_user": {"edges": [{"node": {"user": {"username": "cy"}}}]},
        "display_url": "https://cdn/x.jpg",
        "is_video": False,
        "location": {"id": 5, "name": "Pier", "lat": 1.5, "lng": 2.5},
    }
    node |= changes
    data = {"node": node, "instaloader": {"version": "4.14", "node_type": "Post"}}
    base = folder / f"2026-01-31_12-00-00_UTC_{post}"
    if xz:
        base.with_name(base.name + ".json.xz").write_bytes(lzma.compress(json.dumps(data).encode()))
    else:
        base.with_name(base.name + ".json").write_text(json.dumps(data))
    return base


def rows(settings: Settings, table: type[Any]) -> list[Any]:
    with opened(settings) as app, app.database.read() as session:
        return list(session.exec(select(table)).all())


# --- what other tools wrote ----------------------------------------------------------------------


def test_gallery_dl_with_an_album(settings: Settings, folder: Path) -> None:
    gallery(folder, num=1)
    gallery(folder, num=3, tagged_users=[])
    video = gallery(folder, "1002", video_url="https://cdn/v.mp4")
    (folder / "1002_1.jpg").rename(folder / "1002_1.mp4")  # a film: it has no picture to take
    (folder / "1002_1.jpg.json").rename(folder / "1002_1.mp4.json")
    assert video
    report = take(settings, folder, "mine")
    assert (report.posts, report.images, report.problems) == (1, 2, [])
    (post,), media = rows(settings, PostRow), rows(settings, MediaRow)
    assert (post.platform, post.post_id, post.author_id) == ("instagram", "1001", "77")
    assert post.taken_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert (post.url, post.like_count) == ("https://www.instagram.com/p/Cabc/", 7)
    assert post.place == {"name": "Beach", "place_id": "9", "lat": None, "lng": None}
    assert sorted(post.raw["gallery-dl"]) == ["0", "2"]  # everything the sidecars said
    assert post.raw["gallery-dl"]["0"]["fullname"] == "Ann A."
    assert [(m.index, m.state, m.width, m.height) for m in media] == [
        (0, "stored", 64, 48),
        (2, "stored", 64, 48),
    ]
    assert [row.hashtag for row in rows(settings, PostHashtag)] == ["hoodie"]
    (author,) = rows(settings, AuthorRow)
    assert (author.username, author.full_name) == ("ann", "Ann A.")
    with opened(settings) as app:
        assert app.originals.get(media[0].sha256) == (folder / "1001_1.jpg").read_bytes()
    assert datasets.show(settings, "mine")["images"] == 2


@pytest.mark.parametrize("xz", [True, False])
def test_instaloader(settings: Settings, folder: Path, xz: bool) -> None:
    base = loader(folder, xz=xz)
    base.with_name(base.name + ".jpg").write_bytes(picture(1))
    album = loader(folder, "2002", xz=xz, __typename="GraphSidecar", caption="a #hat",
                   edge_media_to_caption={"edges": []},
                   edge_sidecar_to_children={"edges": [{"node": {}}, {"node": {"is_video": True}}]},
                   )  # fmt: skip
    for number in (1, 2):
        album.with_name(f"{album.name}_{number}.jpg").write_bytes(picture(number + 1))
    (folder / "ann_123.json").write_text(
        json.dumps({"node": {}, "instaloader": {"node_type": "Profile"}})
    )
    report = take(settings, folder, "imported")
    assert (report.posts, report.images, report.problems) == (2, 3, [])
    by_id = {row.post_id: row for row in rows(settings, PostRow)}
    first = by_id["2001"]
    assert first.taken_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert (first.caption, first.like_count, first.comment_count) == ("a #hoodie", 3, 2)
    assert first.place == {"name": "Pier", "place_id": "5", "lat": 1.5, "lng": 2.5}
    assert by_id["2002"].caption == "a #hat"
    kinds = [(m.index, m.kind) for m in rows(settings, MediaRow) if m.post == by_id["2002"].id]
    assert kinds == [(0, "photo"), (1, "cover")]


def renamed(folder: Path, old: str, new: str) -> None:
    (folder / old).rename(folder / new)


def test_sidecars_whose_name_replaces_the_suffix(settings: Settings, folder: Path) -> None:
    """gallery-dl's `extension-format`, and names with dots and capitals."""
    gallery(folder, num=1)
    gallery(folder, num=2)
    gallery(folder, "1002", extension="JPG")
    for name in ("1001_1", "1001_2", "1002_1"):
        renamed(folder, f"{name}.jpg.json", f"a.b.{name}.json")
        renamed(folder, f"{name}.jpg", f"a.b.{name}.{'JPG' if name == '1002_1' else 'jpg'}")
    report = take(settings, folder, "mine")
    assert (report.posts, report.images, report.problems) == (2, 3, [])
    assert [row.index for row in rows(settings, MediaRow)] == [0, 1, 0]
    assert report.passed_over == {}


@pytest.mark.parametrize(
    "changes",
    [{"post_date": None}, {"likes": None, "username": None, "location_name": None}],
)
def test_a_null_beside_a_valid_field_is_no_error(
    settings: Settings, folder: Path, changes: dict[str, Any]
) -> None:
    written = gallery(folder, **changes) | {"num": None}  # one image has no number
    (folder / "1001_1.jpg.json").write_text(json.dumps(written))
    report = take(settings, folder, "mine")
    assert (report.posts, report.images, report.problems) == (1, 1, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"taken_at_timestamp": None, "date": 1769860800},
        {"edge_media_to_parent_comment": {"count": None}, "comments": 2},
        {"edge_media_to_parent_comment": None, "comments": 2},
        {"owner": None, "iphone_struct": {"user": {"pk": 99, "username": "bob"}}},
    ],
)
def test_a_null_of_instaloader(settings: Settings, folder: Path, changes: dict[str, Any]) -> None:
    base = loader(folder, **changes)
    base.with_name(base.name + ".jpg").write_bytes(picture(1))
    assert take(settings, folder, "mine").problems == []
    (post,) = rows(settings, PostRow)
    assert (post.author_id, post.comment_count) == ("99", 2)
    assert post.taken_at == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_hidden_counts_are_unknown(settings: Settings, folder: Path) -> None:
    hidden = {"like_and_view_counts_disabled": True}
    base = loader(folder, iphone_struct=hidden, comments_disabled=True)
    base.with_name(base.name + ".jpg").write_bytes(picture(1))
    other = loader(folder, "2002", edge_media_preview_like={"count": -1})
    other.with_name(other.name + ".jpg").write_bytes(picture(2))
    take(settings, folder, "mine")
    counts = [(row.like_count, row.comment_count) for row in rows(settings, PostRow)]
    assert counts == [(None, None), (None, 2)]


def test_nothing_imported_says_why(settings: Settings, folder: Path) -> None:
    with pytest.raises(NothingToDo, match="the folder is empty"):
        take(settings, folder, "mine")
    gallery(folder, "1001")
    (folder / "1001_1.jpg.json").rename(folder / "9.mp4.json")
    (folder / "notes.md").write_text("x")
    profile = {"node": {}, "instaloader": {"node_type": "Profile"}}
    (folder / "ann.json").write_text(json.dumps(profile))
    with pytest.raises(NothingToDo) as told:
        take(settings, folder, "mine")
    for kind in (
        "1 images without a sidecar (FILE.jpg needs",
        "1 sidecars without an image beside them",
        "1 files of instaloader that describe no post",
        "1 other files",
    ):
        assert kind in str(told.value)
    (folder / "bad.jpg.json").write_text("{")
    report = take(settings, folder, "mine")
    assert report.nothing
    assert report.why().endswith("1 files that cannot be used")


def test_a_mark_before_json_and_captions(settings: Settings, folder: Path) -> None:
    base = loader(folder, edge_media_to_caption={"edges": []}, xz=False)
    base.with_name(base.name + ".jpg").write_bytes(picture(1))
    mark = b"\xef\xbb\xbf"
    sidecar = base.with_name(base.name + ".json")
    sidecar.write_bytes(mark + sidecar.read_bytes())
    base.with_name(base.name + ".txt").write_bytes(mark + b"a #file")
    assert take(settings, folder, "mine").problems == []
    assert [row.caption for row in rows(settings, PostRow)] == ["a #file"]


def test_a_caption_in_a_file_of_its_own(settings: Settings, folder: Path) -> None:
    base = loader(folder, edge_media_to_caption={"edges": []})
    base.with_name(base.name + ".jpg").write_bytes(picture(1))
    base.with_name(base.name + ".txt").write_text("from the #file\n", encoding="utf-8")
    take(settings, folder, "imported")
    assert [row.hashtag for row in rows(settings, PostHashtag)] == ["file"]


def test_twice_is_once(settings: Settings, folder: Path) -> None:
    gallery(folder, num=1)
    base = loader(folder, "1001", owner={"id": "77"})  # the same post by the other tool
    base.with_name(base.name + ".jpg").write_bytes(picture(1))
    gallery(folder, "1005")
    first = take(settings, folder, "mine")
    assert (first.posts, first.images) == (2, 2)
    tables = (PostRow, MediaRow, PostTrack, BlobRow)
    before = {table: len(rows(settings, table)) for table in tables}
    again = take(settings, folder, "mine")
    assert (again.posts, again.images, again.known, again.problems) == (0, 0, 2, [])
    gallery(folder, num=2)  # the album got another picture meanwhile
    third = take(settings, folder, "mine")
    assert (third.posts, third.images, third.known) == (0, 1, 2)
    after = {table: len(rows(settings, table)) for table in before}
    assert after == before | {MediaRow: before[MediaRow] + 1, BlobRow: before[BlobRow] + 1}
    assert {row.refs for row in rows(settings, BlobRow)} == {1}


def test_what_is_known_of_a_person_is_newer_than_a_sidecar(
    settings: Settings, folder: Path
) -> None:
    with opened(settings) as app:
        put(app, "p1", "77")
    gallery(folder)
    base = loader(folder, owner={"id": "99"})
    base.with_name(base.name + ".jpg").write_bytes(picture(1))
    take(settings, folder, "imported")
    people = {row.user_id: row.username for row in rows(settings, AuthorRow)}
    assert people == {"77": "name-77", "99": "99"}


def test_people_who_opted_out_stay_out(settings: Settings, folder: Path) -> None:
    gallery(folder)
    gallery(folder, "1002", owner_id="78", username="cy")
    with opened(settings) as app, app.database.write() as session:
        app.optouts.add(session, "instagram", "77", NOW)
    report = take(settings, folder, "imported")
    assert (report.posts, report.kept_out) == (1, 1)
    assert [row.author_id for row in rows(settings, PostRow)] == ["78"]
    assert len(rows(settings, BlobRow)) == 1
    with opened(settings) as app:
        assert len([p for p in app.originals.root.rglob("*") if p.is_file()]) == 1


# --- our own exports -----------------------------------------------------------------------------


def exported(settings: Settings, out: Path, fields: str = DEFAULT) -> Path:
    with opened(settings) as app:
        for n in range(6):
            put(app, f"p{n}", f"u{n % 3}", ("hoodie", "red"), caption="a #hoodie")
    datasets.create(settings, "h", Query(any_hashtags=("hoodie",)), replace=False)
    export(settings, "h", ExportOptions("imagefolder", out, fields=fields))
    return out


def test_an_exported_snapshot_comes_back(
    settings: Settings, tmp_path: Path, empty_data: Path
) -> None:
    out = exported(settings, tmp_path / "out")
    here = take(settings, out, "back")
    assert (here.posts, here.images, here.known, here.problems) == (0, 0, 6, [])
    elsewhere = settings_at(tmp_path / "elsewhere")
    shutil.copytree(empty_data, elsewhere.data.dir)
    there = take(elsewhere, out, "back")
    assert (there.posts, there.images, there.problems) == (6, 6, [])
    assert take(elsewhere, out, "back").posts == 0
    before = {(row.post_id, row.url, row.taken_at) for row in rows(settings, PostRow)}
    assert {(row.post_id, row.url, row.taken_at) for row in rows(elsewhere, PostRow)} == before
    assert {m.sha256 for m in rows(elsewhere, MediaRow)} == {
        m.sha256 for m in rows(settings, MediaRow)
    }
    assert all(row.username.startswith("anon-") for row in rows(elsewhere, AuthorRow))
    assert len(rows(elsewhere, AuthorRow)) == 3
    assert {row.hashtag for row in rows(elsewhere, PostHashtag)} == {"hoodie", "red"}


def test_a_pseudonym_is_no_way_back_in(settings: Settings, tmp_path: Path) -> None:
    """Who was forgotten here does not return by an export from before."""
    out = exported(settings, tmp_path / "out")
    with opened(settings) as app:
        forget(app, "instagram", "u1")
    report = take(settings, out, "back")
    assert (report.posts, report.kept_out, report.known) == (0, 2, 4)
    assert len(rows(settings, PostRow)) == 4


def test_a_post_that_was_forgotten_stays_out_and_the_rest_comes_back(
    settings: Settings, tmp_path: Path
) -> None:
    out = exported(settings, tmp_path / "out")
    with opened(settings) as app:
        forget_post(app, "instagram", "p1")
    report = take(settings, out, "back")
    assert (report.posts, report.kept_out, report.known) == (0, 1, 5)
    assert "p1" not in {row.post_id for row in rows(settings, PostRow)}


@pytest.mark.parametrize("fields", ["default", "default,user_id,username"])
def test_no_way_back_when_the_dataset_of_the_export_is_gone(
    settings: Settings, tmp_path: Path, fields: str
) -> None:
    """Its key is gone with it: nobody can tell any more whose pseudonyms those are."""
    out = exported(settings, tmp_path / "out", fields)
    with opened(settings) as app:
        forget(app, "instagram", "u1")
    datasets.remove(settings, "h", frozen=True)
    report = take(settings, out, "back")
    assert (report.posts, report.kept_out, report.known, report.problems) == (0, 2, 4, [])
    people = {row.user_id for row in rows(settings, AuthorRow)}
    assert people == {"u0", "u2"}


def test_a_changed_file_is_not_what_was_exported(settings: Settings, tmp_path: Path) -> None:
    out = exported(settings, tmp_path / "out")
    elsewhere = settings_at(tmp_path / "elsewhere")
    victim = next(iter(sorted((out / "data").rglob("*.jpg"))))
    victim.write_bytes(picture(99))
    report = take(elsewhere, out, "back")
    assert report.posts == 5
    ((where, why),) = report.problems
    assert where.endswith(victim.name)
    assert why == "not the file that was exported"


# --- hostile folders -----------------------------------------------------------------------------

HOSTILE: dict[str, tuple[str, bytes, str]] = {
    "nested": ("a.jpg.json", b'{"category":' + b"[" * 5000 + b"]" * 5000 + b"}", "too deeply"),
    "nested enough for us": ("a.json", b'{"a":' * 80 + b"1" + b"}" * 80, "too deeply"),
    "no JSON": ("a.jpg.json", b"\xff\xfe{}", "not JSON"),
    "a number of 5000 digits": ("a.jpg.json", b'{"n": ' + b"9" * 5000 + b"}", "not JSON"),
    "a list": ("a.jpg.json", b"[1]", "no JSON object"),
    "too large": ("a.jpg.json", b" " * (files.MOST_JSON + 1), "larger than"),
    "a bomb": ("a.json.xz", lzma.compress(b" " * 50_000_000, preset=0), "when unpacked"),
    "no xz": ("a.json.xz", b"PK", "not xz"),
    "of nobody": ("a.json", b'{"x": 1}', "not a sidecar of gallery-dl or instaloader"),
    "another site": ("a.json", b'{"category": "x\\u001b[31m", "post_id": 1}', "only instagram"),
    "metadata of another tool": ("metadata.jsonl", b'{"file_name": "a.jpg"}', "default fields"),
    "a long line": ("metadata.jsonl", b"x" * 1_000_001, "too long"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_sidecar_is_one_line_and_the_others_come_in(
    settings: Settings, folder: Path, name: str
) -> None:
    file, data, why = HOSTILE[name]
    (folder / file).write_bytes(data)
    gallery(folder)
    report = take(settings, folder, "imported")
    assert report.posts == 1
    ((where, said),) = report.problems
    assert where == file
    assert why in said
    assert said.isprintable()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"post_id": {"a": 1}}, "no post_id"),
        ({"post_id": 10**400}, "no post_id"),
        ({"post_id": "../1"}, "no post_id"),
        ({"owner_id": None}, "no owner_id"),
        ({"post_date": "yesterday"}, "no time"),
        ({"post_date": 1e300}, "no time"),
        ({"num": 10**9}, "no image with this number"),
        ({"num": True}, "no image with this number"),
    ],
)
def test_values_without_which_there_is_no_post(
    settings: Settings, folder: Path, change: dict[str, Any], why: str
) -> None:
    gallery(folder, **change)
    ((_, said),) = take(settings, folder, "imported").problems
    assert why in said
    assert rows(settings, PostRow) == []


def test_values_one_can_do_without(settings: Settings, folder: Path) -> None:
    gallery(folder, likes=10**30, tagged_users={"a": 1}, description=["x"], location_name=5,
            fullname="a\0b\ud800", post_url="javascript:alert(1)", display_url=7)  # fmt: skip
    report = take(settings, folder, "imported")
    assert (report.posts, report.problems) == (1, [])
    (post,) = rows(settings, PostRow)
    assert (post.like_count, post.url, post.caption) == (2**63 - 1, "", "")


def image_problem(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "text":
        path.write_text("no image", encoding="utf-8")
    elif kind == "bomb":
        path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\x02\0\0\0" + bytes(40))
    elif kind == "cut":
        path.write_bytes(picture(1)[:300])
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()


@pytest.mark.parametrize("kind", ["gone", "text", "bomb", "cut", "link", "pipe", "folder"])
def test_a_hostile_image_is_one_line(settings: Settings, folder: Path, kind: str) -> None:
    gallery(folder)
    gallery(folder, "1002")
    image_problem(folder / "1001_1.jpg", kind)
    report = take(settings, folder, "imported")
    assert (report.posts, report.images) == (1, 1)
    ((where, _),) = report.problems
    assert where == "1001_1.jpg"
    assert [row.post_id for row in rows(settings, PostRow)] == ["1002"]


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/hostname", "a\0b", "", 5, "link/x.jpg"])
def test_names_that_lead_out_of_the_folder(
    settings: Settings, folder: Path, tmp_path: Path, name: Any
) -> None:
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    (tmp_path / "x.jpg").write_bytes(picture(1))
    (folder / "link").symlink_to(tmp_path)
    line = {
        "platform": "instagram", "post_id": "1", "index": 0, "author": "anon-1",
        "taken_at": "2026-01-01T00:00:00+00:00", "file_name": name,
    }  # fmt: skip
    (folder / "metadata.jsonl").write_text(json.dumps(line))
    report = take(settings, folder, "imported")
    assert report.posts == 0
    ((_, why),) = report.problems
    assert "folder" in why or "names no file" in why
    assert rows(settings, BlobRow) == []


@pytest.mark.parametrize("far", ["NaN", "Infinity", "-Infinity", "1e999", "181", "9" * 400])
def test_a_place_that_is_nowhere_has_no_coordinates(
    settings: Settings, folder: Path, far: str
) -> None:
    """JSON of other tools may hold what is no number; as a text of ours as well."""
    for post, value in (("1", far), ("2", json.dumps(far))):
        (folder / f"{post}.jpg").write_bytes(picture(int(post)))
        line = (
            f'{{"platform": "instagram", "post_id": "{post}", "index": 0, "author": "anon-1", '
            f'"taken_at": "2026-01-01T00:00:00+00:00", "file_name": "{post}.jpg", '
            f'"place_name": "Beach", "place_lat": {value}, "place_lng": 10.5}}\n'
        )
        with (folder / "metadata.jsonl").open("a", encoding="utf-8") as file:
            file.write(line)
    report = take(settings, folder, "imported")
    assert (report.posts, report.problems) == (2, [])
    for row in rows(settings, PostRow):
        assert (row.place["name"], row.place["lat"], row.place["lng"]) == ("Beach", None, 10.5)


def test_file_names_that_cannot_be_printed(settings: Settings, folder: Path) -> None:
    bad = os.fsencode(folder) + b"/\x1b[31m\xff\n.json"
    with open(bad, "wb") as file:  # noqa: PTH123 - Path knows no bytes
        file.write(b"{")
    ((where, _),) = take(settings, folder, "imported").problems
    assert where.isprintable()


def test_folders_that_hold_nothing(settings: Settings, folder: Path) -> None:
    with pytest.raises(NothingToDo):
        take(settings, folder, "imported")
    with pytest.raises(UsageError, match="not a folder"):
        take(settings, folder / "none", "imported")


_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_ANY = _LEAF | st.lists(_LEAF, max_size=2) | st.dictionaries(st.text(max_size=4), _LEAF, max_size=2)
_KEYS = [
    "author",
    "date",
    "description",
    "display_url",
    "edge_media_to_caption",
    "edge_sidecar_to_children",
    "file_name",
    "hashtags",
    "id",
    "iphone_struct",
    "index",
    "likes",
    "location",
    "location_name",
    "num",
    "owner",
    "owner_id",
    "place_lat",
    "platform",
    "post_date",
    "post_id",
    "tagged_users",
    "taken_at",
    "taken_at_timestamp",
    "username",
    "video_url",
]


@hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.sampled_from(_KEYS), _ANY), good=st.booleans())
def test_whatever_a_sidecar_says_is_a_post_or_unusable(
    values: dict[str, Any], good: bool, folder: Path
) -> None:
    base: dict[str, Any] = {"category": "instagram", "post_id": 1, "owner_id": 2, "num": 1}
    base |= {"post_date": "2026-01-01", "id": 5, "taken_at_timestamp": 5, "owner": {"id": 7}}
    data = (base if good else {}) | values
    attempts: list[Callable[[], Any]] = [
        lambda: sidecars.gallery_dl(folder / "a.jpg.json", data),
        lambda: sidecars.instaloader(
            folder / "a.json", {"instaloader": {"node_type": "Post"}, "node": data}
        ),
        lambda: exported_line(folder, folder / "metadata.jsonl", data),
    ]
    for attempt in attempts:
        try:
            part = attempt()
        except files.Unusable as error:
            assert str(error)
        else:
            assert part.post.taken_at.tzinfo is UTC
            assert merged([part, part]).post.post_id == part.post.post_id
