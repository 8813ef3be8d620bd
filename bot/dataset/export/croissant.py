"""croissant.json: a description for machines, in the format MLCommons Croissant 1.0.

Its record set reads `records.jsonl`, which every export has: one line of JSON for each image.
"""

from __future__ import annotations

from typing import Any

from bot.dataset.export.examples import Plan

RECORDS = "records.jsonl"
_TYPES = {
    "text": "sc:Text",
    "texts": "sc:Text",
    "time": "sc:DateTime",
    "int": "sc:Integer",
    "float": "sc:Float",
    "floats": "sc:Float",
}
_MEDIA_TYPES = {
    ".tar": "application/x-tar",
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
}
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def describe(plan: Plan, files: dict[str, tuple[str, int]]) -> dict[str, Any]:
    """`files`: name relative to the export → (SHA-256, bytes), including RECORDS."""
    version = plan.snapshot if plan.snapshot.count(".") == 2 else "1.0.0"
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": f"{plan.dataset}-{plan.snapshot}",
        "description": f"Snapshot {plan.snapshot} of the dataset {plan.dataset}: photos that "
        "people published with hashtags, collected and curated by tagecho.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "The photos belong to their authors; see README.md",
        "url": f"urn:sha256:{plan.manifest_sha256}",
        "version": version,
        "datePublished": plan.created,
        "citeAs": f"{plan.dataset}/{plan.snapshot}, manifest {plan.manifest_sha256}",
        "distribution": [_file(name, *facts) for name, facts in sorted(files.items())],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "description": "One record for each image.",
                "key": {"@id": "images/id"},
                "field": [_field(column) for column in plan.columns],
            }
        ],
    }


def _file(name: str, sha256: str, size: int) -> dict[str, Any]:
    suffix = "." + name.rpartition(".")[2]
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{size} B",
        "encodingFormat": _MEDIA_TYPES[suffix],
        "sha256": sha256,
    }


def _field(column: Any) -> dict[str, Any]:
    field = {
        "@type": "cr:Field",
        "@id": f"images/{column.name}",
        "name": column.name,
        "description": column.about,
        "dataType": _TYPES[column.kind],
        "source": {"fileObject": {"@id": RECORDS}, "extract": {"column": column.name}},
    }
    return field | ({"repeated": True} if column.kind.endswith("s") else {})
