"""`tagecho models pull | list | verify` of official packs: trust, pins, by hand, offline."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from filelock import FileLock

from bot.cli import main as cli
from bot.config import Settings
from bot.core.errors import ModelError, TargetGone, Unavailable, UsageError
from bot.net.fetch import Fetcher
from bot.verbs.networks import listing, verify
from bot.verbs.pull import pull
from models.base import WeightsError
from models.serving.catalogue import CATALOGUE
from models.serving.packs import (
    OFFICIAL,
    PACKS,
    SALIENCY,
    load_refiner,
    load_segmenter,
    load_upscaler,
)
from models.serving.runtime import Runtime
from models.serving.shelf import Record, Shelf, official_weights
from tests.disk import full_after
from tests.official import unpinned
from tests.weights_server import Served, serving

NAME = "realesr-general-x4v3"
FILE = "realesr-general-x4v3.pth"
DATA = bytes(range(256)) * 40
SUM = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    unpinned(monkeypatch)
    with serving() as served:
        served.files[f"/{NAME}/{FILE}"] = DATA
        yield served


def settings_of(server: Served, folder: Path, **models: Any) -> Settings:
    return Settings(data={"dir": folder}, models={"mirror": server.base, **models})


def fetched(server: Served, folder: Path, name: str = NAME, **options: Any) -> list[dict[str, Any]]:
    chosen = settings_of(server, folder, **options.pop("models", {}))
    own = urlsplit(server.base).netloc
    fetcher = Fetcher(own, attempts=2, wait=lambda seconds: None)
    options = {"environ": {}, "fetcher": fetcher} | options
    return pull(chosen, name, lambda file: lambda done, total: None, **options)


def home(folder: Path) -> Path:
    return folder / "models"


def test_the_first_download_is_trusted_and_no_other_one(server: Served, tmp_path: Path) -> None:
    (row,) = fetched(server, tmp_path)
    path = tmp_path / "models" / "official" / NAME / FILE
    assert row["path"] == str(path)
    assert (row["sha256"], row["trust"], row["fetched"]) == (SUM, "first download", True)
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert official_weights(NAME, home(tmp_path)).sha256 == SUM
    (again,) = fetched(server, tmp_path)
    assert not again["fetched"]
    assert len(server.requests) == 1
    path.unlink()
    server.files[f"/{NAME}/{FILE}"] = DATA[::-1]
    with pytest.raises(ModelError, match=f"expected {SUM}"):
        fetched(server, tmp_path)
    assert not path.exists()


def test_a_pin_on_the_command_line(server: Served, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected 0000"):
        fetched(server, tmp_path, sha256="0" * 64)
    (row,) = fetched(server, tmp_path, sha256=SUM.upper())
    assert row["trust"] == "option"
    with pytest.raises(ModelError, match="expected 0000"):
        fetched(server, tmp_path, sha256="0" * 64)
    with pytest.raises(UsageError, match="64 hexadecimal"):
        fetched(server, tmp_path, sha256="abc")


def test_the_catalogue_pins(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = CATALOGUE[NAME]
    pinned = replace(pack, files=(replace(pack.files[0], sha256=SUM, bytes=len(DATA)),))
    monkeypatch.setitem(CATALOGUE, NAME, pinned)
    with pytest.raises(UsageError, match="known to be"):
        fetched(server, tmp_path, sha256="0" * 64)
    (row,) = fetched(server, tmp_path)
    assert row["trust"] == "catalogue"
    other = replace(pack, files=(replace(pack.files[0], sha256="0" * 64),))
    monkeypatch.setitem(CATALOGUE, NAME, other)
    with pytest.raises(WeightsError, match="expected 0000"):
        official_weights(NAME, home(tmp_path))


def test_by_hand(server: Served, tmp_path: Path) -> None:
    """A file that was put there is taken note of, without a network."""
    shelf = Shelf(home(tmp_path), CATALOGUE[NAME])
    shelf.folder.mkdir(parents=True)
    (shelf.folder / FILE).write_bytes(DATA)
    with pytest.raises(WeightsError, match="models pull"):
        shelf.weights()
    (row,) = fetched(server, tmp_path, models={"offline": True})
    assert (row["sha256"], row["fetched"]) == (SUM, False)
    assert server.requests == []
    assert shelf.weights().sha256 == SUM


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"models": {"offline": True}}, r"offline = true"),
        ({"environ": {"HF_HUB_OFFLINE": "1"}}, "HF_HUB_OFFLINE"),
    ],
)
def test_offline_says_what_to_do(
    server: Served, tmp_path: Path, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        fetched(server, tmp_path, **options)
    message = str(caught.value)
    assert f"{server.base}/{NAME}/{FILE}" in message
    assert str(tmp_path / "models" / "official" / NAME / FILE) in message
    assert server.requests == []


def test_no_network_says_what_to_do(server: Served, tmp_path: Path) -> None:
    server.statuses = [503] * 9
    with pytest.raises(Unavailable, match=f"by other means, put it at .*{FILE}"):
        fetched(server, tmp_path)


def test_an_interrupted_pull_is_gone_on_with(server: Served, tmp_path: Path) -> None:
    server.cuts = [4000, 0, 0]
    with pytest.raises(Unavailable):
        fetched(server, tmp_path)
    with pytest.raises(WeightsError, match="not here"):
        official_weights(NAME, home(tmp_path))
    server.cuts.clear()
    fetched(server, tmp_path)
    assert server.requests[-1][1] == "bytes=4000-"


def test_several_files_and_the_one_that_stands_for_another(server: Served, tmp_path: Path) -> None:
    server.files["/dino-vits16/config.json"] = b"{}"
    with pytest.raises(TargetGone):
        fetched(server, tmp_path, "dino-vits16")
    server.files["/dino-vits16/pytorch_model.bin"] = DATA
    rows = fetched(server, tmp_path, "dino-vits16")
    assert [row["file"] for row in rows] == ["config.json", "pytorch_model.bin"]
    weights = official_weights("dino-vits16", home(tmp_path))
    assert weights.path.name == "pytorch_model.bin"
    (weights.path.parent / "config.json").write_bytes(b"[]")
    with pytest.raises(WeightsError, match=r"config\.json is damaged"):
        official_weights("dino-vits16", home(tmp_path))


def test_two_at_a_time(server: Served, tmp_path: Path) -> None:
    fetched(server, tmp_path)
    held = FileLock(tmp_path / "models" / "official" / NAME / ".lock")
    with held, pytest.raises(ModelError, match="another process"):
        fetched(server, tmp_path)


def test_unknown_packs(server: Served, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are realesr-general-x4v3"):
        fetched(server, tmp_path, "embedded")


def test_a_full_disk_keeps_the_manifest_and_gathers_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, CATALOGUE[NAME])
    shelf.folder.mkdir(parents=True)
    file, record = CATALOGUE[NAME].files[-1], Record(SUM, 1, "option")
    shelf.record(file, record)
    before = sorted(path.name for path in shelf.folder.iterdir())
    for _ in range(3):
        with full_after(10), pytest.raises(OSError, match="too large"):
            shelf.record(file, replace(record, trust="catalogue"))
    assert shelf.records() == {file.name: record}
    assert len(list(shelf.folder.iterdir())) <= len(before) + 1
    shelf.record(file, replace(record, trust="catalogue"))
    assert shelf.records()[file.name].trust == "catalogue"
    assert sorted(path.name for path in shelf.folder.iterdir()) == before
    assert (shelf.folder / "manifest.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_manifest(server: Served, tmp_path: Path) -> None:
    fetched(server, tmp_path)
    manifest = tmp_path / "models" / "official" / NAME / "manifest.json"
    for text in ("{", "[]", '{"a": 1}', '{"a": {"b": 1}}'):
        manifest.write_text(text)
        with pytest.raises(WeightsError, match="pull"):
            official_weights(NAME, home(tmp_path))
        with pytest.raises(ModelError, match="manifest"):
            fetched(server, tmp_path)


def test_listed_and_verified(server: Served, tmp_path: Path) -> None:
    chosen = settings_of(server, tmp_path, upscaler=NAME)
    rows = {row["name"]: row for row in listing(chosen)}
    assert set(CATALOGUE) < set(rows)
    assert (rows[NAME]["here"], rows[NAME]["in_service"]) == (False, True)
    assert not rows["superres-x4"]["in_service"]
    assert rows["sam-vit-b"]["stage"] == "refiner"
    problems = {row["name"]: row["problem"] for row in verify(chosen)}
    assert "tagecho models pull" in problems[NAME]
    assert problems["segment"] == ""
    fetched(server, tmp_path)
    row = next(row for row in listing(chosen) if row["name"] == NAME)
    assert (row["here"], row["bytes"], row["sha256"]) == (True, len(DATA), SUM)
    assert not any(row["problem"] for row in verify(chosen))
    path = tmp_path / "models" / "official" / NAME / FILE
    path.write_bytes(DATA[:-1] + b"!")
    problems = {row["name"]: row["problem"] for row in verify(chosen)}
    assert "is damaged" in problems[NAME]


def test_on_the_command_line(
    server: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    (tmp_path / "config.toml").write_text(
        f'[models]\nupscaler = "{NAME}"\nmirror = "{server.base}/"\n'
    )

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tagecho", "models", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    code, out, _ = run("verify")
    assert (code, f"FAIL {NAME}" in out) == (7, True)
    code, out, err = run("pull", NAME)
    assert code == 0
    assert out.strip().endswith(f"official/{NAME}/{FILE}")
    assert SUM in err
    code, out, _ = run("pull", NAME, "--json")
    assert json.loads(out)[0]["fetched"] is False
    code, out, _ = run("list")
    assert f"{SUM[:12]}  in service" in out
    assert "not pulled" in out
    assert run("verify")[0] == 0
    assert run("pull", "nothing")[0] == 2


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[tuple[str, Callable[[], object]]] = [
        (NAME, lambda: load_upscaler(NAME, 4, Runtime())),
        ("dino-vits16", lambda: load_segmenter("dino-vits16", Runtime())),
        ("sam-vit-b", lambda: load_refiner("sam-vit-b", Runtime())),
    ]
    for module in ("torch", "spandrel", "segment_anything"):
        monkeypatch.setitem(sys.modules, module, None)
    for entry in OFFICIAL.values():
        monkeypatch.delitem(sys.modules, entry.partition(":")[0], raising=False)
    monkeypatch.delitem(sys.modules, "models.official.pickled", raising=False)
    for name, load in loads:
        with pytest.raises(WeightsError, match=rf"{name}.*tagecho\[official\]"):
            load()


@pytest.mark.slow
def test_nothing_of_torch_is_needed_to_list_and_pull() -> None:
    code = (
        "import sys, bot.verbs.pull, bot.verbs.networks, bot.service.app; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_catalogue_is_whole() -> None:
    for name, pack in CATALOGUE.items():
        assert PACKS[name] == {pack.stage: OFFICIAL[pack.stage] if pack.torch else SALIENCY}
        assert pack.licence in {"Apache-2.0", "BSD-3-Clause", "MIT"}
        for file in pack.files:
            assert file.url.startswith("https://")
            assert file.url.endswith(f"/{file.name}")
            assert "/" not in file.name
            assert len(file.sha256) in (0, 64)
            assert file.bytes <= file.most_bytes


@pytest.mark.parametrize(
    "mirror",
    ["http://mirror.example/x", "ftp://x/y", "https://", "https://a@b/", "https://x/?a=1", "x"],
)
def test_mirrors_that_are_none(tmp_path: Path, mirror: str) -> None:
    from bot.config import load
    from bot.core.errors import ConfigError

    (tmp_path / "config.toml").write_text(f'[models]\nmirror = "{mirror}"\n')
    with pytest.raises(ConfigError, match=r"models\.mirror: must be a URL"):
        load(tmp_path / "config.toml", {})
