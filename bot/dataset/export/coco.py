"""COCO: images, masks, and one JSON per split with run lengths, one with polygons."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import IO, Any

from bot.dataset.export.examples import Example, Plan
from bot.dataset.export.files import shut
from bot.dataset.export.objects import ExportedObject
from bot.dataset.export.outlines import polygons

KINDS = ("instances", "polygons")  # run lengths are exact; polygons leave out holes


class Coco:
    """`images/SPLIT/…`, `masks/SPLIT/…`, `annotations/instances_SPLIT.json`, `polygons_SPLIT.json`.

    An image has at most one annotation, its main object; its class is the hashtag that fits best.
    With `--objects`: one for each object that was found, with its score.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._files: dict[str, dict[str, _Json]] = {}
        self._number = 0

    def add(self, example: Example) -> dict[str, Any] | None:
        objects = example.objects
        if objects is not None and not objects.answered:
            return None  # without annotations it would say that nothing is to be seen
        number = int(example.stem) + 1
        name = f"{example.split}/{example.file}"
        files = self._of(example.split)
        (self._folder / "images" / name).write_bytes(example.data)
        values = {"file_name": f"images/{name}", **example.values}
        if self._plan.masks:
            values["mask_file_name"] = None
        image = {"id": number, **example.values, "source_id": example.values["id"]}
        image |= {"id": number, "file_name": example.file}
        for file in files.values():
            file.image(image)
        for one in objects.objects if objects is not None else ():
            self._object(files, number, one)
        if example.mask is not None and objects is None:
            mask_name = f"masks/{example.split}/{example.stem}.png"
            (self._folder / mask_name).write_bytes(example.drawn.png)
            values["mask_file_name"] = mask_name
            runs = example.drawn.runs
            annotation = {
                "id": number,
                "image_id": number,
                "category_id": example.category + 1,
                "bbox": list(runs.box),
                "area": runs.area,
                "iscrowd": 0,
            }
            shapes = {"instances": runs.rle, "polygons": polygons(runs)}
            for kind, file in files.items():
                file.annotation(annotation | {"segmentation": shapes[kind]})
        return values

    def _object(self, files: dict[str, _Json], image: int, one: ExportedObject) -> None:
        self._number += 1
        annotation = {
            "id": self._number,
            "image_id": image,
            "category_id": one.category + 1,
            "bbox": list(one.box),
            "area": one.runs.area if one.runs else round(one.box[2] * one.box[3], 2),
            "iscrowd": 0,
            "score": one.score,
        }
        shapes: dict[str, Any] = {
            "instances": one.runs.rle if one.runs else [one.outline],
            "polygons": polygons(one.runs) if one.runs else [one.outline],
        }
        for kind, file in files.items():
            file.annotation(annotation | {"segmentation": shapes[kind]})

    def close(self) -> list[Path]:
        paths = []
        for files in self._files.values():
            for file in files.values():
                file.close()
                paths.append(file.path)
        return sorted(paths)

    def abort(self) -> None:
        for files in self._files.values():
            for file in files.values():
                file.abort()

    def _of(self, split: str) -> dict[str, _Json]:
        if split not in self._files:
            (self._folder / "images" / split).mkdir(parents=True)
            if self._plan.masks:
                (self._folder / "masks" / split).mkdir(parents=True)
            folder = self._folder / "annotations"
            folder.mkdir(exist_ok=True)
            kinds = KINDS if self._plan.masks or self._plan.objects else KINDS[:1]
            self._files[split] = {
                kind: _Json(folder / f"{kind}_{split}.json", self._plan) for kind in kinds
            }
        return self._files[split]


class _Json:
    """One COCO file, never whole in memory: annotations wait in a file of their own."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self._images: IO[str] = path.open("x", encoding="utf-8")
        self._waiting: IO[str] = path.with_suffix(".part").open("x+", encoding="utf-8")
        info = {
            "description": f"{plan.dataset}/{plan.snapshot}",
            "version": plan.manifest_sha256,
            "date_created": plan.created,
        }
        categories = [
            {"id": i + 1, "name": name, "supercategory": "hashtag"}
            for i, name in enumerate(plan.names)
        ]
        head = json.dumps({"info": info, "licenses": [], "categories": categories})
        self._images.write(head.removesuffix("}") + ', "images": [')
        self._between: dict[IO[str], str] = {self._images: "\n", self._waiting: "\n"}

    def image(self, value: dict[str, Any]) -> None:
        self._put(self._images, value)

    def annotation(self, value: dict[str, Any]) -> None:
        self._put(self._waiting, value)

    def close(self) -> None:
        self._images.write('\n], "annotations": [')
        self._waiting.seek(0)
        shutil.copyfileobj(self._waiting, self._images)
        self._images.write("\n]}\n")
        self._waiting.close()
        self.path.with_suffix(".part").unlink()
        self._images.close()

    def abort(self) -> None:
        shut(self._images)
        shut(self._waiting)

    def _put(self, file: IO[str], value: dict[str, Any]) -> None:
        file.write(self._between[file] + json.dumps(value, ensure_ascii=False))
        self._between[file] = ",\n"
