"""The formats of an export: a file each beside this one, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bot.dataset.export.coco import Coco
from bot.dataset.export.examples import ANY, STILL, UNIFORM, Example, Kinds, Plan
from bot.dataset.export.imagefolder import ImageFolder
from bot.dataset.export.parquet import Parquet
from bot.dataset.export.webdataset import WebDataset
from bot.dataset.export.yolo import Yolo


class FormatWriter(Protocol):
    def add(self, example: Example) -> dict[str, Any] | None:
        """Write one image. Returns its line for records.jsonl; None: the format cannot hold it."""

    def abort(self) -> None:
        """Close open files after a failure; the folder will be removed."""

    def close(self) -> list[Path]:
        """Finish. Returns the files that hold more than one image, for croissant.json."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a snapshot is written in this format."""

    writer: Callable[[Path, Plan], FormatWriter]
    kinds: Kinds = ANY  # which kinds of images it takes; others are converted
    glob: str = ""  # what `datasets` loads, by the card's head; "" where it cannot


FORMATS: dict[str, Format] = {
    "imagefolder": Format(ImageFolder, glob="data/{split}/**"),
    "parquet": Format(Parquet, glob="data/{split}.parquet"),
    "webdataset": Format(WebDataset, UNIFORM, "{split}-*.tar"),
    "coco": Format(Coco, STILL),
    "yolo": Format(Yolo, STILL),
}
