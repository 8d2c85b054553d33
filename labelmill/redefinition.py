"""Finding definitions that a later one of the same name silently replaces."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Redefinition(NamedTuple):
    """A name that is bound twice, with nothing in between that reads it."""

    name: str
    line: int
    again: int


def redefinitions(source: str) -> Iterator[Redefinition]:
    """Yield names that a module's top level binds again before it read what they were bound to.

    Decorated functions and the results of calls count, such as ``money = keywords(...)``. Those
    in branches do not: there the second is an alternative to the first.

    Example:
        >>> for found in redefinitions("a = f(); b = f(); a = g(); b = g(b)"):
        ...     print(found)
        Redefinition(name='a', line=1, again=1)
    """
    unread: dict[str, int] = {}
    for statement in ast.parse(source).body:
        for name in _names_read(statement):
            unread.pop(name, None)
        for name, line in _bound(statement):
            if name in unread:
                yield Redefinition(name, unread[name], line)
            unread[name] = line


def _names_read(statement: ast.stmt) -> Iterator[str]:
    """Yield names that a statement reads when it runs, which a function's body does later."""
    parts: list[ast.AST] = [statement]
    if isinstance(statement, _FUNCTIONS):
        parts = [*statement.decorator_list, statement.args]
    for part in parts:
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield node.id


def _bound(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    """Yield what a statement binds to a decorated function or the result of a call."""
    if isinstance(statement, _FUNCTIONS) and statement.decorator_list:
        yield statement.name, statement.decorator_list[0].lineno
    elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.lineno
