"""Print folders of Terraform files as JSON; run by the checkers' Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import hcl2


def plain(value: Any) -> Any:
    """Return a value without the parser's quotes and remarks."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


found: dict[str, dict[str, Any]] = {}
for folder in json.load(sys.stdin):
    blocks: dict[str, Any] = {}
    for path in sorted(Path(folder).glob("*.tf")):
        with path.open() as file:
            for kind, entries in plain(hcl2.load(file)).items():
                blocks.setdefault(kind, []).extend(entries)
    found[Path(folder).name] = blocks
print(json.dumps(found))
