"""The page about manifests, from their schema and the docstrings of what they are read into."""

from __future__ import annotations

import inspect
import json
from typing import Any

from griffe import Docstring, DocstringSectionAttributes
from reference_job import type_name

from labelmill.gates_result import GateResult
from labelmill.manifest import FileEntry, Manifest
from labelmill.manifestschema import manifest_schema
from labelmill.shard import Shard
from labelmill.votes import LFInfo

HEAD = """\
# The manifest

Every version has one, a JSON file that names what the version was made from and each of its files
with its checksum. `labelmill schema manifest` prints the JSON Schema that this page is made from
(`make docs`); [store layout](../store-layout.md) says where manifests are and how a version is
committed.
"""


def page() -> str:
    """Return the page."""
    schema = json.loads(manifest_schema())
    properties = schema["properties"]
    parts = {
        Manifest: schema,
        FileEntry: schema["$defs"]["FileEntry"],
        **{
            kind: properties[key]["items"]
            for key, kind in (("lfs", LFInfo), ("shards", Shard), ("gates", GateResult))
        },
    }
    return HEAD + "".join(section(kind, part) for kind, part in parts.items())


def section(kind: type, part: dict[str, Any]) -> str:
    told = {"digest": inspect.getdoc(Manifest.digest)} | attributes(kind)
    rows = [
        f"| `{key}` | {shown(key, field)} | {told.get(key, '')} |"
        for key, field in part["properties"].items()
    ]
    return "\n".join([f"\n## {kind.__name__}\n", "| key | type | |", "|---|---|---|", *rows, ""])


def shown(key: str, field: dict[str, Any]) -> str:
    """Return the type of a value; what has a table of its own links to it."""
    tables = {"lfs": "LFInfo", "shards": "Shard", "files": "FileEntry", "gates": "GateResult"}
    if key in tables and field.get("type") == "array":
        return f"list of [{tables[key]}](#{tables[key].lower()})"
    return type_name(field, {})


def attributes(kind: type) -> dict[str, str]:
    """Return what a class's docstring says of each attribute, on one line."""
    sections = Docstring(kind.__doc__ or "").parse("google", warnings=False)
    return {
        item.name: " ".join(item.description.split()).replace("``", "`").replace("|", "\\|")
        for found in sections
        if isinstance(found, DocstringSectionAttributes)
        for item in found.value
    }
