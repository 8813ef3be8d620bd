"""Packs by name, and weights that are what the manifest says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.base import WeightsError
from models.serving import packs
from models.serving.packs import EMBEDDED, embedded_weights, load_segmenter, load_upscaler
from models.serving.runtime import Runtime

NAMES = ("segment", "superres-x2", "superres-x4", "superres-x4-damaged")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("manifest.json", "superres-x2.onnx"):
        shutil.copy(EMBEDDED / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_network_is_whole_and_has_a_card(name: str) -> None:
    weights = embedded_weights(name)
    assert weights.version == f"{name}-{weights.sha256[:12]}"
    entry = json.loads((EMBEDDED / "manifest.json").read_text())[name]
    assert entry["bytes"] == weights.path.stat().st_size
    assert entry["licence"]
    card = (EMBEDDED / entry["card"]).read_text()
    for heading in ("Data", "Licence", "Recipe", "Figures", "Known failures"):
        assert f"## {heading}" in card, heading


def test_the_manifest_names_every_file_and_all_are_small() -> None:
    manifest = json.loads((EMBEDDED / "manifest.json").read_text())
    shipped = {path.name for path in EMBEDDED.glob("*.onnx")}
    assert shipped == {entry["file"] for entry in manifest.values()}
    assert sum(entry["bytes"] for entry in manifest.values()) < 27e6


def test_one_changed_byte_is_noticed(folder: Path) -> None:
    path = folder / "superres-x2.onnx"
    assert embedded_weights("superres-x2", folder).path == path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="damaged"):
        embedded_weights("superres-x2", folder)


def test_a_cut_file_is_noticed(folder: Path) -> None:
    path = folder / "superres-x2.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        embedded_weights("superres-x2", folder)


def test_missing_files_and_entries_are_weights_errors(folder: Path) -> None:
    with pytest.raises(WeightsError, match="superres-x4"):
        embedded_weights("superres-x4", folder)
    shutil.copy(EMBEDDED / "superres-x4.onnx", folder / "other.onnx")
    with pytest.raises(WeightsError, match="other"):
        embedded_weights("other", folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(WeightsError, match="manifest"):
        embedded_weights("superres-x2", folder)


def test_unknown_names_list_the_known_ones() -> None:
    runtime = Runtime()
    with pytest.raises(WeightsError, match=r"'offical'; known: .*embedded"):
        load_upscaler("offical", 4, runtime)
    with pytest.raises(WeightsError, match="known"):
        load_segmenter("", runtime)
    with pytest.raises(WeightsError, match="×3"):
        load_upscaler("embedded", 3, runtime)


def test_a_pack_is_imported_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packs.PACKS, "far", {"segmenter": "no_such_module:load"})
    with pytest.raises(WeightsError, match="not installed"):
        load_segmenter("far", Runtime())
    with pytest.raises(WeightsError, match="no upscaler"):
        load_upscaler("far", 2, Runtime())
    assert load_upscaler("embedded", 2, Runtime()).scale == 2
