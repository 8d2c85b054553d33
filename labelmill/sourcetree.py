"""The syntax tree of a live function or class, found by its position and not by its text.

A search by text would take one of two lambdas on a line for the other, and would read a file that
was edited since it was loaded.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType

LOADED_SOURCE = "__labelmill_source__"
"""Module attribute with the source that a module was loaded from (see `labelmill.code`)."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


def definition_of(value: FunctionType | type) -> Definition | None:
    """Return the definition of a function or class; None where its source is not there.

    The tree is shared: copy it before changing it.
    """
    if isinstance(value, type):
        text = _class_source(value)
        return None if text is None else _class_definition(_parse(text), value.__qualname__)
    text = value.__globals__.get(LOADED_SOURCE)
    if text is None or value.__code__.co_filename != value.__globals__.get("__file__"):
        text = _file_source(value.__code__)
    tree = None if text is None else _parse(text)
    return None if tree is None else _function_definition(tree, value.__code__)


def _class_source(cls: type) -> str | None:
    module = sys.modules.get(cls.__module__)
    functions = [member for member in vars(cls).values() if isinstance(member, FunctionType)]
    for namespace in (*(f.__globals__ for f in functions), vars(module) if module else {}):
        if namespace.get("__name__") == cls.__module__ and LOADED_SOURCE in namespace:
            return str(namespace[LOADED_SOURCE])
    return _file_source(cls)


def _file_source(value: CodeType | type) -> str | None:
    try:
        return "".join(inspect.findsource(value)[0])
    except (OSError, TypeError, SyntaxError, IndexError):
        return None


@lru_cache(maxsize=32)
def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _class_definition(tree: ast.Module | None, qualname: str) -> ast.ClassDef | None:
    scopes: list[ast.AST] = [] if tree is None else [tree]
    for name in qualname.split("."):
        if name != "<locals>":
            scopes = [
                node
                for scope in scopes
                for node in _definitions_in(scope)
                if getattr(node, "name", None) == name
            ]
    classes = [scope for scope in scopes if isinstance(scope, ast.ClassDef)]
    return classes[-1] if classes else None


def _definitions_in(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the definitions directly in `scope`, under ``if`` and ``try`` too."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node
        else:
            yield from _definitions_in(node)


def _function_definition(tree: ast.Module, code: CodeType) -> Definition | None:
    found = _functions_in(tree).get((code.co_name, code.co_firstlineno), [])
    if len(found) <= 1:
        return found[0] if found else None
    return _innermost(found, code)


@lru_cache(maxsize=32)
def _functions_in(tree: ast.Module) -> dict[tuple[str, int], list[Definition]]:
    """Return the functions of a module by name and first line, as their code objects say them."""
    found: dict[tuple[str, int], list[Definition]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = min(d.lineno for d in (node, *node.decorator_list))
            found.setdefault((node.name, line), []).append(node)
    return found


def _innermost(found: list[Definition], code: CodeType) -> Definition | None:
    """Return the smallest of several definitions on a line whose body holds all of `code`."""
    spans = [
        (line, column, end_line, end_column)
        for line, end_line, column, end_column in code.co_positions()
        if line is not None
        and end_line is not None
        and column is not None
        and end_column is not None
        and end_column > 0
    ]
    if not spans:
        return None
    start = min((line, column) for line, column, _, _ in spans)
    stop = max((end_line, end_column) for _, _, end_line, end_column in spans)
    holding = []
    for node in found:
        body = node.body if isinstance(node.body, list) else [node.body]
        first, last = body[0], body[-1]
        begins = (first.lineno, first.col_offset)
        ends = (last.end_lineno or 0, last.end_col_offset or 0)
        if begins <= start and stop <= ends:
            holding.append((begins, node))
    return max(holding, key=lambda pair: pair[0])[1] if holding else None
