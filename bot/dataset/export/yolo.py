"""YOLO: images, one line of text per main object, and data.yaml, as ultralytics reads them.

An image without a mask would teach that nothing is to be seen in it, so it is left out. A line is
an object, so the parts of a mask are joined to one outline.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.dataset.export.examples import Example, Plan
from bot.dataset.export.files import shut, yaml_text
from bot.dataset.export.objects import ImageObjects
from bot.dataset.export.outlines import joined, polygons
from bot.dataset.export.runs import RunLengths
from bot.dataset.splits import NAMES


class Yolo:
    """`images/SPLIT/…`, `labels/SPLIT/….txt` (CLASS X Y X Y …, in [0, 1]), `masks/SPLIT/…`;
    only images with a mask. With `--objects`: a line for each object, an empty file for none.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        for kind in ("images", "labels", "masks"):
            for split in NAMES:  # its readers need them, also if empty
                (folder / kind / split).mkdir(parents=True)
        self._rle = folder / "run_lengths.jsonl"
        self._lines = self._rle.open("x", encoding="utf-8")

    def add(self, example: Example) -> dict[str, Any] | None:
        if example.objects is not None:
            return self._objects(example, example.objects)
        if example.mask is None:
            return None
        name = f"{example.split}/{example.stem}"
        image, mask = f"images/{name}{example.suffix}", f"masks/{name}.png"
        (self._folder / image).write_bytes(example.data)
        (self._folder / mask).write_bytes(example.drawn.png)
        (self._folder / f"labels/{name}.txt").write_text(
            self._label(example, example.drawn.runs), encoding="utf-8"
        )
        line = {"file_name": image, "rle": example.drawn.runs.rle}
        self._lines.write(json.dumps(line) + "\n")
        return {"file_name": image, **example.values, "mask_file_name": mask}

    def _objects(self, example: Example, found: ImageObjects) -> dict[str, Any] | None:
        """A line for each; an empty file for an image in which there is nothing."""
        if not found.answered:
            return None
        name = f"{example.split}/{example.stem}"
        image, size = f"images/{name}{example.suffix}", (example.width, example.height)
        (self._folder / image).write_bytes(example.data)
        lines = []
        for one in found.objects:
            outline = joined(polygons(one.runs)) if one.runs else one.outline
            lines.append(_line(one.category, outline, size))
        (self._folder / f"labels/{name}.txt").write_text("".join(lines), encoding="utf-8")
        values = {"file_name": image, **example.values}
        return values | ({"mask_file_name": None} if self._plan.masks else {})

    def close(self) -> list[Path]:
        self._lines.close()
        # No `path`: then the folder of this file is meant, wherever the reader stands.
        lines = [f"# {self._plan.dataset}/{self._plan.snapshot}"]
        lines += [f"{split}: images/{split}" for split in NAMES]
        lines += ["names:"]
        lines += [f"  {i}: {yaml_text(name)}" for i, name in enumerate(self._plan.names)]
        (self._folder / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [self._rle]

    def abort(self) -> None:
        shut(self._lines)

    def _label(self, example: Example, runs: RunLengths) -> str:
        outline = joined(polygons(runs))
        return _line(example.category, outline, (example.width, example.height))


def _line(category: int, outline: list[float], size: tuple[int, int]) -> str:
    points = [f"{min(max(v / size[i % 2], 0), 1):.6f}" for i, v in enumerate(outline)]
    return " ".join([str(category), *points]) + "\n"
