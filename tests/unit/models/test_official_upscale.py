"""Official upscalers: real layouts through spandrel and our tiles; RealESRGANer as the oracle."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs tagecho[official]")

from bot.config import Settings  # noqa: E402
from bot.verbs import images  # noqa: E402
from models.base import Image, WeightsError  # noqa: E402
from models.serving.packs import Weights, load_upscaler  # noqa: E402
from models.serving.runtime import Runtime  # noqa: E402
from tests import official  # noqa: E402

# Importing them takes seconds, which each process that collects tests would spend.
HERE = all(map(importlib.util.find_spec, ("torchvision", "spandrel")))
pytestmark = [
    pytest.mark.learn,
    pytest.mark.skipif(not HERE, reason="needs tagecho[official]"),
]
RUNTIME = Runtime(threads=1)
MADE = {
    "realesr-general-x4v3": (official.compact, "params"),
    "realesrgan-x4plus": (official.rrdb, "params_ema"),
    "swinir-real-x4": (official.swinir, "params_ema"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All upscalers, tiny, in the layouts of the real files."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        official.unpinned(patch)
        for name, (make, key) in MADE.items():
            official.put(folder, name, official.saved(lively(make()), key))
        yield folder


def upscale() -> ModuleType:
    return importlib.import_module("models.official.upscale")


def lively(network: Any) -> dict[str, Any]:
    """Weights large enough for a picture in which every pixel counts, and around middle grey."""
    if isinstance(network, dict):
        return network
    torch.manual_seed(1)
    for name, value in network.named_parameters():
        if name.endswith("weight") and value.dim() > 1:
            torch.nn.init.xavier_normal_(value)
        if name == "conv_last.bias":
            torch.nn.init.constant_(value, 0.5)
    return dict(network.state_dict())


def raw(home: Path, name: str, image: Image) -> Image:
    """The whole picture through the network at once, without any of ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
        network = official_descriptor(home, name)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    y = network(x)[0].permute(1, 2, 0).numpy()
    return np.clip(np.rint(y * 255), 0, 255).astype(np.uint8)


def official_descriptor(home: Path, name: str) -> Any:
    from spandrel import ModelLoader

    file = next((home / "official" / name).glob("*.pth"))
    return ModelLoader("cpu").load_from_file(file)


