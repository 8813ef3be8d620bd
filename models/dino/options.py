"""The command line of models.dino.train: one option per field of the recipe, and the machine's."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from models.dino.recipe import SIZES, DinoRecipe
from models.dino.start import fingerprint, load_start


@dataclass(frozen=True)
class Options:
    photos: list[Path]
    out: Path
    recipe: DinoRecipe
    start: Path | None
    grid: int | None
    resume: Path | None
    posts: Path | None
    masks: Path | None
    ids: Path | None
    knn_photos: int
    save_every: int
    select_every: int
    device: str
    bfloat16: bool
    workers: int
    threads: int


def parse(arguments: Sequence[str] | None, description: str | None) -> Options:
    """ValueError and WeightsError for options that do not fit each other."""
    given = vars(_parser(description).parse_args(arguments))
    size, precision, start = given.pop("size"), given.pop("precision"), given["start"]
    asked = {f.name: given.pop(f.name) for f in fields(DinoRecipe) if f.metadata}
    chosen = {name: value for name, value in asked.items() if value is not None}
    shape = dict(zip(("width", "depth", "heads"), SIZES[size or "light"], strict=True))
    if start is not None:
        fixed = {"width", "depth", "heads", "patch", "eps"}
        if size or fixed & set(chosen):
            raise ValueError(
                f"{start} decides the size: leave out --size and the ViT's own options"
            )
        shape = load_start(start, chosen.get("grid")).shape._asdict() | {
            "start": fingerprint(start)
        }
    values: dict[str, Any] = shape | _sides(shape.get("patch", DinoRecipe.patch)) | chosen
    if "decay" in values:
        low, high = values["decay"]
        values["decay"] = (low, high)
    bfloat16 = given["device"] == "cuda" if precision == "auto" else precision == "bfloat16"
    return Options(recipe=DinoRecipe(**values), grid=chosen.get("grid"), bfloat16=bfloat16, **given)


def _sides(patch: int) -> dict[str, int]:
    """The default sides of crops, as near as whole patches come to them."""
    return {
        name: patch * max(1, round(getattr(DinoRecipe, name) / patch))
        for name in ("global_side", "local_side")
    }


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m models.dino.train",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--photos", type=Path, nargs="+", required=True, help="folders of JPEG and PNG files")
    add("--out", type=Path, required=True, help="folder for checkpoints, log and curves")
    add("--size", choices=sorted(SIZES), help="of the ViT: light 192x6 (default), tiny 192x12, "
        "small 384x12")  # fmt: skip
    add("--start", type=Path, help="folder in the hub's layout (facebook/dino-vits16), or a "
        "checkpoint or segment.onnx of ours, that gives the ViT its first weights")  # fmt: skip
    add("--resume", type=Path, help="checkpoint to go on from, instead of OUT/last.pt")
    _add_selection(parser.add_argument_group("selection of best.pt"))
    _add_machine(parser.add_argument_group("machine"))
    _add_recipe(parser.add_argument_group("recipe"))
    return parser


def _add_selection(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--posts", type=Path, help="JSON lines of id, author, hashtag; photos below its folder: "
        "kNN accuracy")  # fmt: skip
    add("--masks", type=Path, help="photos/ID.jpg and labels/ID.png: NCut IoU")
    add("--ids", type=Path, help="file that names the masks to use")
    add("--knn-photos", type=_count, default=2000, help="photos of --posts to use (%(default)s)")
    add("--select-every", type=_count, default=200, help="steps (%(default)s)")


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--device", choices=("cpu", "cuda"), help="cuda where there is one",
        default="cuda" if torch.cuda.is_available() else "cpu")  # fmt: skip
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="auto: bfloat16 on cuda")  # fmt: skip
    add("--workers", type=int, default=0, help="processes that cut crops (%(default)s)")
    add("--threads", type=_count, default=1, help="of torch on the CPU (%(default)s)")
    add("--save-every", type=_count, default=50, help="steps (%(default)s)")


def _add_recipe(group: argparse._ArgumentGroup) -> None:
    """Without a default of their own: what was asked for must be told from what was not."""
    for option in fields(DinoRecipe):
        if not option.metadata:
            continue
        default = option.default
        pair = isinstance(default, tuple)
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        group.add_argument(
            "--" + option.name.replace("_", "-"),
            type=float if pair else type(default),
            nargs=2 if pair else None,
            choices=option.metadata["choices"],
            help=f"{option.metadata['help']} ({shown})",
            metavar=None if option.metadata["choices"] or pair else "N",
        )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value
