"""Which networks there are, which serve, and whether their files are whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.errors import ModelError
from models.base import WeightsError
from models.inventory import damage, inventory


def listing(settings: Settings, folder: Path | None = None) -> list[dict[str, Any]]:
    """The shipped networks: name, stage, licence, bytes, sha256, in_service. Raises ModelError."""
    serving = {"segmenter": settings.models.segmenter, "upscaler": settings.models.upscaler}
    try:
        entries = inventory(folder)
    except WeightsError as error:
        raise ModelError(str(error)) from error
    return [
        asdict(entry) | {"in_service": serving.get(entry.stage) == "embedded"} for entry in entries
    ]


def verify(settings: Settings, folder: Path | None = None) -> list[dict[str, Any]]:
    """Of the networks in service: name, sha256, and the problem (empty: fine).

    Raises ModelError when it cannot be told at all.
    """
    return [
        {"name": row["name"], "sha256": row["sha256"], "problem": damage(row["name"], folder)}
        for row in listing(settings, folder)
        if row["in_service"]
    ]
