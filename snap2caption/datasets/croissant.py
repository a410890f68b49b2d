"""Croissant description of a dataset version: JSON-LD that tools for datasets load the samples by.

It follows version 1.1 of the format (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html). It depends on
the manifest alone, so that the same version has the same description. There is a record set for each split, which
joins the photos in the split's shards with the rows of its record table.
"""

import json
from typing import Any, Final

from snap2caption.datasets.manifest import File, Manifest, Split, SplitSummary
from snap2caption.datasets.records import records_name

CROISSANT = "croissant.json"
"""The description's file name."""

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"

# Appendix 1 of the specification.
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
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

_USES: Final[dict[Split, str]] = {
    "train": "https://mlcommons.org/definitions/training_split",
    "validation": "https://mlcommons.org/definitions/validation_split",
    "test": "https://mlcommons.org/definitions/test_split",
}

_COLUMNS = {
    "id": "The sample's id in the corpus",
    "city": "The city, or the group of another kind, that the sample belongs to",
    "caption": "The caption without hashtags, cleaned",
    "hashtags": "The hashtags without their #, in the caption's order",
    "group": "The name that the sample shares with near-duplicates and copies; they are all in one split",
}
_LISTS = frozenset({"hashtags"})


def croissant(manifest: Manifest) -> bytes:
    """Return the description of the version of *manifest* as JSON.

    Its URLs are relative: they name the files next to it, wherever the version lies. A split without samples has no
    record set. There is no date of publication unless the manifest has one, since the same input gives the same bytes
    on any day; and no license, as the corpus's authors keep their rights.
    """
    filled = {split: summary for split, summary in manifest.splits.items() if summary.samples}
    records = manifest.records or {}
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": f"snap2caption-{manifest.version}",
        "description": _description(manifest),
        "url": manifest.source.urls[0] if manifest.source.urls else f"urn:sha256:{manifest.source.sha256}",
        "license": {
            "@type": "sc:CreativeWork",
            "name": "Rights of the corpus",
            "description": "The rights of the photos and captions stay with their authors; see the corpus for its terms.",
        },
        "creator": {"@type": "sc:Organization", "name": "The authors of the corpus"},
        "version": f"0.0.0+{manifest.version}",
        **({"datePublished": manifest.created.isoformat()} if manifest.created else {}),
        "distribution": [
            part for split, summary in filled.items() for part in _files(split, summary, records.get(split))
        ],
        "recordSet": [_record_set(split) for split in filled if split in records],
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _description(manifest: Manifest) -> str:
    counts = ", ".join(f"{split} {summary.samples}" for split, summary in manifest.splits.items())
    cities = sorted({city for summary in manifest.splits.values() for city in summary.cities})
    return (
        f"Photos with captions and hashtags, cleaned and split without leaks, of {', '.join(cities) or 'no city'}; "
        f"samples: {counts}. Made from the corpus with the SHA-256 {manifest.source.sha256}."
    )


def _photos(split: Split) -> str:
    return f"{split}-photos"


def _files(split: Split, summary: SplitSummary, records: File | None) -> list[dict[str, Any]]:
    shards = [
        _file(File(name=one.name, sha256=one.sha256, bytes=one.bytes), "application/x-tar") for one in summary.shards
    ]
    photos = {
        "@type": "cr:FileSet",
        "@id": _photos(split),
        "name": _photos(split),
        "description": f"The photos of the split {split}.",
        "containedIn": [{"@id": shard["@id"]} for shard in shards],
        "encodingFormat": "image/jpeg",
        "includes": "*.jpg",
    }
    return [*shards, photos, *([_file(records, "application/x-parquet")] if records else [])]


def _file(file: File, format_: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": format_,
        "sha256": file.sha256,
    }


def _record_set(split: Split) -> dict[str, Any]:
    table = records_name(split)

    def column(name: str) -> dict[str, Any]:
        return {"fileObject": {"@id": table}, "extract": {"column": name}}

    def photo(what: str) -> dict[str, Any]:
        return {"fileSet": {"@id": _photos(split)}, "extract": {"fileProperty": what}}

    def field(name: str, about: str, kind: str, source: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "@type": "cr:Field",
            "@id": f"{split}/{name}",
            "name": name,
            "description": about,
            "dataType": kind,
            "source": source,
            **more,
        }

    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"The samples of the split {split}.",
        "dataType": ["cr:Split", _USES[split]],
        "key": {"@id": f"{split}/photo"},
        "field": [
            field("photo", "The photo's name in its shard", "sc:Text", photo("filename"), references=column("photo")),
            field("image", "The photo", "sc:ImageObject", photo("content")),
            *(
                field(
                    name,
                    about,
                    "sc:Text",
                    column(name),
                    **({"isArray": True, "arrayShape": "-1"} if name in _LISTS else {}),
                )
                for name, about in _COLUMNS.items()
            ),
        ],
    }
