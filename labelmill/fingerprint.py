"""Fingerprints of labeling functions: what determines their votes, and nothing else.

Comments, docstrings and layout do not count. The function's code, project code that it calls,
closure and global constants, resources, preprocessors and a declared version do.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from labelmill.labeling import AnyLabelingFunction, LabelingFunction, Matcher


def fingerprint(lf: AnyLabelingFunction, project_modules: frozenset[str] = frozenset()) -> str:
    """Return the fingerprint of `lf`, 16 hex digits.

    Args:
        lf: The labeling function.
        project_modules: Modules whose functions are followed when `lf` calls them; installed
            packages are not followed (declare a `version` when theirs matters).
    """
    if isinstance(lf, Matcher):
        content: Any = ["matcher", lf.pattern, lf.flags, lf.field, lf.label]
    else:
        content = ["python", _Describer(project_modules).describe(lf)]
    data = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(data.encode(), digest_size=8).hexdigest()


class _Describer:
    """Describes a value by content, following project functions once each."""

    def __init__(self, project_modules: frozenset[str]) -> None:
        self._modules = project_modules
        self._seen: dict[int, int] = {}

    def describe(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return [type(value).__name__, repr(value)]
        if isinstance(value, bytes):
            return ["bytes", hashlib.sha256(value).hexdigest()]
        if isinstance(value, re.Pattern):
            return ["pattern", repr(value.pattern), value.flags]
        if isinstance(value, ModuleType):
            return ["module", value.__name__]
        if id(value) in self._seen:
            return ["seen", self._seen[id(value)]]
        self._seen[id(value)] = len(self._seen)
        if isinstance(value, set | frozenset):
            return ["set", sorted(json.dumps(self.describe(v)) for v in value)]
        if isinstance(value, list | tuple):
            return [type(value).__name__, [self.describe(v) for v in value]]
        if isinstance(value, Mapping):
            return ["map", [[self.describe(k), self.describe(v)] for k, v in value.items()]]
        if isinstance(value, LabelingFunction):
            parts = (value.fn, value.batch, value.resources, value.pre, value.version)
            return ["lf", [self.describe(part) for part in parts]]
        if isinstance(value, FunctionType):
            return self._function(value)
        return self._object(value)

    def _function(self, fn: FunctionType) -> Any:
        if fn.__module__ not in self._modules and len(self._seen) > 1:
            root = fn.__module__.partition(".")[0]
            if root not in {name.partition(".")[0] for name in self._modules}:
                return ["external", fn.__module__, fn.__qualname__]
        described = {name: self.describe(value) for name, value in sorted(_references(fn).items())}
        defaults = self.describe([fn.__defaults__, fn.__kwdefaults__])
        return ["function", _normalised_code(fn), described, defaults]

    def _object(self, value: Any) -> Any:
        cls = value if isinstance(value, type) else type(value)
        if cls.__module__ in self._modules or not isinstance(value, type):
            source = _source_of(cls) if cls.__module__ in self._modules else None
            state = {} if isinstance(value, type) else getattr(value, "__dict__", {})
            for method in ("__array_interface__", "to_pydict"):
                if hasattr(value, method) and not isinstance(value, type):
                    return [cls.__qualname__, hashlib.sha256(_content(value)).hexdigest()]
            return [
                cls.__module__,
                cls.__qualname__,
                source,
                {k: self.describe(v) for k, v in sorted(state.items()) if _is_state(k, v)},
            ]
        return [cls.__module__, cls.__qualname__]


def _is_state(name: str, value: Any) -> bool:
    """Memo tables of Snorkel's preprocessors grow while they run; they decide nothing."""
    return not name.startswith(("_cache", "_memo"))


def _content(value: Any) -> bytes:
    if hasattr(value, "tobytes"):
        return f"{value.dtype}{value.shape}".encode() + bytes(value.tobytes())
    return repr(value.to_pydict()).encode()


def _references(fn: FunctionType) -> dict[str, Any]:
    """Return the globals and closure variables that `fn` uses, nested functions included."""
    names: set[str] = set()
    stack: list[CodeType] = [fn.__code__]
    while stack:
        code = stack.pop()
        names.update(code.co_names)
        stack += [const for const in code.co_consts if isinstance(const, CodeType)]
    values = {name: fn.__globals__[name] for name in names if name in fn.__globals__}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not bound yet: a recursive inner function
            values[name] = None
    return values


def _normalised_code(fn: FunctionType) -> str:
    source = _source_of(fn)
    if source is None:
        return fn.__code__.co_code.hex() + repr(fn.__code__.co_consts)
    return source


def _source_of(value: Callable[..., Any]) -> str | None:
    """Return a function's or class's syntax tree as text: no comments, docstrings or layout."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            if not isinstance(node, ast.ClassDef):
                node.returns = None
                node.decorator_list = []
                for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                    argument.annotation = None
    return ast.unparse(tree)
