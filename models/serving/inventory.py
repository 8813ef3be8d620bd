"""The shipped weights, and whether their files are unchanged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.base import WeightsError
from models.serving.packs import EMBEDDED, embedded_weights

STAGES = {"segment": "segmenter", "superres": "upscaler"}  # by the first part of a name


@dataclass(frozen=True, slots=True)
class Entry:
    """A network as its manifest describes it."""

    name: str
    stage: str  # segmenter, upscaler; the name itself for another one
    licence: str
    bytes: int
    sha256: str


def inventory(folder: Path | None = None) -> list[Entry]:
    """The networks by name, from the manifest alone. Raises WeightsError."""
    path = (folder or EMBEDDED) / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return [
            Entry(
                name,
                STAGES.get(name.split("-")[0], name),
                str(entry["licence"]),
                int(entry["bytes"]),
                str(entry["sha256"]),
            )
            for name, entry in sorted(manifest.items())
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: cannot be read: {error!r}") from error


def card_of(name: str, folder: Path | None = None) -> str:
    """The card of a network: data, recipe, figures. Raises WeightsError."""
    home = folder or EMBEDDED
    try:
        manifest = json.loads((home / "manifest.json").read_text(encoding="utf-8"))
        return (home / Path(str(manifest[name]["card"])).name).read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{home}: the card of {name} cannot be read: {error!r}") from error


def damage(name: str, folder: Path | None = None) -> str:
    """What is wrong with the file of a network, by its SHA-256; empty if nothing is."""
    try:
        embedded_weights(name, folder or EMBEDDED)
    except WeightsError as error:
        return str(error)
    return ""
