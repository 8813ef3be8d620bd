"""The dataset card: README.md, with the head that dataset hubs read."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bot.dataset.export.examples import Example, Plan
from bot.dataset.export.files import yaml_text

SHOWN = 20  # hashtags in the table
_YAML_TYPES = {
    "text": "dtype: string",
    "time": "dtype: string",
    "int": "dtype: int64",
    "float": "dtype: float64",
    "texts": "sequence: string",
    "floats": "sequence: float64",
}
COUNTED = 100_000  # different hashtags that are counted: memory stays bounded


@dataclass(slots=True)
class ExportSummary:
    """Counts of what was written."""

    items: int = 0
    bytes: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    hashtags: Counter[str] = field(default_factory=Counter)
    platforms: Counter[str] = field(default_factory=Counter)
    fits: Counter[str] = field(default_factory=Counter)  # hashtags with a probability of ≥ 0.5
    sentences: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    masks: int = 0
    networks: set[str] = field(default_factory=set)  # the networks that made the masks
    smallest: tuple[int, int] = (0, 0)
    largest: tuple[int, int] = (0, 0)
    first: str = ""  # when the oldest and the newest were taken
    last: str = ""

    def add(self, example: Example) -> None:
        self.items += 1
        self.bytes += len(example.data)
        self.splits[example.split] += 1
        self.masks += example.mask is not None
        size = (example.width, example.height)
        self.smallest = min(self.smallest if self.items > 1 else size, size, key=_area)
        self.largest = max(self.largest, size, key=_area)
        values = example.values
        if platform := values.get("platform"):
            self.platforms[platform] += 1
        if network := values.get("mask_model"):
            self.networks.add(network)
        tags = values.get("hashtags", [])
        fits = values.get("probabilities") or [None] * len(tags)
        for tag, probability in zip(tags, fits, strict=True):
            if tag in self.hashtags or len(self.hashtags) < COUNTED:
                self.hashtags[tag] += 1
                self.fits[tag] += (probability or 0) >= 0.5
        self.sentences += bool(values.get("sentence"))
        for tag in values.get("tags", []):
            if tag in self.tags or len(self.tags) < COUNTED:
                self.tags[tag] += 1
        if taken := values.get("taken_at", ""):
            self.first = min(self.first or taken, taken)
            self.last = max(self.last, taken)


def card(plan: Plan, kind: str, summary: ExportSummary, splits: dict[str, str]) -> str:
    """Markdown. `splits`: split → the glob of its files, for formats that `datasets` can load."""
    name = f"{plan.dataset}/{plan.snapshot}"
    return "\n".join(
        [
            *_head(plan, kind, splits),
            f"# {_plain(name)}",
            "",
            f"{summary.items} photos that people published with certain hashtags, collected and "
            f"curated by tagecho, as {kind}.",
            "",
            "## Rights",
            "",
            "**The photos belong to the people who took them.** Nothing in this folder licenses "
            "them to you: the law of your country, their authors and the terms of the platforms "
            "that showed them decide whether and how you may use them. Do not publish them, and do "
            "not try to find out who is shown. "
            "Who asks to be removed is removed: `tagecho forget` names the exports that held "
            "their photos, and such copies are to be deleted by whoever has them.",
            "",
            *_contents(plan, summary),
            *_columns(plan),
            "## Where it comes from",
            "",
            f"- dataset `{plan.dataset}`, snapshot `{plan.snapshot}` of {plan.created}",
            f"- manifest SHA-256 `{plan.manifest_sha256}`",
            f"- query `{json.dumps(plan.facts['query'], ensure_ascii=False, sort_keys=True)}`",
            f"- splits by author and by near duplicate, seed {plan.facts['seed']}; "
            f"{plan.facts['left_out']} images were left out because they would have lain in two",
            *(f"- {what}: `{', '.join(found)}`" for what, found in _models(plan, summary)),
            "",
            "A hashtag says what its author wanted it to say, which need not be in the picture; "
            "`probabilities` tell how well it fits what a network sees there. People, places and "
            "fashions of one platform are not those of the world.",
            "",
        ]
    )


def _head(plan: Plan, kind: str, splits: dict[str, str]) -> list[str]:
    lines = ["---", "license: other", "license_name: rights-of-the-authors"]
    lines += [f"pretty_name: {yaml_text(f'{plan.dataset}/{plan.snapshot}')}"]
    lines += ["task_categories:", "- image-classification"]
    lines += ["- image-segmentation"] if plan.masks else []
    if splits:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split, glob in splits.items():
            lines += [f"  - split: {split}", f"    path: {yaml_text(glob)}"]
    lines += _features(plan) if kind == "webdataset" else []
    return [*lines, "---", ""]


def _features(plan: Plan) -> list[str]:
    """The types in the tars, which a reader would guess of the first few images."""
    columns = [*((field.name, _YAML_TYPES[field.kind]) for field in plan.columns)]
    if plan.masks:
        columns += [("mask_polygons", "sequence: {sequence: float64}")]
        rle = "struct: [{name: size, sequence: int64}, {name: counts, dtype: string}]"
        columns += [("mask_rle", rle)]
    images = [plan.suffix.removeprefix("."), *(["mask.png"] if plan.masks else [])]
    lines = ["dataset_info:", "  features:"]
    lines += [f"  - {{name: {name}, dtype: image}}" for name in images]
    lines += [f"  - {{name: {name}, dtype: string}}" for name in ("__key__", "__url__")]
    lines += ["  - name: json", "    struct:"]
    return [*lines, *(f"    - {{name: {name}, {kind}}}" for name, kind in columns)]


def _contents(plan: Plan, summary: ExportSummary) -> list[str]:
    splits = ", ".join(f"{name} {count}" for name, count in sorted(summary.splits.items()))
    small, large = (f"{width}×{height}" for width, height in (summary.smallest, summary.largest))
    lines = ["## What is in it", "", f"- images: {splits}; {summary.bytes} bytes"]
    lines += [f"- sizes: {small} to {large} pixels"]
    if summary.platforms:
        found = ", ".join(f"{name} {count}" for name, count in sorted(summary.platforms.items()))
        lines += [f"- platforms: {found}"]
    lines += [f"- masks: {summary.masks}"] if plan.masks else []
    lines += [f"- images with a sentence: {summary.sentences}"] if summary.sentences else []
    if summary.tags:
        given = [f"{_plain(tag)} {count}" for tag, count in summary.tags.most_common(SHOWN)]
        lines += [f"- tags of a network or a person: {', '.join(given)}"]
    lines += [f"- taken: {summary.first[:10]} to {summary.last[:10]}"] if summary.first else []
    if plan.size is None:
        lines += [
            "- files: byte for byte as the platform gave them, whatever metadata they hold, but "
            "for those whose `sha256` is not their `source_sha256`: they were turned upright, or "
            "are of a kind that readers of this format do not take, and were drawn anew"
        ]
    else:
        lines += [f"- files: JPEG, at most {plan.size} px, without metadata"]
    lines.append("")
    if summary.hashtags:
        lines += ["| hashtag | images | fits |", "| --- | ---: | ---: |"]
        common = sorted(summary.hashtags.items(), key=lambda pair: (-pair[1], pair[0]))
        lines += [f"| {_plain(t)} | {n} | {summary.fits[t]} |" for t, n in common[:SHOWN]]
        lines.append("")
    return lines


def _columns(plan: Plan) -> list[str]:
    lines = ["| column | meaning |", "| --- | --- |"]
    lines += [f"| `{field.name}` | {field.about} |" for field in plan.columns]
    return [
        *lines,
        "",
        "In `metadata.jsonl` and `metadata.parquet` lists are JSON text.",
        "",
    ]


def _models(plan: Plan, summary: ExportSummary) -> list[tuple[str, list[str]]]:
    """For masks: the networks of the written masks, which may differ from the snapshot."""
    models = {what: found for what, found in plan.facts["models"].items() if what != "mask"}
    if summary.networks:
        models["mask"] = sorted(summary.networks)
    return sorted(models.items())


def _plain(text: str) -> str:
    """Untrusted text without Markdown and HTML."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>()#+-.!|~" else c for c in text)


def _area(size: Any) -> int:
    return int(size[0] * size[1])
