"""Adding to a job file without touching a character of what is there.

Where something goes is told by YAML's own positions; what comes out is parsed again, and must say
what the file said before and what was added.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from labelmill.errors import JobSpecError


def add_functions(text: str, entries: Sequence[dict[str, Any]]) -> str:
    """Return the text of a job file with entries added to the end of its `lfs`.

    Raises:
        JobSpecError: Its `lfs` is not written out in a way that can be added to.
    """
    node = _value_of(yaml.compose(text), "lfs")
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise JobSpecError("the job file's `lfs` is no list that can be added to")
    if node.flow_style:
        at = node.end_mark.index - 1  # before the bracket
        inside = text[:at].rstrip()
        comma = "" if inside.endswith(",") else ","
        added = ", ".join(flow(entry) for entry in entries)
        result = f"{inside}{comma} {added}{text[at:]}"
    else:
        result = _after_block(text, node, entries)
    before, after = yaml.safe_load(text), yaml.safe_load(result)
    if after != {**before, "lfs": [*before["lfs"], *entries]}:
        raise JobSpecError(
            "functions cannot be added to this job file without changing the rest of it; paste them"
        )
    return result


def add_section(text: str, name: str, section: dict[str, Any]) -> str:
    """Return the text of a job file with a section added at its end.

    Raises:
        JobSpecError: It cannot be added there.
    """
    line = f"{name}: {flow(section)}\n"
    result = text + ("" if text.endswith("\n") else "\n") + line
    try:
        after = yaml.safe_load(result)
    except yaml.YAMLError:
        after = None
    if after != {**yaml.safe_load(text), name: section}:
        raise JobSpecError(f"this cannot be added to the job file; paste it: {line.strip()}")
    return result


def write_job(path: Path, text: str) -> None:
    """Replace a job file as a whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def flow(value: Any) -> str:
    """Return plain data as one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return _scalar(value)
    return json.dumps(value)


def entry_line(entry: dict[str, Any]) -> str:
    """Return an entry of `lfs` as a line of a block list."""
    ((kind, fields),) = entry.items()
    return f"- {kind}: {flow(fields)}"


def _scalar(text: str) -> str:
    """Return text as a plain YAML scalar where it stays text, else quoted."""
    if "'" not in text and "\\" in text and text.isprintable():
        return f"'{text}'"
    plain = text.isascii() and text.replace("_", "").replace("-", "").replace(" ", "").isalnum()
    if plain and text == text.strip() and not text.startswith("-"):
        try:
            if yaml.safe_load(f"[{text}]") == [text]:
                return text
        except (yaml.YAMLError, ValueError):
            pass
    return json.dumps(text, ensure_ascii=False)


def _value_of(root: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _after_block(text: str, node: yaml.SequenceNode, entries: Sequence[dict[str, Any]]) -> str:
    end = _last_character(node.value[-1])
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    indent = " " * node.start_mark.column
    added = "".join(f"\n{indent}{entry_line(entry)}" for entry in entries)
    return text[:stop].rstrip("\n") + added + text[stop:]


def _last_character(node: yaml.Node) -> int:
    """Return where the last thing written in a node ends; a block's own end is the next one."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_character(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        end -= 1  # a block text ends where the next line begins
    return end
