"""The verbs: what stands on stdout, what on stderr, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.service.app import opened
from storage.checks import Check
from tests.command import Run
from tests.datasets import judge, put, settings_at

CONFIG = """
[data]
dir = "data"

[accounts.main]
platform = "instagram"
username = "imagebot"

[[tracks]]
account = "main"
hashtag = "hoodie"
"""


@pytest.fixture
def tagecho(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagecho: Run) -> Run:
    """In a folder with a configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    return tagecho


@pytest.mark.parametrize(
    "verb", [("search", "sea"), ("dataset", "create", "x"), ("collect", "#sunset")]
)
def test_every_verb_reads_a_day_alike(tagecho: Run, verb: tuple[str, ...]) -> None:
    code, _, err = tagecho(*verb, "--since", "2026-02-30")
    assert (code, err) == (2, '--since: "2026-02-30" is not a date such as 2026-01-31\n')


@pytest.mark.slow
def test_from_a_query_to_a_folder_and_back(tagecho: Run, tmp_path: Path) -> None:
    with opened(settings_at(tmp_path)) as app:
        for n in range(4):
            put(app, f"p{n}", f"u{n}", ("hoodie", "sale") if n else ("hoodie",), into="hoodie")

    def told(*words: str) -> Any:
        code, out, err = tagecho(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    made = told("dataset", "create", "mine", "--hashtag", "#hoodie", "--no-hashtag", "sale")
    assert (made["images"], made["query"]["no_hashtags"]) == (1, ["sale"])
    assert tagecho("dataset", "list")[1].splitlines() == [
        "hoodie  4 images of 4 posts by 4 people  snapshots: none",
        "mine  1 images of 1 posts by 1 people  snapshots: none",
    ]
    assert told("dataset", "show", "hoodie")["created"] is False
    assert told("snapshot", "create", "hoodie", "--splits", "1/0/0")["counts"]["train"] == 4
    assert tagecho("snapshot", "list")[1].startswith("hoodie/1  ")
    checked = told("snapshot", "verify", "hoodie/1")
    assert checked["sound"]
    code, out, _ = tagecho("snapshot", "rebuild", "hoodie", "--out", "manifest.jsonl")
    assert (code, out.split()[-1]) == (0, checked["manifest_sha256"])
    assert len((tmp_path / "manifest.jsonl").read_text().splitlines()) == 5
    code, out, err = tagecho("export", "hoodie", "--format", "imagefolder", "--out", "out")
    assert (code, out) == (0, f"{tmp_path / 'out'}\n")
    assert "4 images" in err
    code, out, err = tagecho("import", "out")
    assert (code, out) == (0, "0 posts, 0 images\n")
    assert "4 posts known already" in err
    assert tagecho("dataset", "remove", "hoodie")[0] == 2
    assert tagecho("dataset", "remove", "hoodie", "--snapshots")[0] == 0
    assert told("snapshot", "list") == []


@pytest.mark.slow
def test_what_curate_writes_can_be_left_out(tagecho: Run, tmp_path: Path) -> None:
    """By its present names, and those that files may still have."""
    names: dict[str, set[Check]] = {check.value: {check} for check in Check}
    names |= {"exposure": {Check.OVEREXPOSED, Check.UNDEREXPOSED}, "size": {Check.SMALL}}
    names |= {"information": {Check.LOW_INFORMATION}, "all": set(Check), "none": set()}
    with opened(settings_at(tmp_path)) as app:
        put(app, "fine")
        for check in Check:
            judge(app, put(app, check.value)[0], check)
    for name, left_out in names.items():
        words = ("dataset", "create", name, "--hashtag", "hoodie", "--leave-out", name)
        code, out, err = tagecho(*words, "--json")
        assert code == 0, err
        assert json.loads(out)["images"] == len(Check) + 1 - len(left_out), name


@pytest.mark.slow
def test_mistakes_and_their_exit_codes(tagecho: Run, tmp_path: Path) -> None:
    assert tagecho("dataset", "show", "hoodi")[0] == 2
    assert tagecho("snapshot", "create", "hoodie")[0] == 8  # nothing collected
    code, out, err = tagecho("dataset", "create", "x", "--leave-out", "blurr")
    assert (code, out) == (2, "")
    assert "leave_out: no check 'blurr'" in err
    assert tagecho("dataset", "create", "x", "--leave-out", "all", "--leave-out", "blur")[0] == 2
    assert tagecho("dataset", "create", "x", "--since", "yesterday")[0] == 2
    assert tagecho("import", "nowhere")[0] == 2
    (tmp_path / "in").mkdir()
    assert tagecho("import", "in")[0] == 8
    (tmp_path / "in" / "a.json").write_text("{")
    code, _, err = tagecho("import", "in")
    assert code == 1
    assert err.startswith("a.json: not JSON")
    with opened(settings_at(tmp_path)) as app:
        (media,) = put(app, "p1", into="hoodie")
        assert media
    assert tagecho("snapshot", "create", "hoodie")[0] == 0
    with opened(settings_at(tmp_path)) as app:
        app.originals.remove([path.name for path in app.originals.root.glob("??/??/*")])
    code, _, err = tagecho("snapshot", "verify", "hoodie")
    assert (code, "1 missing: 0" in err) == (1, True)
    assert tagecho("export", "hoodie", "--format", "coco", "--out", "out")[0] == 10
    assert not (tmp_path / "out").exists()
