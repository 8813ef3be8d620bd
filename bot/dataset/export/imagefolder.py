"""A folder per split with metadata.jsonl: what `datasets.load_dataset("imagefolder")` reads.

It guesses the types of each file by itself and wants them to be the same in all, so nothing there
may be empty or missing: lists, and numbers that may be unknown, stand as JSON text. Where all texts
of a column look like dates, they would be read as dates: then metadata.parquet, which says the
types, takes the place of metadata.jsonl, and the lines are kept as metadata.lines: by a suffix that
the reader knows, a split of one image would be read as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from bot.core.errors import NotInstalled
from bot.dataset.export.examples import Example, Plan
from bot.dataset.export.files import shut
from bot.dataset.export.outlines import polygons

NAME, TYPED, LINES = "metadata.jsonl", "metadata.parquet", "metadata.lines"
READ = 10 << 20  # bytes that its reader guesses the types of at once
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d([ T]\d\d(:?\d\d(:?\d\d(\.\d+)?)?)?)?\s?(Z|[+-]\d\d(:?\d\d)?)?", re.ASCII
)


class ImageFolder:
    """`data/SPLIT/00000012.jpg`, `data/SPLIT/masks/00000012.png`, and a line of JSON for each."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder / "data"
        self._plan = plan
        self._guessed = [f.name for f in plan.fields if f.kind in ("texts", "floats", "float")]
        self._texts = [f.name for f in plan.columns if f.kind == "text"]
        self._times = [f.name for f in plan.fields if f.kind == "time"]
        self._lines: dict[str, IO[str]] = {}

    def add(self, example: Example) -> dict[str, Any]:
        """Write it. Returns its values with the file names, relative to the export."""
        folder = self._folder / example.split
        lines = self._of(example.split)
        (folder / example.file).write_bytes(example.data)
        line = {"file_name": example.file, **self._certain(example.values)}
        values = {"file_name": f"data/{example.split}/{example.file}", **example.values}
        if self._plan.masks:
            line |= self._mask(folder, example)
            name = line["mask_file_name"]
            values["mask_file_name"] = f"data/{example.split}/{name}"
        lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        return values

    def close(self) -> list[Path]:
        """The files that hold more than one image."""
        for file in self._lines.values():
            file.close()
        paths = [Path(file.name) for file in self._lines.values()]
        if any(_misread(path, self._texts) for path in paths):
            for path in paths:
                _say_types(path)
        return []

    def abort(self) -> None:
        for file in self._lines.values():
            shut(file)

    def _certain(self, values: dict[str, Any]) -> dict[str, Any]:
        """The same values in types that are equal in every line."""
        line = {name: "" if value is None else value for name, value in values.items()}
        line |= {name: json.dumps(values[name]) for name in self._guessed}
        return line | {name: _second(line[name]) for name in self._times}

    def _of(self, split: str) -> IO[str]:
        if split not in self._lines:
            folder = self._folder / split
            (folder / "masks" if self._plan.masks else folder).mkdir(parents=True)
            self._lines[split] = (folder / NAME).open("x", encoding="utf-8")
        return self._lines[split]

    def _mask(self, folder: Path, example: Example) -> dict[str, Any]:
        name = f"masks/{example.stem}.png"
        drawn = example.drawn
        (folder / name).write_bytes(drawn.png)
        return {
            "mask_file_name": name,
            "mask_rle": drawn.runs.rle,
            "mask_polygons": json.dumps(polygons(drawn.runs)),
        }


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The lines of a file, as many at once as its reader takes."""
    with path.open("rb") as file:
        while batch := file.read(READ):
            batch += file.readline()
            yield [json.loads(line) for line in batch.splitlines()]


def _misread(path: Path, texts: Sequence[str]) -> bool:
    """Whether the texts of a column would be dates to its reader: one that is none saves all."""
    return any(
        all(_DATE.fullmatch(row.get(name, "")) for row in rows)
        for rows in _batches(path)
        for name in texts
    )


def _say_types(path: Path) -> None:
    """Write the same as Parquet beside it, under a name that its reader takes instead.

    Raises NotInstalled.
    """
    try:
        import pyarrow  # noqa: PLC0415 - an extra, and heavy
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise NotInstalled(
            "all texts of a column look like dates, which takes Parquet to tell: "
            "pip install 'tagecho[export]'"
        ) from None
    writer = None
    for rows in _batches(path):
        schema = None if writer is None else writer.schema
        table = pyarrow.Table.from_pylist(rows, schema)
        writer = writer or pyarrow.parquet.ParquetWriter(path.with_name(TYPED), table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    path.rename(path.with_name(LINES))


def _second(moment: str) -> str:
    """Without a fraction, or it would be of another type than the others."""
    return datetime.fromisoformat(moment).isoformat(timespec="seconds") if moment else moment
