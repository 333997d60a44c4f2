"""Facts to Croissant metadata: what machines other than the Hub's read of a dataset.

Version 1.0 of the format, https://docs.mlcommons.org/croissant/docs/croissant-spec.html. Paths are
relative, so that the file describes the folder that it lies in, wherever that is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sousa.builders.schema import SCHEMA_VERSION
from sousa.cards.facts import ConfigFacts, Facts, Json
from sousa.cards.tables import described

LANGUAGE: Final = "en"
PARQUET: Final = "application/x-parquet"

LICENSE_PAGES: Final = {
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "cc-by-sa-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "mit": "https://opensource.org/license/mit",
}
"""Pages of the licenses that are usual for data; others are given by their id."""

TYPES: Final = {"string": "sc:Text", "large_string": "sc:Text", "bool": "sc:Boolean"}
"""Types of the format, by `datasets`' dtype; numbers by their first letters."""

CONTEXT: Final[Mapping[str, Any]] = {
    "@language": LANGUAGE,
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
"""Short names of the format's terms, as its specification gives them."""


def croissant(
    facts: Facts,
    metadata: Mapping[str, Any],
    manifest: Mapping[str, Any],
    *,
    place: str,
    about: str,
    cite: str,
) -> str:
    """Return `croissant.json`.

    Args:
        facts: What the dataset holds.
        metadata: Content of the card's YAML: title, license, tags.
        manifest: Content of `manifest.json`, for the hashes; may be empty.
        place: The dataset's id on the Hub.
        about: What it is, in a few sentences.
        cite: BibTeX entry; may be empty.
    """
    license_ = metadata.get("license", "unknown")
    content = {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "name": place.rpartition("/")[2],
        "alternateName": metadata.get("pretty_name", place),
        "description": about,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": LICENSE_PAGES.get(str(license_), license_),
        **({"citeAs": cite} if cite else {}),
        "url": f"https://huggingface.co/datasets/{place}",
        "version": f"{SCHEMA_VERSION}.0.0",
        "keywords": metadata.get("tags", []),
        "isLiveDataset": False,
        "distribution": [*_files(facts, manifest), *_sets(facts)],
        "recordSet": [
            record_set
            for name, config in facts.configs.items()
            for record_set in (_splits(name, config), _rows(name, config, facts))
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n"


def _files(facts: Facts, manifest: Mapping[str, Any]) -> Iterator[Json]:
    """Yield the shards whose hashes are known."""
    entries = manifest.get("shards")
    for entry in entries if isinstance(entries, list) else []:
        known = entry if isinstance(entry, dict) else {}
        path, digest = known.get("path"), known.get("sha256")
        if isinstance(path, str) and digest and path.partition("/")[0] in facts.configs:
            yield {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": path,
                "contentSize": f"{known.get('bytes')} B",
                "encodingFormat": PARQUET,
                "sha256": str(digest),
            }


def _sets(facts: Facts) -> Iterator[Json]:
    for name in facts.configs:
        yield {
            "@type": "cr:FileSet",
            "@id": f"{name}-shards",
            "name": f"{name}-shards",
            "description": f"The shards of config {name}, of all splits.",
            "encodingFormat": PARQUET,
            "includes": f"{name}/*.parquet",
        }


def _splits(name: str, config: ConfigFacts) -> Json:
    key = f"{name}-splits/split"
    return {
        "@type": "cr:RecordSet",
        "@id": f"{name}-splits",
        "name": f"{name}-splits",
        "dataType": "cr:Split",
        "key": {"@id": key},
        "field": [{"@type": "cr:Field", "@id": key, "name": "split", "dataType": "sc:Text"}],
        "data": [{key: split} for split in config.splits],
    }


def _rows(name: str, config: ConfigFacts, facts: Facts) -> Json:
    docs = {column.name: column.doc for column in described(facts)}
    split = {
        "@type": "cr:Field",
        "@id": f"{name}/split",
        "name": "split",
        "description": "The split, by the name of the shard.",
        "dataType": "sc:Text",
        "references": {"field": {"@id": f"{name}-splits/split"}},
        "source": {
            "fileSet": {"@id": f"{name}-shards"},
            "extract": {"fileProperty": "fullpath"},
            # Also matches the name alone: mlcroissant applies it to the split's key, too.
            "transform": {
                "regex": rf"(?:^|{re.escape(name)}/)({'|'.join(config.splits)})(?:-\d{{5}}-|$)"
            },
        },
    }
    columns = config.features
    fields = [_field(name, column, f, docs.get(column, "")) for column, f in columns.items()]
    left_out = [column for column, field in zip(columns, fields, strict=True) if field is None]
    note = f" Not in here, for the format has no type for them: {', '.join(left_out)}."
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"Config {name}, {config.rows} rows." + (note if left_out else ""),
        "field": [split, *(field for field in fields if field is not None)],
    }


def _field(config: str, column: str, feature: Any, doc: str) -> Json | None:
    """Return one column; None if the format has no type for it."""
    field = {"@type": "cr:Field", "@id": f"{config}/{column}", "name": column, "description": doc}
    source = {"fileSet": {"@id": f"{config}-shards"}, "extract": {"column": column}}
    if isinstance(feature, dict) and "_type" not in feature:
        parts = [
            _typed(part)
            and {
                "@type": "cr:Field",
                "@id": f"{config}/{column}/{name}",
                "name": name,
                "source": {**source, "transform": {"jsonPath": name}},
            }
            | (_typed(part) or {})
            for name, part in feature.items()
        ]
        return field | {"subField": [part for part in parts if part]}
    typed = _typed(feature)
    if typed is None:
        return None
    if typed["dataType"] == "sc:AudioObject":
        source = {**source, "transform": {"jsonPath": "bytes"}}
    return field | typed | {"source": source}


def _typed(feature: Any) -> Json | None:
    """Return the data type of a feature, and whether it is repeated."""
    if not isinstance(feature, dict):
        return None
    match feature.get("_type"):
        case "Value":
            name = _value_type(str(feature.get("dtype")))
            return {"dataType": name} if name else None
        case "ClassLabel":
            return {"dataType": "sc:Integer"}
        case "Audio":
            return {"dataType": "sc:AudioObject"}
        case "List" | "Sequence" | "LargeList":
            typed = _typed(feature.get("feature"))
            return None if typed is None or "repeated" in typed else typed | {"repeated": True}
    return None


def _value_type(dtype: str) -> str | None:
    if dtype.startswith(("int", "uint")):
        return "sc:Integer"
    return "sc:Float" if dtype.startswith("float") else TYPES.get(dtype)
