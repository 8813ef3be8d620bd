"""Parquet with the bytes of the images inside, as `datasets` writes and reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.core.errors import NotInstalled
from bot.dataset.export.examples import Example, Plan
from bot.dataset.export.files import shut
from bot.dataset.export.outlines import polygons

GROUP = 32_000_000  # bytes of images in one row group, which is in memory, per split
ROWS = 1000  # images in one row group
_FEATURES = {"text": "string", "time": "string", "int": "int64", "float": "float64"}


class Parquet:
    """`data/SPLIT.parquet`: an `image` column, a `mask` column, and one for every field."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        try:
            import pyarrow.parquet  # noqa: PLC0415 - an extra, and heavy
        except ImportError:
            raise NotInstalled(
                "--format parquet needs pyarrow: pip install 'tagecho[export]'"
            ) from None
        self._arrow, self._parquet = pyarrow, pyarrow.parquet
        self._folder = folder / "data"
        self._folder.mkdir()
        self._plan = plan
        self._schema = _schema(pyarrow, plan)
        self._writers: dict[str, Any] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._sizes: dict[str, int] = {}
        self._files: list[Path] = []

    def add(self, example: Example) -> dict[str, Any]:
        row = {
            **example.values,
            "file_name": example.file,
            "image": {"bytes": example.data, "path": example.file},
        }
        values = {**example.values, "file_name": f"data/{example.split}.parquet"}
        if self._plan.masks:
            row |= _mask(example)
            values["mask_file_name"] = None
        self._rows.setdefault(example.split, []).append(row)
        size = self._sizes.get(example.split, 0) + len(example.data)
        self._sizes[example.split] = size
        if size >= GROUP or len(self._rows[example.split]) >= ROWS:
            self._flush(example.split)
        return values

    def close(self) -> list[Path]:
        for split in self._rows:
            self._flush(split)
        for writer in self._writers.values():
            writer.close()
        return sorted(self._files)

    def abort(self) -> None:
        for writer in self._writers.values():
            shut(writer)

    def _flush(self, split: str) -> None:
        rows, self._rows[split], self._sizes[split] = self._rows[split], [], 0
        if not rows:
            return
        if split not in self._writers:
            path = self._folder / f"{split}.parquet"
            self._files.append(path)
            # Photos are compressed already; dictionaries and statistics would not help.
            text = [field.name for field in self._schema if field.name not in ("image", "mask")]
            self._writers[split] = self._parquet.ParquetWriter(
                path,
                self._schema,
                compression={"image.bytes": "NONE", "mask.bytes": "NONE"},
                use_dictionary=text,
                write_statistics=False,
            )
        table = self._arrow.Table.from_pylist(rows, schema=self._schema)
        self._writers[split].write_table(table, row_group_size=len(rows))


def _mask(example: Example) -> dict[str, Any]:
    if example.mask is None:
        return {"mask": None, "mask_rle": None, "mask_polygons": [], "mask_file_name": None}
    name = f"{example.stem}.png"
    return {
        "mask": {"bytes": example.drawn.png, "path": name},
        "mask_rle": example.drawn.runs.rle,
        "mask_polygons": polygons(example.drawn.runs),
        "mask_file_name": name,
    }


def _schema(arrow: Any, plan: Plan) -> Any:
    """With the features that `datasets` reads, so that images are loaded as images."""
    types = {
        "text": arrow.string(),
        "time": arrow.string(),
        "int": arrow.int64(),
        "float": arrow.float64(),
        "texts": arrow.list_(arrow.string()),
        "floats": arrow.list_(arrow.float64()),
    }
    picture = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    columns = [("image", picture)]
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    for field in plan.columns:
        columns.append((field.name, types[field.kind]))
        features[field.name] = _feature(field.kind)
    if plan.masks:
        rle = arrow.struct([("size", arrow.list_(arrow.int64())), ("counts", arrow.string())])
        columns += [
            ("mask", picture),
            ("mask_rle", rle),
            ("mask_polygons", arrow.list_(arrow.list_(arrow.float64()))),
        ]
        features["mask"] = {"_type": "Image"}
        whole = {"_type": "List", "feature": {"dtype": "int64", "_type": "Value"}}
        features["mask_rle"] = {"size": whole, "counts": {"dtype": "string", "_type": "Value"}}
        numbers = {"_type": "List", "feature": {"dtype": "float64", "_type": "Value"}}
        features["mask_polygons"] = {"_type": "List", "feature": numbers}
    about = json.dumps({"info": {"features": features}})
    return arrow.schema(columns, metadata={"huggingface": about})


def _feature(kind: str) -> dict[str, Any]:
    if kind.endswith("s"):
        value = {"dtype": "string" if kind == "texts" else "float64", "_type": "Value"}
        return {"_type": "List", "feature": value}
    return {"dtype": _FEATURES[kind], "_type": "Value"}
