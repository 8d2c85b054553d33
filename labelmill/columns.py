"""Which columns a labeling function reads, found from its source, so that a job reads no others."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

from labelmill.combining import Combination, with_parts
from labelmill.labeling import AnyLabelingFunction, BatchFunction, LabelingFunction, Matcher
from labelmill.sourcetree import definition_of


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


_UNKNOWN = ColumnUse((), complete=False)


def columns_used(lf: AnyLabelingFunction) -> ColumnUse:
    """Return the columns that `lf` reads.

    A record function shows them as ``x.name`` and ``x["name"]``; a batch function as
    ``batch["name"]`` and ``batch.column("name")``. A column that is read with ``x.get("name")``
    may be absent, so that it is named but never complete.
    """
    if isinstance(lf, Matcher):
        return ColumnUse((lf.field,), complete=True)
    if isinstance(lf, Combination):
        return ColumnUse((), complete=True)  # its parts have their own
    if isinstance(lf, BatchFunction):
        return _UNKNOWN if lf.columns is None else ColumnUse(tuple(sorted(lf.columns)), True)
    if not isinstance(lf, LabelingFunction):
        return _UNKNOWN
    if lf.fields is not None:
        return ColumnUse(tuple(sorted(lf.fields)), complete=True)
    fn = lf.fn
    position = 0
    if isinstance(fn, MethodType):
        fn, position = fn.__func__, 1
    if lf.pre or not isinstance(fn, FunctionType):
        return _UNKNOWN
    function = definition_of(fn)
    if not isinstance(function, ast.FunctionDef | ast.Lambda):
        return _UNKNOWN
    arguments = [*function.args.posonlyargs, *function.args.args]
    if len(arguments) <= position:
        return _UNKNOWN
    finder = _Uses(arguments[position].arg, batch=lf.batch)
    for node in function.body if isinstance(function.body, list) else [function.body]:
        finder.visit(node)
    return ColumnUse(tuple(sorted(finder.columns)), complete=finder.complete)


class _Uses(ast.NodeVisitor):
    """Finds what a function does with its record; gives up (`complete`) on what it cannot read."""

    def __init__(self, parameter: str, *, batch: bool) -> None:
        self._parameter = parameter
        self._batch = batch
        self._methods = {"column"} if batch else {"get"}
        self.columns: set[str] = set()
        self.complete = True

    def _is_record(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self._parameter

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not self._is_record(node.value):
            self.generic_visit(node)
        elif self._batch:
            self.complete &= node.attr == "num_rows"
        elif node.attr in ("get", "keys") or node.attr.startswith("__"):
            self.complete = False
        else:
            self.columns.add(node.attr)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self._is_record(node.value) and _is_text(node.slice):
            self.columns.add(_text(node.slice))
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        method = node.func
        if (
            isinstance(method, ast.Attribute)
            and self._is_record(method.value)
            and method.attr in self._methods
            and node.args
            and _is_text(node.args[0])
        ):
            self.columns.add(_text(node.args[0]))
            self.complete &= self._batch
            for argument in (*node.args[1:], *node.keywords):
                self.visit(argument)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self.complete &= node.id != self._parameter

    def generic_visit(self, node: ast.AST) -> None:
        """Visit children; a node that binds the parameter's name in this scope ends the search."""
        bound = [getattr(node, field, None) for field in ("name", "asname", "rest")]
        names = [*bound, *getattr(node, "names", [])]
        self.complete &= self._parameter not in names
        super().generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_nested(node, [node.body])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.complete &= node.name != self._parameter
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._visit_nested(node, node.body)

    def _visit_nested(
        self, node: ast.FunctionDef | ast.Lambda, body: Sequence[ast.expr | ast.stmt]
    ) -> None:
        own = node.args
        for default in (*own.defaults, *own.kw_defaults):
            if default is not None:
                self.visit(default)
        rest = [argument for argument in (own.vararg, own.kwarg) if argument]
        names = [a.arg for a in (*own.posonlyargs, *own.args, *own.kwonlyargs, *rest)]
        if self._parameter not in names:  # else the name means another thing in there
            for child in body:
                self.visit(child)

    def _visit_comprehension(self, node: Any) -> None:
        targets = [name for part in node.generators for name in ast.walk(part.target)]
        if any(self._is_record(name) for name in targets):
            self.visit(node.generators[0].iter)  # the rest means another thing by the name
        else:
            self.generic_visit(node)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension  # noqa: N815


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)


def needed_columns(lfs: Sequence[AnyLabelingFunction], extra: Sequence[str]) -> list[str] | None:
    """Return the columns that a job reads, or None for all of them.

    Args:
        lfs: The job's functions.
        extra: Columns that the job names itself (gold, ids).
    """
    uses = [columns_used(lf) for lf in with_parts(lfs)]
    if not all(use.complete for use in uses):
        return None
    names: dict[str, Any] = dict.fromkeys(extra)
    for use in uses:
        names.update(dict.fromkeys(use.columns))
    return list(names)