@pytest.mark.parametrize("name", MADE)
def test_the_whole_picture_is_what_the_network_makes_of_it(home: Path, name: str) -> None:
    image = official.picture(48, 64)
    ours = load_upscaler(name, 4, RUNTIME, home, 4096 // 2, 0)(image)
    assert ours.std() > 5
    assert np.abs(ours.astype(int) - raw(home, name, image)).max() <= 1


@pytest.mark.parametrize("name", ["realesr-general-x4v3", "realesrgan-x4plus"])
def test_tiles_meet_and_too_little_overlap_would_show(home: Path, name: str) -> None:
    image = official.picture(90, 75)
    whole = load_upscaler(name, 4, RUNTIME, home, 2048, 0)(image).astype(int)
    tiled = load_upscaler(name, 4, RUNTIME, home, 32, 24)(image)
    careless = load_upscaler(name, 4, RUNTIME, home, 32, 0)(image)
    assert np.abs(tiled - whole).max() <= 1
    assert np.abs(careless - whole).max() > 1


def test_windows_of_a_transformer_stay_where_they_were(home: Path) -> None:
    """SwinIR sees far, but its windows: tiles begin at multiples of eight."""
    image = official.picture(40, 30)
    whole = load_upscaler("swinir-real-x4", 4, RUNTIME, home, 2048, 0)(image).astype(int)
    tiled = load_upscaler("swinir-real-x4", 4, RUNTIME, home, 15, 18)(image)
    assert np.abs(tiled - whole).max() <= 1
    upscaler = load_upscaler("swinir-real-x4", 4, RUNTIME, home, 15, 18)
    assert isinstance(upscaler, upscale().OfficialUpscaler)
    spans = [(part, window) for part, window in upscaler._spans(40)]
    assert all(x % 8 == 0 for pair in spans for span in pair for x in (span.start, span.stop))


@pytest.mark.parametrize("name", MADE)
@settings(max_examples=8)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_any_size(home: Path, name: str, height: int, width: int) -> None:
    out = load_upscaler(name, 4, RUNTIME, home, 32, 8)(official.picture(height, width))
    assert out.shape == (height * 4, width * 4, 3)
    assert out.dtype == np.uint8


def test_twice_is_four_times_halved(home: Path) -> None:
    image = official.picture(30, 41)
    four, two = (load_upscaler("realesr-general-x4v3", n, RUNTIME, home) for n in (4, 2))
    assert two.scale == 2
    assert two.version != four.version
    expected = Pil.fromarray(four(image)).resize((82, 60), Pil.Resampling.LANCZOS)
    assert np.array_equal(two(image), np.asarray(expected))


def test_transparency_is_enlarged_with_the_picture(home: Path, tmp_path: Path) -> None:
    alpha = np.zeros((24, 24), np.uint8)
    alpha[6:18, 6:18] = 255
    rgba = np.dstack([official.picture(24, 24), alpha])
    Pil.fromarray(rgba).save(tmp_path / "one.png")
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(home)
    chosen = Settings(data={"dir": data}, models={"upscaler": "realesr-general-x4v3", "threads": 1})
    report = images.upscale([tmp_path / "one.png"], tmp_path / "out", 4, chosen)
    assert not report.failed
    with Pil.open(report.written[0]) as large:
        assert (large.mode, large.size) == ("RGBA", (96, 96))


# --- The oracle ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    """The realesrgan package, which imports a module that torchvision dropped: aliased here."""
    import torchvision.transforms.functional as functional

    name = "torchvision.transforms.functional_tensor"
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that nobody maintains
        patch.setitem(sys.modules, name, functional)
        return pytest.importorskip("realesrgan", reason="needs tagecho[realesrgan]")


def enhanced(oracle: ModuleType, home: Path, name: str, image: Image, tile: int) -> Image:
    """RealESRGANer on the same file; its networks are basicsr's and its own."""
    from basicsr.archs.rrdbnet_arch import RRDBNet
    from realesrgan.archs.srvgg_arch import SRVGGNetCompact

    if name == "realesrgan-x4plus":
        network = RRDBNet(3, 3, num_feat=8, num_block=1, num_grow_ch=32, scale=4)
    else:
        network = SRVGGNetCompact(3, 3, num_feat=8, num_conv=2, upscale=4, act_type="prelu")
    file = next((home / "official" / name).glob("*.pth"))
    enhancer = oracle.RealESRGANer(
        4, str(file), model=network, tile=tile, tile_pad=10, pre_pad=0, device="cpu"
    )
    out, mode = enhancer.enhance(image[:, :, ::-1])
    assert mode == "RGB"
    return np.asarray(out[:, :, ::-1])


@pytest.mark.parametrize("tile", [0, 32])
@pytest.mark.parametrize("name", ["realesr-general-x4v3", "realesrgan-x4plus"])
def test_realesrganer_gives_the_same(
    oracle: ModuleType,
    home: Path,
    name: str,
    tile: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = official.picture(83, 70)
    theirs = enhanced(oracle, home, name, image, tile)
    ours = load_upscaler(name, 4, RUNTIME, home, tile or 2048, 10)(image)
    assert theirs.std() > 5
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert ("Tile" in capsys.readouterr().out) == bool(tile)


def test_realesrgan_cannot_be_imported_as_it_is() -> None:
    """When this fails, the alias and what the documents say of it can go."""
    assert importlib.util.find_spec("torchvision.transforms.functional_tensor") is None


# --- What must not be loaded ---------------------------------------------------------------------


class Trap:
    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> Any:
        return (Path.touch, (self.sprung,))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, legacy: bool) -> None:
    sprung, file = tmp_path / "sprung", tmp_path / "evil.pth"
    state = {"params": official.compact().state_dict(), "extra": Trap(sprung)}
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="contains more than weights and is refused"):
        upscale().load(file, 1)
    assert not sprung.exists()
    file.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(WeightsError):
        upscale().load(file, 1)
    assert not sprung.exists()
    pickle.loads(file.read_bytes())
    assert sprung.exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (lambda path: path.write_bytes(b"PK\x03\x04 nothing"), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: torch.save([1, 2], path), "no named weights"),
        (lambda path: torch.save({"a": torch.zeros(2)}, path), "not a network that spandrel knows"),
        (lambda path: torch.save({"params": cut()}, path), "not a network that spandrel knows"),
    ],
)
def test_other_files_are_weights_errors(tmp_path: Path, content: Any, match: str) -> None:
    content(tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=match):
        upscale().load(tmp_path / "x.pth", 1)


def cut() -> dict[str, Any]:
    state = official.compact().state_dict()
    state.pop("body.2.weight")
    return dict(state)


def test_a_changed_file_is_another_network(home: Path, tmp_path: Path) -> None:
    """The same path with other weights is loaded anew, and has another version."""
    runtime, file, image = Runtime(threads=1), tmp_path / "x.pth", official.picture(16, 16)
    outputs, versions = [], []
    for convolutions in (1, 2):
        official.saved(lively(official.compact(convolutions)), "params")(file)
        weights = Weights(file, "x", official.sum_of(file), {})
        upscaler = upscale().OfficialUpscaler(weights, runtime, 64, 8)
        outputs.append(upscaler(image))
        versions.append(upscaler.version)
    assert not np.array_equal(*outputs)
    assert versions[0] != versions[1]
    assert runtime.evict_idle() == 0
    assert len(runtime.loaded) == 2
