"""Snapshots: frozen, rebuilt bit for bit while the stream grows, silent about the forgotten."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlmodel import select

from bot.config import Settings
from bot.core.errors import NothingToDo, StorageError, UsageError
from bot.dataset import snapshots as verbs
from bot.dataset.splits import ratios, split
from bot.flow.forget import forget
from bot.service.app import opened
from bot.verbs import datasets
from storage import snapshots
from storage.datasets import KEY, FoundImage
from storage.queries import Query
from storage.tables import Control, MediaRow, PostRow, Snapshot, SnapshotItem
from tests.databases import NOW
from tests.datasets import fit, judge, mask, picture, put, settings_at

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
NAME = "hoodies"


def fill(settings: Settings, count: int = 12, first: int = 0) -> list[int]:
    with opened(settings) as app:
        return [put(app, f"p{n}", f"u{n % 6}")[0] for n in range(first, first + count)]


def make(settings: Settings, name: str = "", **options: Any) -> dict[str, Any]:
    if not options.pop("known", False):
        datasets.create(settings, NAME, Query(any_hashtags=("hoodie",)), replace=True)
    return verbs.freeze(
        settings, NAME, name, options.pop("shares", SHARES), **{"seed": 0, **options}
    )


def items(settings: Settings, snapshot: str) -> list[SnapshotItem]:
    with opened(settings) as app:
        row = verbs.wanted(app, f"{NAME}/{snapshot}")
        return list(snapshots.items(app.database, row.id or 0))


def drop(settings: Settings, user: str, media: list[int]) -> None:
    """As forgetting a person does it."""
    with opened(settings) as app:
        with app.database.write() as session:
            touched = snapshots.blank(session, media)
        assert touched
        assert all(dataset == NAME for dataset, _ in touched)
        forget(app, "instagram", user)


def test_rebuilt_bit_for_bit_while_the_stream_grows(tmp_path: Path, database_url: str) -> None:
    settings = settings_at(tmp_path, database_url)
    media = fill(settings)
    with opened(settings) as app:
        fit(app, 1, "hoodie", 0.75)
        judge(app, media[0])
        mask(app, media[0])
    made = make(settings)
    assert (made["snapshot"], made["items"]) == ("1", 12)
    assert sum(made["counts"].values()) == 12
    assert made["models"] == {"curation": ["c1"], "labels": ["net-1"], "mask": ["seg-1"]}
    first = tmp_path / "first.jsonl"
    assert verbs.rebuild(settings, NAME, first).sound
    fill(settings, 8, first=12)
    with opened(settings) as app:
        fit(app, 1, "hoodie", 0.01)  # judged anew
        judge(app, media[1], "blur")
    again = tmp_path / "again.jsonl"
    checked = verbs.rebuild(settings, f"{NAME}/1", again)
    assert first.read_bytes() == again.read_bytes()
    assert hashlib.sha256(again.read_bytes()).hexdigest() == made["manifest_sha256"]
    assert (checked.forgotten, checked.sound) == (0, True)
    head, *lines = [json.loads(line) for line in again.read_text().splitlines()]
    assert (head["dataset"], head["items"], head["seed"]) == (NAME, 12, 0)
    assert head["query"] == {"version": 1, "any_hashtags": ["hoodie"]}
    with opened(settings) as app:
        for line in lines:
            assert hashlib.sha256(app.originals.get(line["sha256"])).hexdigest() == line["sha256"]
    assert make(settings, known=True)["items"] == 19  # the newer one has the new, less the blurred


def test_the_forgotten_are_counted_and_leave_nothing(settings: Settings, tmp_path: Path) -> None:
    media = fill(settings)
    made = make(settings)
    before = {item.seq: item for item in items(settings, "1")}
    theirs = [item for item in before.values() if item.record["user_id"] == "u2"]
    assert len(theirs) == 2
    drop(settings, "u2", [one for one in media if one in {item.media for item in theirs}])
    out = tmp_path / "manifest.jsonl"
    checked = verbs.rebuild(settings, NAME, out)
    assert (checked.forgotten, checked.sound, checked.missing) == (2, True, [])
    assert checked.rebuilt_sha256 != made["manifest_sha256"]
    text = out.read_text()
    with opened(settings) as app, app.database.read() as session:
        left = "".join(row.model_dump_json() for row in session.exec(select(SnapshotItem)))
        left += "".join(row.model_dump_json() for row in session.exec(select(Snapshot)))
    for item in theirs:
        record = item.record
        for trace in (item.sha256, record["author"], record["url"], record["salt"], "name-u2"):
            assert trace not in left
            assert trace not in text
    assert len(text.splitlines()) == 1 + 10
    for seq, item in before.items():  # the others are what they were, line by line
        if item not in theirs:
            assert snapshots.line_of(item).decode().strip() in text
            assert seq in {one.seq for one in items(settings, "1") if one.record}


def test_a_changed_row_and_a_lost_original_are_named(settings: Settings, tmp_path: Path) -> None:
    media = fill(settings, 4)
    make(settings)
    with opened(settings) as app:
        with app.database.write() as session:
            row = session.exec(select(SnapshotItem).where(SnapshotItem.seq == 1)).one()
            row.record = row.record | {"caption": "another"}
            lost = session.get_one(MediaRow, media[2]).sha256 or ""
        app.originals.remove([lost])
        damaged = app.originals.path(items(settings, "1")[3].sha256)
        damaged.write_bytes(b"x")
    checked = verbs.verify(settings, NAME)
    assert (checked.changed, checked.missing, checked.sound) == ([1], [2, 3], False)
    with pytest.raises(StorageError, match="1 rows changed, 2 originals"):
        verbs.rebuild(settings, NAME, tmp_path / "m.jsonl")
    assert list(tmp_path.glob("*.jsonl")) == []
    with opened(settings) as app, app.database.write() as session:
        session.delete(session.exec(select(SnapshotItem).where(SnapshotItem.seq == 3)).one())
    assert 3 in verbs.verify(settings, NAME).changed


def test_opted_out_people_are_in_no_snapshot(settings: Settings) -> None:
    fill(settings)
    with opened(settings) as app, app.database.write() as session:
        snapshot_time = session.exec(select(PostRow.first_seen)).first()
        assert snapshot_time is not None
        app.optouts.add(session, "instagram", "u1", snapshot_time)
    assert make(settings)["items"] == 10


def test_names_and_empty_ones(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no dataset"):
        make(settings, known=True)
    with pytest.raises(NothingToDo, match="finds no image"):
        make(settings)
    fill(settings, 2)
    assert make(settings, "v1")["snapshot"] == "v1"
    with pytest.raises(UsageError, match="a snapshot never changes"):
        make(settings, "v1")
    assert [make(settings)["snapshot"] for _ in range(2)] == ["1", "2"]
    assert [row["snapshot"] for row in verbs.snapshot_rows(settings)] == ["v1", "1", "2"]
    with pytest.raises(UsageError, match=r"hoodies/v2.*did you mean"):
        verbs.verify(settings, f"{NAME}/v2")
    with pytest.raises(UsageError, match="3 snapshots"):
        datasets.remove(settings, NAME, frozen=False)
    assert datasets.remove(settings, NAME, frozen=True) == 3
    with pytest.raises(UsageError, match="no snapshot"):
        verbs.verify(settings, NAME)


def test_an_interrupted_snapshot_does_not_count(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings, 3)
    finish = verbs._finish

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "_finish", killed)
    with pytest.raises(KeyboardInterrupt):
        make(settings)
    assert verbs.snapshot_rows(settings) == []
    monkeypatch.setattr(verbs, "_finish", finish)
    make(settings)
    with opened(settings) as app, app.database.read() as session:
        assert len(session.exec(select(Snapshot)).all()) == 1
        assert len(session.exec(select(SnapshotItem)).all()) == 3


def test_somebody_forgotten_while_it_is_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings, 6)
    finish = verbs._finish

    def late(app: Any, snapshot: int, *rest: Any) -> Snapshot:
        forget(app, "instagram", "u3")
        return finish(app, snapshot, *rest)

    monkeypatch.setattr(verbs, "_finish", late)
    with pytest.raises(StorageError, match="make it again"):
        make(settings)
    assert verbs.snapshot_rows(settings) == []


def test_an_edited_caption_is_frozen_as_edited(settings: Settings) -> None:
    from dataclasses import replace

    from storage import dataset
    from tests.databases import NOW, make_post

    with opened(settings) as app:
        put(app, "p1", caption="with my phone number")
        post = make_post("p1", caption="without", hashtags=("hoodie",))
        with app.database.write() as session:
            row = session.exec(select(PostRow)).one()
            post = replace(post, author=replace(post.author, user_id=row.author_id))
            dataset.see(session, row.id or 0, post, NOW)
    make(settings)
    assert items(settings, "1")[0].record["caption"] == "without"


# --- splits --------------------------------------------------------------------------------------


def test_an_author_keeps_the_split_in_later_snapshots(settings: Settings) -> None:
    def by_author(snapshot: str) -> dict[str, set[str]]:
        found = defaultdict(set)
        for item in items(settings, snapshot):
            found[item.record["user_id"]].add(item.split)
        return found

    with opened(settings) as app:
        with app.database.write() as session:  # by chance, a split may have nobody
            session.add(Control(key=f"{KEY}{NAME}", value="11" * 32, changed=NOW))
        for n in range(24):
            put(app, f"p{n}", f"u{n}")
    make(settings)
    first = by_author("1")
    assert all(len(splits) == 1 for splits in first.values())
    assert {next(iter(s)) for s in first.values()} == {"train", "val", "test"}
    with opened(settings) as app:  # people who come later, and one who links two others
        for n in range(24, 60):
            put(app, f"p{n}", f"u{n % 36}")
        test_one, train_one = (
            next(user for user, splits in first.items() if splits == {name})
            for name in ("test", "train")
        )
        (source,) = put(app, "link0", test_one, images=[picture(5000)])
        (copy,) = put(app, "link1", train_one, images=[picture(5001)])
        judge(app, copy, original=source)
    made = make(settings, shares={"train": 0.1, "val": 0.8, "test": 0.1})
    second = by_author("2")
    assert len(second) == 36
    assert all(second[user] == splits for user, splits in first.items())
    assert made["left_out"] == 1  # it would have been trained on and tested with
    other_seed = make(settings, seed=1)
    assert {u: s for u, s in by_author(other_seed["snapshot"]).items() if u in first} != first


@st.composite
def streams(draw: st.DrawFn) -> list[FoundImage]:
    rows = draw(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12), st.integers(0, 12)), max_size=40)
    )
    return [FoundImage(n, f"sha{c}", "instagram", f"u{a}", g) for n, (a, g, c) in enumerate(rows)]


_past = st.dictionaries(
    st.tuples(st.just("instagram"), st.integers(0, 8).map("u{}".format)),
    st.sampled_from(["train", "val", "test"]),
)


@hypothesis_settings(max_examples=60)
@given(streams(), _past, st.integers(0, 3))
def test_nothing_leaks(
    images: list[FoundImage], past: dict[tuple[str, str], str], seed: int
) -> None:
    made = split(images, SHARES, b"key", seed, past)
    where: dict[Any, set[str]] = defaultdict(set)
    for image, name in zip(images, made.of_image, strict=True):
        if name is not None:
            for shared in (image.author, image.group, image.sha256):
                where[type(shared), shared].add(name)
            assert past.get(("instagram", image.author), name) == name
    assert all(len(splits) == 1 for splits in where.values())
    assert made.left_out == made.of_image.count(None)
    if not past:
        assert made.left_out == 0
        shuffled = split(list(reversed(images)), SHARES, b"key", seed, past)
        assert shuffled.of_image == list(reversed(made.of_image))


def test_shares_are_kept_about() -> None:
    people = [FoundImage(n, f"s{n}", "instagram", f"u{n}", n) for n in range(4000)]
    made = split(people, ratios("80/10/10"), b"key", 0, {})
    share = {name: made.of_image.count(name) / 4000 for name in SHARES}
    assert share["train"] == pytest.approx(0.8, abs=0.03)
    assert share["test"] == pytest.approx(0.1, abs=0.02)
    assert split(people, ratios("80/10/10"), b"other", 0, {}).of_image != made.of_image
    only = split(people, ratios("1/0/0"), b"key", 0, {("instagram", "u1"): "test"})
    assert set(only.of_image) == {"train"}


@pytest.mark.parametrize("text", ["", "80/20", "80/10/-10", "0/0/0", "a/b/c", "nan/1/1", "inf/1/1"])
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="as in 80/10/10"):
        ratios(text)
