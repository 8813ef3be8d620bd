"""Official networks that say what is in an image, each in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.base import Image
from models.serving.network_process import NetworkProcess, ProcessBounds
from models.serving.shelf import official_weights

ENTRIES = {
    "blip-base": "models.official.caption:blip",
    "florence-2-base": "models.official.caption:florence",
}
LANGUAGE = "en"  # what both of them write
LONG_SIDE = 768  # px that any of them sees; larger images only cost time on the way


@dataclass(frozen=True, slots=True)
class Description:
    """`tags` have no scores: these networks name objects and do not say how sure they are."""

    sentence: str
    score: float  # in [0, 1]: geometric mean of the probabilities of its tokens
    tags: tuple[str, ...]
    language: str = LANGUAGE


class Describer:
    """(H, W, 3) uint8 → Description. May be used by any thread; ends with `stop`."""

    def __init__(self, pack: str, home: Path | None, bounds: ProcessBounds) -> None:
        """Raises WeightsError if the pack is not here, or damaged."""
        weights = official_weights(pack, home)
        self.name, self.version = pack, weights.version
        arguments = {"folder": str(weights.path.parent), "threads": bounds.threads}
        self._process = NetworkProcess(ENTRIES[pack], arguments, bounds)

    def __call__(self, image: Image) -> Description:
        """Raises NetworkFailed."""
        said, _ = self._process.ask({}, (image,))
        return Description(said["sentence"], said["score"], tuple(said["tags"]))

    def start(self) -> None:
        """Raises NetworkFailed."""
        self._process.start()

    def stop(self) -> None:
        self._process.stop()
