"""Which columns a labeling function reads, found from its source, so that a job reads no others."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labelmill.labeling import AnyLabelingFunction, LabelingFunction, Matcher


@dataclass(frozen=True)
class ColumnUse:
    """Columns that a function names.

    Attributes:
        columns: The names, sorted.
        complete: False when it may read others too: it passes the record on, or its source is
            not there.
    """

    columns: tuple[str, ...]
    complete: bool


def columns_used(lf: AnyLabelingFunction) -> ColumnUse:
    """Return the columns that `lf` reads.

    A record function shows them as ``x.name``, ``x["name"]`` and ``x.get("name")``; a batch
    function as ``batch["name"]`` and ``batch.column("name")``.
    """
    if isinstance(lf, Matcher):
        return ColumnUse((lf.field,), complete=True)
    if not isinstance(lf, LabelingFunction):
        return ColumnUse((), complete=False)
    if lf.fields is not None:
        return ColumnUse(tuple(sorted(lf.fields)), complete=True)
    if lf.pre:
        return ColumnUse((), complete=False)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(lf.fn)))
    except (OSError, TypeError, SyntaxError):
        return ColumnUse((), complete=False)
    function = next(
        (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.Lambda)), None
    )
    if function is None:
        return ColumnUse((), complete=False)
    arguments = [*function.args.posonlyargs, *function.args.args]
    if not arguments:
        return ColumnUse((), complete=False)
    return _uses(function, arguments[0].arg, batch=lf.batch)


def _uses(function: ast.AST, parameter: str, *, batch: bool) -> ColumnUse:
    found: set[str] = set()
    explained = 0
    methods = {"column"} if batch else {"get"}
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and _is_name(node.value, parameter):
            if node.attr in methods or (batch and node.attr == "num_rows"):
                continue
            if not batch:
                found.add(node.attr)
                explained += 1
        elif isinstance(node, ast.Subscript) and _is_name(node.value, parameter):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                found.add(node.slice.value)
                explained += 1
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and _is_name(node.func.value, parameter)
            and node.func.attr in methods
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            found.add(node.args[0].value)
            explained += 1
    counted = batch and sum(
        isinstance(node, ast.Attribute)
        and node.attr == "num_rows"
        and _is_name(node.value, parameter)
        for node in ast.walk(function)
    )
    mentions = sum(_is_name(node, parameter) for node in ast.walk(function))
    return ColumnUse(tuple(sorted(found)), complete=mentions == explained + int(counted))


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def needed_columns(lfs: Sequence[AnyLabelingFunction], extra: Sequence[str]) -> list[str] | None:
    """Return the columns that a job reads, or None for all of them.

    Args:
        lfs: The job's functions.
        extra: Columns that the job names itself (gold, ids).
    """
    uses = [columns_used(lf) for lf in lfs]
    if not all(use.complete for use in uses):
        return None
    names: dict[str, Any] = dict.fromkeys(extra)
    for use in uses:
        names.update(dict.fromkeys(use.columns))
    return list(names)
