"""The page about the job file, from its schema."""

from __future__ import annotations

import json
import re
from typing import Any

from labelmill.jobspec import JobSpec

HEAD = """\
# The job file

One YAML file per job. Unknown keys are errors. Relative paths start at the job file's folder.
`labelmill schema` prints the JSON Schema for editors; this page is generated from it
(`make docs`).

All sections in one job; `name`, `input`, `labels`, `lfs` and `output` are enough:

```yaml
name: spam
input:
  uri: [data/2024/, "data/2025-*.csv.gz"]
  id: id
  format: csv
  types: {id: string}
labels: [ham, spam]
lfs:
  - lfs.py
  - keywords: {name: money, label: spam, words: [cash, "free prize"], field: text}
  - regex: {name: link, label: spam, pattern: 'https?://', ignore_case: true}
  - {field: price, op: '<', value: 3, label: spam, name: cheap}
  - lookup: {name: sender, field: from, table: senders.csv, key: who, label_column: class}
  - all: {name: pushy, label: spam, of: [link, {not: {keywords: {words: [thanks]}}}]}
  - votes: {uri: crowd.parquet, item: id, source: worker, vote: answer, prefix: crowd_}
  - prompted:
      name: tone
      model: small-model
      endpoint: http://localhost:8000/v1
      template: "Is this comment spam? {text}"
      classes: [ham, spam]
      only_where: uncovered
      max_tokens_total: 1000000
output: {uri: "s3://bucket/spam"}
gold: {column: truth, uri: judged.csv, id: id, fit: 0.5}
model: {name: default}
slices:
  dear: {field: price, op: '>', value: 100}
  polite: {keywords: {words: [thanks, please]}}
gates: {min_coverage: 0.5, max_label_shift: 0.05}
limits: {timeout: 30}
runner: {name: local, options: [--direct_num_workers=4]}
```

Any value can be given on the command line as well: `--set gold.fit=1.0`.
"""


def is_entry(name: str) -> bool:
    """Whether a definition is a mapping with one key, shown where it is used."""
    return name.endswith("Entry")


def is_part(name: str) -> bool:
    """Whether a definition is a function without name and label, as combinations have them."""
    return name.endswith(("Part", "Fields"))


def type_name(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        if is_entry(name):
            ((key, content),) = definitions[name]["properties"].items()
            return f"`{key}:` {type_name(content, definitions)}"
        return f"[{name}](#{name.lower()})"
    if any(is_part(name) for name in re.findall(r'"#/\$defs/(\w+)"', json.dumps(field))):
        return "map from names to parts" if field.get("type") == "object" else "list of parts"
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        return " or ".join(type_name(option, definitions) for option in options)
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {type_name(field['items'], definitions)}"
    if kind == "object":
        values = field.get("additionalProperties", {})
        return f"map to {type_name(values, definitions) if isinstance(values, dict) else 'any'}"
    names = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}
    text = names.get(kind, kind)
    if "minimum" in field and "maximum" in field:
        text += f" from {field['minimum']:g} to {field['maximum']:g}"
    return text


def section(title: str, model: dict[str, Any], definitions: dict[str, Any]) -> str:
    required = set(model.get("required", ()))
    lines = [f"## {title}", "", model.get("description", ""), "", "| key | type | default | |"]
    lines.append("|---|---|---|---|")
    for key, field in model["properties"].items():
        default = "required" if key in required else f"`{field.get('default')}`"
        if isinstance(field.get("default"), dict) or (
            "default" not in field and key not in required
        ):
            default = ""
        default = default.replace("`None`", "").replace("`True`", "`true`")
        default = default.replace("`False`", "`false`")
        description = field.get("description", "").replace("|", "\\|")
        lines.append(f"| `{key}` | {type_name(field, definitions)} | {default} | {description} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page."""
    schema = JobSpec.model_json_schema()
    definitions = schema["$defs"]
    sections = [section("JobSpec", schema, definitions)]
    sections += [
        section(name, model, definitions)
        for name, model in definitions.items()
        if not (is_entry(name) or is_part(name))
    ]
    return HEAD + "\n" + "\n".join(sections)
