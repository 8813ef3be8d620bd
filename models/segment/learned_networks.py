"""The networks that were learned here, each in its folder, and which of them serves.

HOME/segment/VERSION/{segment.onnx, manifest.json, card.md}; HOME/segment/current names the one in
service and the one before it. A version is named after the SHA-256 of its file, which is verified
whenever it is loaded, so a folder never changes and a switch is the renaming of one small file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.base import Segmenter, WeightsError
from models.segment.segmenter import open_segmenter
from models.serving.packs import Weights, embedded_weights
from models.serving.promotion_rule import SHIPPED
from models.serving.runtime import Runtime

NAME = "segment"
FILES = ("segment.onnx", "manifest.json", "card.md")
LICENCE = "see card"
_VERSION = re.compile(r"segment-[0-9a-f]{12}")


class Pointer(NamedTuple):
    """Versions; SHIPPED stands for the network that came with tagecho."""

    current: str = SHIPPED
    previous: str = SHIPPED


class Store:
    """`home`: the folder of all learned networks, `models` in the data folder."""

    def __init__(self, home: Path) -> None:
        self.root = home / NAME

    @property
    def pointer(self) -> Pointer:
        """Raises WeightsError when `current` is damaged."""
        path = self.root / "current"
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            pointer = Pointer(str(said["current"]), str(said["previous"]))
        except FileNotFoundError:
            return Pointer()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{path} does not say which network serves: {error!r}. "
                f"`tagecho models promote {SHIPPED}` (or a version) writes it anew"
            ) from error
        for version in pointer:
            self.folder(version)
        return pointer

    def versions(self) -> list[str]:
        """What was learned and kept, the newest first."""
        folders = [path for path in self.root.glob("segment-*") if _VERSION.fullmatch(path.name)]
        return [p.name for p in sorted(folders, key=lambda p: (-p.stat().st_mtime_ns, p.name))]

    def folder(self, version: str) -> Path | None:
        """None for the shipped one. Raises WeightsError for what is no version."""
        if version == SHIPPED:
            return None
        if not _VERSION.fullmatch(version):
            raise WeightsError(f"{version!r} is no version: segment-… or {SHIPPED}")
        return self.root / version

    def weights(self, version: str | None = None) -> Weights:
        """Verified; of the version in service when none is named. Raises WeightsError."""
        version = version or self.pointer.current
        folder = self.folder(version)
        if folder is None:
            return embedded_weights(NAME)
        try:
            found = embedded_weights(NAME, folder)
        except WeightsError as error:
            raise WeightsError(
                f"{version}, learned here, cannot be used: {error}. "
                "`tagecho models rollback` puts the one before it in service"
            ) from error
        if found.version != version:
            raise WeightsError(f"{folder} holds {found.version}")
        return found

    def weights_in(self, export: Path) -> Weights:
        """Of a network that is not kept here yet. Raises WeightsError."""
        return embedded_weights(NAME, export)

    def add(self, export: Path, card: str) -> str:
        """Keep an exported network (segment.onnx with its manifest) and return its version.

        It appears whole or not at all, and serves only when promoted. Raises WeightsError when
        what was exported is damaged, OSError when the disk is full.
        """
        version = self.weights_in(export).version
        home = self.root / version
        if not home.exists():
            _private(self.root)
            with tempfile.TemporaryDirectory(dir=self.root, prefix=".new-") as new:
                whole = Path(new) / version
                whole.mkdir(mode=0o700)
                (whole / "card.md").write_text(card, encoding="utf-8")
                (whole / "manifest.json").write_text(_manifest(export), encoding="utf-8")
                shutil.copyfile(export / "segment.onnx", whole / "segment.onnx")
                for name in FILES:
                    _to_disk(whole / name)
                whole.rename(home)
        return version

    def promote(self, version: str) -> Pointer:
        """Put a version in service, after trying it. Raises WeightsError; nothing changes then."""
        segmenter = open_segmenter(self.weights(version), Runtime(threads=1))
        found = segmenter(np.full((32, 48, 3), 128, np.uint8))
        if not (np.isfinite(found.probability).all() and np.isfinite(found.embedding).all()):
            raise WeightsError(f"{version} gives numbers that are none")
        try:
            before = self.pointer
        except WeightsError:  # damaged: this mends it
            before = Pointer()
        if before.current != version:
            before = Pointer(version, before.current)
        self._write(before)
        return before

    def rollback(self) -> Pointer:
        """Put the previous one in service, the present one behind it. Raises WeightsError."""
        current, previous = self.pointer
        if current == previous:
            raise WeightsError("there is nothing to go back to: no network was promoted")
        return self.promote(previous)

    def prune(self, keep: int) -> list[str]:
        """Remove all but the newest `keep`, the one in service and the one before it."""
        pointer = self.pointer
        spare = [version for version in self.versions() if version not in pointer]
        for version in spare[keep:]:
            shutil.rmtree(self.root / version)
        return spare[keep:]

    def _write(self, pointer: Pointer) -> None:
        _private(self.root)
        partial = self.root / "current.part"
        partial.write_text(json.dumps(pointer._asdict()) + "\n", encoding="utf-8")
        _to_disk(partial)
        partial.replace(self.root / "current")


def learned(runtime: Runtime, home: Path | None = None) -> Segmenter:
    """What was promoted below `home`, else the network that we ship. Raises WeightsError."""
    store = Store(home) if home is not None else None
    return open_segmenter(store.weights() if store else embedded_weights(NAME), runtime)


def _private(folder: Path) -> None:
    """`mkdir(parents=True)` would give the mode to the last folder only."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)


def _manifest(export: Path) -> str:
    """The export's entry of this network; whose the images were, only the card can tell."""
    entry = json.loads((export / "manifest.json").read_text(encoding="utf-8"))[NAME]
    return json.dumps({NAME: {**entry, "licence": LICENCE, "card": FILES[2]}}, indent=2) + "\n"


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
