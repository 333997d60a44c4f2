"""Facts to Croissant metadata: what machines other than the Hub's read of a dataset.

Version 1.1 of the format, https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. Paths
are relative, so that the file describes the folder that it lies in, wherever that is.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sousa.builders.schema import SCHEMA_VERSION
from sousa.cards.column_tables import described
from sousa.cards.facts import ConfigFacts, Facts, Json
from sousa.cards.label_columns import LISTS

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

SPLIT: Final = "split"
"""Field of all rows, beside their columns."""

NO_ID: Final = re.compile(r"[^A-Za-z0-9_.-]")
"""Marks that no id may have."""

PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of fields that can stand in a path."""

TYPES: Final = {"string": "sc:Text", "large_string": "sc:Text", "bool": "sc:Boolean"}
"""Types of the format, by `datasets`' dtype; numbers by their first letters."""

CONTEXT: Final[Mapping[str, Any]] = {
    "@language": LANGUAGE,
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
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
    "isArray": "cr:isArray",
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
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "license": LICENSE_PAGES.get(str(license_), license_),
        **({"citeAs": cite} if cite else {}),
        "url": f"https://huggingface.co/datasets/{place}",
        "version": f"{SCHEMA_VERSION}.0.0",
        "keywords": metadata.get("tags", []),
        "isLiveDataset": False,
        "distribution": [*_files(facts, manifest), *_sets(facts)],
        "recordSet": [
            record_set
            for name, id_ in _ids(facts.configs).items()
            for record_set in (_splits(id_, facts.configs[name]), _rows(name, id_, facts))
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
                "@id": "/".join(NO_ID.sub("_", part) for part in path.split("/")),
                "name": path,
                "contentUrl": path,
                "contentSize": f"{known.get('bytes')} B",
                "encodingFormat": PARQUET,
                "sha256": str(digest),
            }


def _sets(facts: Facts) -> Iterator[Json]:
    for name, id_ in _ids(facts.configs).items():
        yield {
            "@type": "cr:FileSet",
            "@id": f"{id_}-shards",
            "name": f"{name}-shards",
            "description": f"The shards of config {name}, of all splits.",
            "encodingFormat": PARQUET,
            "includes": f"{name}/*.parquet",
        }


def _ids(names: Iterable[str], *taken: str) -> dict[str, str]:
    """Return an id of the format for each name: the name itself, unless it is none or is taken.

    Examples:
        >>> _ids(["a", "b c", "split"], "split")
        {'a': 'a', 'b c': 'b_c_1', 'split': 'split_2'}
    """
    found: dict[str, str] = {}
    used = {*taken}
    for place, name in enumerate(names):
        id_ = name
        if NO_ID.search(name) or not name or name in used:
            id_ = f"{NO_ID.sub('_', name)}_{place}"
        while id_ in used:
            id_ += "_"
        used.add(id_)
        found[name] = id_
    return found


def _splits(id_: str, config: ConfigFacts) -> Json:
    key = f"{id_}-splits/split"
    return {
        "@type": "cr:RecordSet",
        "@id": f"{id_}-splits",
        "name": f"{id_}-splits",
        "dataType": "cr:Split",
        "key": {"@id": key},
        "field": [{"@type": "cr:Field", "@id": key, "name": "split", "dataType": "sc:Text"}],
        "data": [{key: split} for split in config.splits],
    }


def _rows(name: str, id_: str, facts: Facts) -> Json:
    config = facts.configs[name]
    docs = {column.name: column.doc for column in described(facts)}
    split = {
        "@type": "cr:Field",
        "@id": f"{id_}/split",
        "name": "split",
        "description": "The split, by the name of the shard.",
        "dataType": "sc:Text",
        "references": {"field": {"@id": f"{id_}-splits/split"}},
        "source": {
            "fileSet": {"@id": f"{id_}-shards"},
            "extract": {"fileProperty": "fullpath"},
            # Also matches the name alone: mlcroissant applies it to the split's key, too.
            "transform": {
                "regex": rf"(?:^|{re.escape(name)}/)({'|'.join(config.splits)})(?:-\d{{5}}-|$)"
            },
        },
    }
    fields = {
        column: _field(id_, field_id, column, config.features[column], docs.get(column, ""))
        for column, field_id in _ids(config.features, SPLIT).items()
    }
    left_out = [column for column, field in fields.items() if field is None]
    note = f" Not in here, for the format has no type for them: {', '.join(left_out)}."
    return {
        "@type": "cr:RecordSet",
        "@id": id_,
        "name": name,
        "description": f"Config {name}, {config.rows} rows." + (note if left_out else ""),
        "field": [split, *(field for field in fields.values() if field is not None)],
    }


def _field(config: str, id_: str, column: str, feature: Any, doc: str) -> Json | None:
    """Return one column; None if the format has no type for it."""
    said = (doc + "." * bool(doc) + _classes(feature)).strip()
    field = {"@type": "cr:Field", "@id": f"{config}/{id_}", "name": column, "description": said}
    source = {"fileSet": {"@id": f"{config}-shards"}, "extract": {"column": column}}
    if isinstance(feature, dict) and "_type" not in feature:
        parts = list(_parts(f"{config}/{id_}", feature, source))
        return field | {"subField": parts} if parts else None
    typed = _typed(feature)
    if typed is None:
        return None
    if typed["dataType"] == "sc:AudioObject":
        source = {**source, "transform": {"jsonPath": "bytes"}}
    return field | typed | {"source": source}


def _parts(id_: str, feature: Json, source: Json) -> Iterator[Json]:
    """Yield the fields of a struct that the format has types and paths for."""
    for name, part in feature.items():
        typed = _typed(part)
        if typed is not None and PATH.fullmatch(name):
            path = {**source, "transform": {"jsonPath": name}}
            said = {"description": classes} if (classes := _classes(part).strip()) else {}
            field = {"@type": "cr:Field", "@id": f"{id_}/{name}", "name": name}
            yield field | said | typed | {"source": path}


def _typed(feature: Any) -> Json | None:
    """Return the data type of a feature, and of lists that they are, and how deep."""
    depth = 0
    while isinstance(feature, dict) and feature.get("_type") in LISTS:
        feature, depth = feature.get("feature"), depth + 1
    if not isinstance(feature, dict):
        return None
    match feature.get("_type"):
        case "Value":
            name = _value_type(str(feature.get("dtype")))
        case "ClassLabel":
            name = "sc:Integer"
        case "Audio" if not depth:
            name = "sc:AudioObject"
        case _:
            name = None
    if name is None:
        return None
    shape = {"isArray": True, "arrayShape": ",".join(["-1"] * depth)} if depth else {}
    return {"dataType": name, **shape}


def _classes(feature: Any) -> str:
    """Return the classes of a feature, by their ids; empty if it has none."""
    while isinstance(feature, dict) and feature.get("_type") in LISTS:
        feature = feature.get("feature")
    names = feature.get("names") if isinstance(feature, dict) else None
    named = [f"{id_} {name}" for id_, name in enumerate(names)] if isinstance(names, list) else []
    return f" Classes: {', '.join(named)}." if named else ""


def _value_type(dtype: str) -> str | None:
    if dtype.startswith(("int", "uint")):
        return "sc:Integer"
    return "sc:Float" if dtype.startswith("float") else TYPES.get(dtype)
