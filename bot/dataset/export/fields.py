"""The fields of an image in an export: chosen by name, flat, by default without names of people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bot.core.errors import UsageError
from bot.schema.problems import did_you_mean

_MENTION = re.compile(r"(?<![A-Za-z0-9_.@/])([@＠])[A-Za-z0-9_][A-Za-z0-9._]*")


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str  # text | time | int | float | texts | floats
    about: str
    usual: bool = True  # included unless --fields says otherwise


FIELDS = (
    Field("hashtags", "texts", "the post's hashtags, without '#'"),
    Field(
        "probabilities",
        "floats",
        "how probably each hashtag fits; null or none: not scored",
    ),
    Field("platform", "text", "the address of the post"),
    Field("post_id", "text", "the platform's id of the post"),
    Field("index", "int", "which image of the post, from 0"),
    Field("url", "text", "the post: its author, and where to ask for anything"),
    Field("taken_at", "time", "when it was posted, UTC"),
    Field("author", "text", "pseudonym: the same person has the same one in this dataset only"),
    Field("kind", "text", "photo, or cover of a video"),
    Field("verdicts", "texts", "checks of curation that it did not pass"),
    Field("sentence", "text", "the image in a sentence, by a network or a person; empty: none"),
    Field("sentence_language", "text", "of the sentence: en, or what the person said"),
    Field("sentence_model", "text", "the network that wrote it, or person"),
    Field("tags", "texts", "what is to be seen, by a network or a person"),
    Field("tag_scores", "floats", "how probably each tag fits; null or none: it does not say"),
    Field("tag_model", "text", "the network of the tags, or person"),
    Field("label_model", "text", "the network of the probabilities"),
    Field("curation_version", "text", "version of the checks"),
    Field("caption", "text", "the text of the post as last seen; @names are hidden", usual=False),
    Field("place_name", "text", "the place that the post names", usual=False),
    Field("place_lat", "float", "degrees north", usual=False),
    Field("place_lng", "float", "degrees east", usual=False),
    Field("user_id", "text", "the author's id on the platform", usual=False),
    Field("username", "text", "the author's name; captions keep their @names then", usual=False),
)
ALWAYS = (
    Field("id", "text", "dataset/snapshot/number"),
    Field("file_name", "text", "the image in this export"),
    Field("split", "text", "train, val or test"),
    Field("width", "int", "pixels, upright"),
    Field("height", "int", "pixels, upright"),
    Field("sha256", "text", "of the image file in this export"),
    Field("source_sha256", "text", "of the file as the platform sent it"),
)
OBJECTS = (
    Field("object_state", "text", "done, empty (nothing of it is there), failed, waiting, or none"),
    Field("object_classes", "texts", "the class of each object that `tagecho label` found"),
    Field("object_scores", "floats", "how sure, from 0 to 1"),
    Field("object_models", "texts", "the networks that found each, or person"),
    Field("object_boxes", "floats", "left, top, width, height in pixels: four for each object"),
    Field("object_masks", "texts", "COCO's run lengths as JSON; empty: a box only"),
)
MASKS = (
    Field("mask_file_name", "text", "mask of the main object, 0 or 255; null or all 0: none"),
    Field("mask_model", "text", "the network that made the mask, or person"),
)
DEFAULT = "default"
_BY_NAME = {field.name: field for field in FIELDS}


def chosen(text: str) -> tuple[Field, ...]:
    """Fields out of `default,caption`, in their usual order. Raises UsageError."""
    names: set[str] = set()
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name == DEFAULT:
            names |= {field.name for field in FIELDS if field.usual}
        elif name in _BY_NAME:
            names.add(name)
        else:
            known = ", ".join(_BY_NAME)
            raise UsageError(
                f"--fields: no {name!r}{did_you_mean(name, _BY_NAME)}; there are {known}, "
                f"and {DEFAULT}"
            )
    return tuple(field for field in FIELDS if field.name in names)


def said(record: dict[str, Any], fields: Iterable[Field]) -> dict[str, Any]:
    """Their values from the record of a snapshot."""
    names = [field.name for field in fields]
    told = record.get("words") or {}  # a snapshot may be older than they
    scores = [score for _, score in told.get("tags", [])]
    place, models = record["place"] or {}, record["models"]
    fits = [probability for _, probability in record["hashtags"]]
    values = {
        **{key: record[key] for key in _BY_NAME if key in record},
        "hashtags": [tag for tag, _ in record["hashtags"]],
        # An empty list, not nulls: pyarrow cannot read a column that has only lists of nulls.
        "probabilities": fits if any(fit is not None for fit in fits) else [],
        "sentence": told.get("sentence", ""),
        "sentence_language": told.get("language", ""),
        "sentence_model": told.get("sentence_by", ""),
        "tags": [tag for tag, _ in told.get("tags", [])],
        "tag_scores": scores if any(score is not None for score in scores) else [],
        "tag_model": told.get("tags_by", ""),
        "label_model": models.get("labels", ""),
        "curation_version": models.get("curation", ""),
        "place_name": place.get("name"),
        "place_lat": place.get("lat"),
        "place_lng": place.get("lng"),
    }
    if "username" not in names:
        values["caption"] = _MENTION.sub(r"\1…", record["caption"])
    return {name: values[name] for name in names}
