"""The folder of learned networks: kept whole, switched at once, never served when damaged."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the [learn] extra")

from models.base import WeightsError  # noqa: E402
from models.segment.learned_networks import Pointer, Store, learned  # noqa: E402
from models.serving.packs import load_segmenter  # noqa: E402
from models.serving.promotion_rule import SHIPPED  # noqa: E402
from models.serving.runtime import Runtime  # noqa: E402

IMAGE = np.full((40, 60, 3), (120, 90, 60), np.uint8)


@pytest.fixture(autouse=True)
def quick(small_segmenter: Path) -> None:
    """Nothing here depends on what the network computes."""


def export(shipped: Path, folder: Path, nudge: float = 0.0) -> Path:
    """The shipped network with one weight changed, as an export leaves it."""
    folder.mkdir(parents=True)
    model = onnx.load(shipped / "segment.onnx")
    tensor = next(t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[0] += nudge
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, folder / "segment.onnx")
    data = (folder / "segment.onnx").read_bytes()
    entry = json.loads((shipped / "manifest.json").read_text())["segment"]
    entry |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps({"segment": entry}))
    return folder


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, small_networks: Path) -> list[Path]:
    home = tmp_path_factory.mktemp("exports")
    return [export(small_networks, home / str(n), 0.01 * n) for n in range(1, 4)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_nothing_was_promoted(home: Path) -> None:
    assert Store(home).pointer == Pointer(SHIPPED, SHIPPED)
    shipped = load_segmenter("embedded", Runtime()).version
    assert load_segmenter("learned", Runtime(), home).version == shipped
    assert load_segmenter("learned", Runtime()).version == shipped
    assert not home.exists()


def test_a_network_is_kept_promoted_and_taken_back(home: Path, exports: list[Path]) -> None:
    store = Store(home)
    first, second = (store.add(folder, f"card {n}") for n, folder in enumerate(exports[:2]))
    assert set(store.versions()) == {first, second}
    assert store.pointer.current == SHIPPED, "keeping is not promoting"
    assert (store.root / first / "card.md").read_text() == "card 0"
    entry = json.loads((store.root / first / "manifest.json").read_text())["segment"]
    assert (entry["licence"], entry["card"]) == ("see card", "card.md")

    assert store.promote(first) == Pointer(first, SHIPPED)
    assert learned(Runtime(), home).version.startswith(first)
    assert store.promote(first) == Pointer(first, SHIPPED), "twice changes nothing"
    assert store.promote(second) == Pointer(second, first)
    assert store.rollback() == Pointer(first, second)
    assert store.rollback() == Pointer(second, first)
    assert store.promote(SHIPPED) == Pointer(SHIPPED, second)
    assert learned(Runtime(), home).version == load_segmenter("embedded", Runtime()).version


def test_a_running_service_takes_it_over(home: Path, exports: list[Path]) -> None:
    """One runtime, as in the service: another version, another session, other results."""
    store, runtime = Store(home), Runtime()
    before = load_segmenter("learned", runtime, home)
    loose = before(IMAGE).probability
    version = store.add(exports[2], "")
    store.promote(version)
    after = load_segmenter("learned", runtime, home)
    assert after.version != before.version and after.version.startswith(version)
    assert not np.array_equal(after(IMAGE).probability, loose)
    assert len(runtime.loaded) == 2
    runtime.close()


def test_a_damaged_export_is_not_kept(home: Path, exports: list[Path], tmp_path: Path) -> None:
    broken = shutil.copytree(exports[0], tmp_path / "broken")
    data = bytearray((broken / "segment.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "segment.onnx").write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="damaged"):
        Store(home).add(broken, "")
    assert Store(home).versions() == []


def test_a_network_that_does_not_run_is_not_promoted(
    home: Path, exports: list[Path], tmp_path: Path, small_networks: Path
) -> None:
    store = Store(home)
    good = store.add(exports[0], "")
    store.promote(good)
    junk = tmp_path / "junk"
    junk.mkdir()
    (junk / "segment.onnx").write_bytes(b"no network")
    entry = json.loads((exports[0] / "manifest.json").read_text())["segment"]
    entry["sha256"] = hashlib.sha256(b"no network").hexdigest()
    (junk / "manifest.json").write_text(json.dumps({"segment": entry}))
    bad = store.add(junk, "")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        store.promote(bad)
    bare = export(small_networks, tmp_path / "bare", 0.5)
    said = json.loads((bare / "manifest.json").read_text())
    said["segment"]["facts"] = {}
    (bare / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(WeightsError, match="incomplete"):
        store.promote(store.add(bare, ""))
    assert store.pointer == Pointer(good, SHIPPED)


def test_a_damaged_network_in_service_is_an_error_and_can_be_taken_back(
    home: Path, exports: list[Path]
) -> None:
    store = Store(home)
    first, second = store.add(exports[0], ""), store.add(exports[1], "")
    store.promote(first)
    store.promote(second)
    path = store.root / second / "segment.onnx"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match=r"damaged.*rollback"):
        load_segmenter("learned", Runtime(), home)
    with pytest.raises(WeightsError, match="damaged"):
        store.promote(second)
    assert store.rollback() == Pointer(first, second)
    assert load_segmenter("learned", Runtime(), home).version.startswith(first)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"current": "embedded"}', "null"])
def test_a_damaged_pointer_is_an_error_and_promoting_mends_it(
    home: Path, exports: list[Path], text: str
) -> None:
    store = Store(home)
    version = store.add(exports[0], "")
    (store.root / "current").write_text(text)
    with pytest.raises(WeightsError, match="current does not say"):
        load_segmenter("learned", Runtime(), home)
    assert store.promote(version) == Pointer(version, SHIPPED)
    assert load_segmenter("learned", Runtime(), home).version.startswith(version)


@pytest.mark.parametrize("name", ["../../etc", "segment-..", "segment-12345678901g", ""])
def test_a_version_is_never_a_path(home: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="no version"):
        Store(home).folder(name)
    (home / "segment").mkdir(parents=True)
    (home / "segment" / "current").write_text(json.dumps({"current": name, "previous": SHIPPED}))
    with pytest.raises(WeightsError, match="no version"):
        _ = Store(home).pointer


def test_a_folder_with_another_network_in_it_does_not_serve(
    home: Path, exports: list[Path]
) -> None:
    store = Store(home)
    first, second = store.add(exports[0], ""), store.add(exports[1], "")
    shutil.copytree(store.root / second, store.root / first, dirs_exist_ok=True)
    with pytest.raises(WeightsError, match=f"holds {second}"):
        store.promote(first)


def test_nothing_to_go_back_to(home: Path) -> None:
    with pytest.raises(WeightsError, match="nothing to go back to"):
        Store(home).rollback()


def test_pruning_keeps_the_newest_and_those_in_service(
    home: Path, exports: list[Path], tmp_path: Path, small_networks: Path
) -> None:
    store = Store(home)
    versions = [store.add(folder, "") for folder in exports]
    versions.append(store.add(export(small_networks, tmp_path / "more", 0.7), ""))
    store.promote(versions[0])
    assert store.prune(1) == [versions[2], versions[1]]
    assert set(store.versions()) == {versions[0], versions[3]}
    assert store.prune(0) == [versions[3]]
    assert store.versions() == [versions[0]]
