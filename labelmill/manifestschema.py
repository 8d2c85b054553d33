"""The JSON Schema of manifests, made from the classes that they are read into."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from labelmill.gates_result import GateResult
from labelmill.manifest import FORMAT_VERSION, Manifest
from labelmill.shard import Shard
from labelmill.slicecounts import SliceSummary
from labelmill.votes import LFInfo


def manifest_schema() -> str:
    """Return the JSON Schema of a manifest, for tools that read one without labelmill."""
    document = _schema_of(Manifest)
    properties = document["properties"]
    for name, item in (("lfs", LFInfo), ("shards", Shard), ("gates", GateResult)):
        properties[name]["items"] = _schema_of(item)
    slices = _schema_of(SliceSummary)
    document["$defs"] |= slices.pop("$defs")
    properties["summary"]["properties"] = {"slices": {"type": "array", "items": slices}}
    properties["format_version"]["maximum"] = FORMAT_VERSION
    properties["digest"] = {"title": "Digest", "type": "string"}
    document["required"] = sorted(properties)
    document["additionalProperties"] = False
    return json.dumps(document, indent=2)


def _schema_of(kind: type) -> dict[str, Any]:
    """Return the schema of a dataclass without docstrings, which speak of Python."""
    document = TypeAdapter(kind).json_schema()
    for part in (document, *document.get("$defs", {}).values()):
        part.pop("description", None)
    return document
