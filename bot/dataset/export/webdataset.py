"""Tars of about 1 GB: KEY.jpg, KEY.json and KEY.mask.png follow each other, as `webdataset` reads.

Numbers, owners and times in the tars are fixed, so equal exports have equal bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from bot.dataset.export.examples import Example, Plan
from bot.dataset.export.files import shut
from bot.dataset.export.outlines import polygons

LARGEST = 1_000_000_000  # bytes of images in one tar


class WebDataset:
    """`SPLIT-000000.tar`, `SPLIT-000001.tar` …

    Readers make a column of each suffix, so there is one for all images.
    """

    def __init__(self, folder: Path, plan: Plan, largest: int = LARGEST) -> None:
        self._folder = folder
        self._plan = plan
        self._largest = largest
        self._tars: dict[str, tarfile.TarFile] = {}
        self._sizes: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._files: list[Path] = []

    def add(self, example: Example) -> dict[str, Any]:
        tar = self._of(example.split, len(example.data))
        name = Path(tar.name).name if isinstance(tar.name, str) else ""
        values = {"file_name": f"{name}/{example.file}", **example.values}
        inside = {"file_name": example.file, **example.values}
        mask = b""
        if self._plan.masks:
            drawn = example.drawn
            mask = drawn.png
            in_tar = f"{example.stem}.mask.png"
            values["mask_file_name"] = f"{name}/{in_tar}"
            inside["mask_file_name"] = in_tar
            inside["mask_rle"] = drawn.runs.rle
            inside["mask_polygons"] = polygons(drawn.runs)
        _put(tar, example.file, example.data)
        _put(tar, f"{example.stem}.json", json.dumps(inside, ensure_ascii=False).encode())
        if mask:
            _put(tar, f"{example.stem}.mask.png", mask)
        return values

    def close(self) -> list[Path]:
        for tar in self._tars.values():
            tar.close()
        return sorted(self._files)

    def abort(self) -> None:
        for tar in self._tars.values():
            shut(tar.fileobj)

    def _of(self, split: str, size: int) -> tarfile.TarFile:
        tar = self._tars.get(split)
        if tar is not None and self._sizes[split] + size <= self._largest:
            self._sizes[split] += size
            return tar
        if tar is not None:
            tar.close()
        self._numbers[split] = self._numbers.get(split, -1) + 1
        path = self._folder / f"{split}-{self._numbers[split]:06d}.tar"
        self._files.append(path)
        self._tars[split] = tarfile.open(path, "x", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._sizes[split] = size
        return self._tars[split]


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    tar.addfile(info, io.BytesIO(data))
    tar.members = []  # type: ignore[attr-defined]  # it would keep every member in memory
