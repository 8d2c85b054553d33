"""Reading a job file: YAML with line numbers, overrides, errors as one line each."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from yaml.scanner import ScannerError

from labelmill.errors import JobSpecError
from labelmill.jobspec import JobSpec
from labelmill.lfspec import (
    FUNCTION_KINDS,
    PART_KINDS,
    CompareFields,
    CompareSpec,
    resolved_entry,
    resolved_part,
)
from labelmill.paths import resolve_uri
from labelmill.suggestion import did_you_mean
from labelmill.uris import without_credentials


def load_job(path: str | Path, overrides: Sequence[str] = ()) -> tuple[JobSpec, Path]:
    """Read and validate a job file.

    Args:
        path: The YAML file.
        overrides: ``key.sub=value`` assignments, the value in YAML, applied before validation.

    Returns:
        The job with relative paths resolved against the job file, and the job file's folder.

    Raises:
        JobSpecError: The file is missing, no YAML, or does not fit the schema; the message has
            one line per problem with its line in the file.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise JobSpecError(f"{path}: no such job file; `labelmill init` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobSpecError(f"{path}: cannot be read: {error}") from error
    node, value = _parse(text, path)
    given: dict[tuple[str, ...], str] = {}
    for override in overrides:
        given[_override(value, override)] = f"--set {override}"
    try:
        job = JobSpec.model_validate(value)
    except ValidationError as error:
        problems = dict.fromkeys(_problem(item, node, str(path), given) for item in error.errors())
        raise JobSpecError("\n".join(problems)) from None
    folder = path.resolve().parent
    return _resolve(job, folder), folder


# libyaml's loader reads the same and is ten times faster; a job may hold thousands of words.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _parse(text: str, path: Path) -> tuple[yaml.Node, dict[str, Any]]:
    """Return a YAML file's nodes, which know their lines, and its value."""
    try:
        try:
            node, value = _loaded(text)
        except ScannerError:
            node, value = _loaded(_ESCAPED_PAIR.sub(_as_one_escape, text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        parts = [getattr(error, "context", None), getattr(error, "problem", None)]
        reason = ", ".join(part for part in parts if part) or str(error).partition("\n")[0]
        raise JobSpecError(f"{path}{line}: not YAML: {reason}") from error
    except (ValueError, RecursionError) as error:  # a date such as 2024-13-45
        raise JobSpecError(f"{path}: not YAML: {error}") from error
    if node is None or not isinstance(value, dict):
        raise JobSpecError(f"{path}: a job file is a mapping with name, input, labels, lfs, output")
    repeated = [f"{path}:{line}: key {key!r} is given twice" for key, line in _repeated_keys(node)]
    if repeated:
        raise JobSpecError("\n".join(repeated))
    return node, value


def _loaded(text: str) -> tuple[yaml.Node | None, Any]:
    loader = _Loader(text)
    node = loader.get_single_node()
    return node, None if node is None else loader.construct_document(node)


_ESCAPED_PAIR = re.compile(
    r"(?P<backslash>\\\\)|\\u(?P<high>d[89ab][0-9a-f]{2})\\u(?P<low>d[c-f][0-9a-f]{2})",
    re.IGNORECASE,
)
"""A character beyond U+FFFF as JSON writes it, in two escapes, which YAML does not know."""


def _as_one_escape(found: re.Match[str]) -> str:
    if found["backslash"]:
        return found[0]
    high, low = int(found["high"], 16), int(found["low"], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:08x}"


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[str, int]]:
    """Yield keys that a mapping has twice; YAML would silently take the last."""
    nodes, seen = [node], set()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for n, (key, child) in enumerate(node.value):
                nodes.append(child)
                if isinstance(key, yaml.ScalarNode) and key.value in keys[:n]:
                    yield key.value, key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _override(value: dict[str, Any], override: str) -> tuple[str, ...]:
    """Apply one ``key=value`` and return where."""
    key, equals, text = override.partition("=")
    location = tuple(key.strip().split("."))
    if not equals or not all(location):
        raise JobSpecError(f"--set {override}: expected key=value, such as output.uri=out/")
    target = value
    for parent in location[:-1]:
        if target.get(parent) is None:
            target[parent] = {}
        target = target[parent]
        if not isinstance(target, dict):
            raise JobSpecError(f"--set {override}: {parent!r} is not a section")
    try:
        target[location[-1]] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise JobSpecError(f"--set {override}: the value is not YAML") from error
    return location


def _resolve(job: JobSpec, folder: Path) -> JobSpec:
    uris = job.input.uri
    inputs = [resolve_uri(u, folder) for u in uris] if isinstance(uris, list) else None
    changes: dict[str, Any] = {
        "input": job.input.model_copy(
            update={"uri": inputs if inputs is not None else resolve_uri(str(uris), folder)}
        ),
        "output": job.output.model_copy(update={"uri": resolve_uri(job.output.uri, folder)}),
    }
    changes["lfs"] = [resolved_entry(entry, folder) for entry in job.lfs]
    changes["slices"] = {name: resolved_part(p, folder) for name, p in job.slices.items()}
    if job.gold and job.gold.uri:
        changes["gold"] = job.gold.model_copy(update={"uri": resolve_uri(job.gold.uri, folder)})
    return job.model_copy(update=changes)


def _problem(
    item: Any,  # a pydantic ErrorDetails
    node: yaml.Node,
    path: str,
    overrides: Mapping[tuple[str, ...], str],
) -> str:
    """Turn an error of pydantic's into one line: file:line: where: what, with the nearest key."""
    location = _without_tags(item["loc"])
    where = ".".join(str(part) for part in location)
    line = _line_of(node, location)
    at = f"{path}:{line}" if line else path
    for key, override in overrides.items():
        common = min(len(key), len(location))
        if common and key[:common] == tuple(str(part) for part in location[:common]):
            at = without_credentials(override)
    if item["type"] in ("extra_forbidden", "invalid_key"):
        parents = location[: -1 if item["type"] == "extra_forbidden" else -2]
        return f"{at}: {_unknown_key(str(location[len(parents)]), parents)}"
    if item["type"] == "union_tag_not_found" and isinstance(item["input"], dict) and item["input"]:
        return f"{at}: {_unknown_key(str(next(iter(item['input']))), location)}"
    if item["type"] == "missing":
        return f"{at}: {where!r} is missing"
    return f"{at}: {where}: {_what_is_wrong(item, location)}"


def _without_tags(location: Sequence[Any]) -> tuple[Any, ...]:
    """Drop the kinds of entries that pydantic puts after positions in `lfs`, `slices` and `of`."""
    if location[:1] not in (("lfs",), ("slices",)):
        return tuple(location)
    kept: list[Any] = []
    tagged = False
    for n, part in enumerate(location):
        if tagged:
            tagged = False
            continue
        kept.append(part)
        is_slice = n == 1 and location[0] == "slices"
        tagged = is_slice or isinstance(part, int) or part == "not"
    return tuple(kept)


def _unknown_key(key: str, parents: tuple[Any, ...]) -> str:
    allowed = _allowed_keys(parents)
    is_known = key in (*FUNCTION_KINDS, "not")
    if parents[:1] == ("slices",) and len(parents) == 2 and key in (*PART_KINDS, "not"):
        return "a slice has one predicate; put several under `all` or `any`"
    in_entry = parents[:1] in (("lfs",), ("slices",)) and isinstance(parents[-1], int)
    if in_entry and is_known:
        return (
            "one entry of `lfs` declares one function; put keywords and regex in two entries"
            if len(parents) == 2  # in `lfs`
            else "one part of `of` declares one function; put two of them in two parts"
        )
    hint = did_you_mean(key, allowed, f"keys here: {', '.join(allowed)}")
    return f"unknown key {key!r}{hint}"


_WANTED = {
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "string_too_long": "must be one character",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "dict_type": "must be a section of keys and values",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
}


def _what_is_wrong(item: Any, location: tuple[Any, ...]) -> str:
    value, context = item["input"], item.get("ctx", {})
    shown = "nothing" if value is None else f"{value!r:.80}"
    if item["type"] == "value_error":  # one of this module's own
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "too_short":
        return f"needs at least {context['min_length']}, got {shown}"
    if item["type"] == "model_type":
        return f"must be a section with keys {', '.join(_allowed_keys(location))}, got {shown}"
    if item["type"] == "union_tag_invalid":
        allowed = ", ".join(_allowed_keys(location))
        return f"{context['tag']!r} cannot be used here; keys here: {allowed}"
    if item["type"] == "union_tag_not_found":
        if location[0] == "slices":
            return f"must be a mapping with keywords, regex, field and op, ..., got {shown}"
        what = "a Python file" if len(location) == 2 else "the name of a function"
        return f"must be {what}, or a mapping with keywords, regex, ..., got {shown}"
    if item["type"] in _WANTED:
        quote = "; quote it" if item["type"] == "string_type" and _is_bare(value) else ""
        return f"{_WANTED[item['type']].format(**context)}, got {shown}{quote}"
    return f"{item['msg']}, got {shown}"


def _is_bare(value: object) -> bool:
    return isinstance(value, bool | int | float | datetime.date)


def _allowed_keys(location: tuple[Any, ...]) -> list[str]:
    model: Any = JobSpec
    kinds: Mapping[str, Any] = {}
    if location[:1] == ("slices",) and len(location) > 1:
        location = ("of", 0, *location[2:])  # a predicate is what a part of a combination is
    for part in location:
        if part in ("lfs", "of"):
            kinds = FUNCTION_KINDS if part == "lfs" else {**PART_KINDS, "not": None}
        elif part == "not":
            kinds, model = {**PART_KINDS, "not": None}, None
        elif isinstance(part, int):
            model = None  # an entry: one key of `kinds`, or a comparison's
        elif model is None:
            model = kinds.get(part)
            if model is None:  # a key of a comparison
                return list(_comparison(kinds).model_fields)
        else:
            annotation = model.model_fields[part].annotation
            candidates = getattr(annotation, "__args__", (annotation,))
            found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
            if not found:
                return []
            model = found[0]
    if model is None:
        return [*kinds, *_comparison(kinds).model_fields]
    return list(model.model_fields)


def _comparison(kinds: Mapping[str, Any]) -> type[BaseModel]:
    return CompareSpec if kinds is FUNCTION_KINDS else CompareFields


def _line_of(node: yaml.Node | None, location: Sequence[Any]) -> int | None:
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
