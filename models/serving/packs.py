"""Which network serves which stage.

Entry points ("module:function") name the stages of a pack. A pack is loaded only when it is needed,
so a pack that needs torch costs nothing until it is chosen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from models.base import Prompter, Segmenter, Upscaler, WeightsError
from models.serving.catalogue import CATALOGUE
from models.serving.network_process import ProcessBounds
from models.serving.runtime import Runtime

if TYPE_CHECKING:
    # They ask for weights as these are defined here.
    from models.serving.describe import Describer
    from models.serving.embed import TextAndImages

EMBEDDED = Path(__file__).parents[1] / "embedded"

# pack → stage → entry point; an upscaler takes (scale, runtime), a segmenter (runtime, home)
PACKS: dict[str, dict[str, str]] = {
    "embedded": {
        "upscaler": "models.superres.upscaler:embedded",
        "segmenter": "models.segment.segmenter:embedded",
    },
    "learned": {  # the network that was promoted here, else the shipped one
        "segmenter": "models.segment.learned_networks:learned",
    },
}
OFFICIAL = {
    "upscaler": "models.official.upscale:upscaler",  # takes the pack and the tiles as well
    "segmenter": "models.official.dino:segmenter",
    "refiner": "models.official.sam:prompter",
    "captioner": "models.serving.describe:Describer",
    "detector": "models.detect.network:OfficialDetector",
    "embedder": "models.serving.embed:TextAndImages",
}
SALIENCY = "models.segment.saliency:segmenter"  # takes the pack as well
PACKS |= {
    pack.name: {pack.stage: OFFICIAL[pack.stage] if pack.torch else SALIENCY}
    for pack in CATALOGUE.values()
}

TILE, TILE_PAD = 192, 36  # px: size and overlap of the tiles of an official upscaler


@dataclass(frozen=True, slots=True)
class Weights:
    """A verified network file."""

    path: Path
    name: str
    sha256: str
    facts: Mapping[str, Any]  # facts about the network that serving needs

    @property
    def version(self) -> str:
        """Part of every cache key: `NAME-` and the first 12 hexadecimal digits of the SHA-256."""
        return f"{self.name}-{self.sha256[:12]}"


def load_upscaler(
    pack: str,
    scale: int,
    runtime: Runtime,
    home: Path | None = None,
    tile: int = TILE,
    tile_pad: int = TILE_PAD,
) -> Upscaler:
    """An upscaler of scale 2 or 4. `home` as below; the tiles are for official packs only.
    Raises WeightsError.
    """
    entry = _entry(pack, "upscaler")
    if pack in CATALOGUE:
        return cast(Upscaler, entry(pack, scale, runtime, home, tile, tile_pad))
    return cast(Upscaler, entry(scale, runtime))


def load_segmenter(pack: str, runtime: Runtime, home: Path | None = None) -> Segmenter:
    """`home`: the folder of networks in the data folder. Raises WeightsError."""
    entry = _entry(pack, "segmenter")
    if PACKS[pack]["segmenter"] == SALIENCY:
        return cast(Segmenter, entry(pack, runtime, home))
    return cast(Segmenter, entry(runtime, home))


def load_refiner(pack: str, runtime: Runtime, home: Path | None = None) -> Prompter:
    """Raises WeightsError."""
    return cast(Prompter, _entry(pack, "refiner")(runtime, home))


def load_captioner(pack: str, home: Path | None, bounds: ProcessBounds) -> Describer:
    """A process that is started by the first image. Raises WeightsError."""
    return cast("Describer", _entry(pack, "captioner")(pack, home, bounds))


def load_embedder(pack: str, home: Path | None, bounds: ProcessBounds) -> TextAndImages:
    """A process that is started by the first image or text. Raises WeightsError."""
    return cast("TextAndImages", _entry(pack, "embedder")(pack, home, bounds))


def _entry(pack: str, stage: str) -> Callable[..., Any]:
    if pack not in PACKS:
        raise WeightsError(f"unknown pack {pack!r}; known: {', '.join(sorted(PACKS))}")
    if stage not in PACKS[pack]:
        raise WeightsError(f"pack {pack!r} has no {stage}")
    module, function = PACKS[pack][stage].split(":")
    try:
        return cast(Callable[..., Any], getattr(import_module(module), function))
    except ImportError as error:
        extra = "; it comes with tagecho[official]" if pack in CATALOGUE else ""
        raise WeightsError(
            f"pack {pack!r} needs a package that is not installed{extra}: {error}"
        ) from error


def embedded_weights(name: str, folder: Path | None = None) -> Weights:
    """A network of `folder`, by default a shipped one, verified against its `manifest.json`.

    Raises WeightsError if it is damaged.
    """
    folder = folder or EMBEDDED
    return _verified(name, folder, _stamp(folder / f"{name}.onnx"))


@cache
def _verified(name: str, folder: Path, stamp: tuple[int, int]) -> Weights:
    """Hash a file once for each `stamp` (size and time of change)."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        entry = manifest[name]
        expected = str(entry["sha256"])
        facts = dict(entry["facts"])
        path = folder / str(entry["file"])
        data = path.read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{name}: manifest or file cannot be read: {error!r}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise WeightsError(
            f"{path.name} is damaged: {len(data)} bytes ({stamp[0]} on disk), "
            f"sha256 {found[:12]}…, expected {entry.get('bytes')} bytes, {expected[:12]}…"
        )
    return Weights(path, name, found, facts)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise WeightsError(f"{path.name}: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns
