"""Which networks there are, which serve, and whether their files are whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.app import networks_of
from bot.config import Settings
from bot.errors import ModelError
from models.base import WeightsError
from models.inventory import damage, inventory
from models.store import SHIPPED, Store


def listing(settings: Settings, folder: Path | None = None) -> list[dict[str, Any]]:
    """Networks that were shipped, or learned here: name, stage, licence, bytes, sha256,
    in_service. Raises ModelError."""
    serving = {"segmenter": settings.models.segmenter, "upscaler": settings.models.upscaler}
    store = Store(networks_of(settings))
    try:
        entries, current = inventory(folder), store.pointer.current
        learned = [(name, inventory(store.folder(name))[0]) for name in store.versions()]
    except WeightsError as error:
        raise ModelError(str(error)) from error
    if serving["segmenter"] == "learned" and current == SHIPPED:
        serving["segmenter"] = SHIPPED
    rows = [
        asdict(entry) | {"in_service": serving.get(entry.stage) == SHIPPED} for entry in entries
    ]
    for name, entry in learned:
        serves = serving["segmenter"] == "learned" and name == current
        rows.append(asdict(entry) | {"name": name, "in_service": serves})
    return rows


def verify(settings: Settings, folder: Path | None = None) -> list[dict[str, Any]]:
    """Of the networks in service: name, sha256, and the problem (empty: fine).

    Raises ModelError when it cannot be told at all.
    """
    return [
        {"name": row["name"], "sha256": row["sha256"], "problem": _problem(settings, row, folder)}
        for row in listing(settings, folder)
        if row["in_service"]
    ]


def _problem(settings: Settings, row: dict[str, Any], folder: Path | None) -> str:
    store, name = Store(networks_of(settings)), row["name"]
    if name in store.versions():
        return damage("segment", store.folder(name))
    return damage(name, folder)
