"""Fingerprints of labeling functions: what determines their votes, and nothing else.

Comments, docstrings and layout do not count. The function's code, project code that it calls,
closure and global constants, resources, preprocessors and a declared version do.
"""

from __future__ import annotations

import ast
import copy
import dis
import functools
import hashlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Sequence
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any, cast

import numpy as np
import pyarrow as pa

from labelmill.combining import Combination, Not, with_parts
from labelmill.datafiles import DataFile, Resource
from labelmill.labeling import AnyLabelingFunction, BatchFunction, LabelingFunction, Matcher
from labelmill.sourcetree import definition_of


def fingerprint(
    lf: AnyLabelingFunction,
    project_modules: frozenset[str] = frozenset(),
    class_names: Sequence[str] = (),
) -> str:
    """Return the fingerprint of `lf`, 16 hex digits.

    Args:
        lf: The labeling function.
        project_modules: Modules whose functions are followed when `lf` calls them, besides its
            own module; installed packages are not followed (declare a `version` when theirs
            matters).
        class_names: The classes, whose order gives votes their meaning.
    """
    roots = {name.partition(".")[0] for name in (*project_modules, *_modules_of(lf))}
    describer = _Describer(frozenset(roots))
    content = [describer.describe(lf), list(class_names)]
    data = json.dumps(content, ensure_ascii=True, default=repr)
    return hashlib.blake2b(data.encode(), digest_size=8).hexdigest()


def _modules_of(lf: AnyLabelingFunction) -> list[str]:
    """Return the modules of the functions that an author wrote for `lf`."""
    if isinstance(lf, Combination):
        return [name for part in with_parts([lf])[1:] for name in _modules_of(part)]
    if isinstance(lf, BatchFunction):
        parts = [part for part in lf.identity().values() if callable(part)]
    elif isinstance(lf, LabelingFunction):
        parts = [lf.fn, *lf.pre]
    else:
        parts = [getattr(lf, "_f", None)]  # Snorkel's
    names = [str(getattr(_innermost(part), "__module__", None)) for part in parts]
    others = {*sys.stdlib_module_names, "labelmill"}  # labelmill: the compatible preprocessors
    return [name for name in names if name.partition(".")[0] not in others]


def _innermost(fn: Any) -> Any:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


class _Describer:
    """Describes values by content, following project functions, classes and objects once each."""

    def __init__(self, project: frozenset[str]) -> None:
        self._project = project
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # an id means its object only while that lives
        self._open: set[int] = set()

    def _is_project(self, module: object) -> bool:
        return str(module).partition(".")[0] in self._project

    def describe(self, value: Any) -> Any:
        """Return JSON data that is equal for values that mean the same."""
        if value is None or isinstance(value, bool | int | float | complex | str):
            return [type(value).__name__, repr(value)]
        if isinstance(value, bytes | bytearray):
            return ["bytes", hashlib.sha256(value).hexdigest()]
        if isinstance(value, re.Pattern):
            return ["pattern", repr(value.pattern), value.flags]
        if isinstance(value, Matcher):
            return ["matcher", value.pattern, value.flags, value.field, value.label]
        if type(value) in (list, tuple, set, frozenset, dict):
            return self._container(value)
        if id(value) in self._seen:
            return ["seen", self._seen[id(value)]]
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        if isinstance(value, LabelingFunction | Combination | Not | BatchFunction):
            return self._labeling_function(value)
        if isinstance(value, DataFile | Resource):
            return [type(value).__name__, self.describe(value.identity())]
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, MethodType):
            return ["method", self.describe(value.__self__), self.describe(value.__func__)]
        if isinstance(value, ModuleType):
            return self._module(value)
        if isinstance(value, type):
            return self._class(value)
        return self._object(value)

    def _labeling_function(
        self, value: LabelingFunction | Combination | Not | BatchFunction
    ) -> Any:
        if isinstance(value, LabelingFunction):
            parts = [value.fn, value.batch, dict(value.resources), value.pre, value.version]
            parts += [] if value.timeout is None else [value.timeout]
            return ["lf", [self.describe(part) for part in parts]]
        if isinstance(value, Combination):
            return ["combination", value.label, value.least, self.describe(value.parts)]
        if isinstance(value, Not):
            return ["not", self.describe(value.part)]
        return [value.kind, self.describe(value.identity())]

    def _container(self, value: Any) -> Any:
        if id(value) in self._open:
            return ["cycle"]
        self._open.add(id(value))
        try:
            if isinstance(value, dict):
                content = [[self.describe(k), self.describe(v)] for k, v in value.items()]
            elif isinstance(value, list | tuple):
                content = [self.describe(v) for v in value]
            else:  # in the order of their content, whatever the hash seed
                content = sorted((_Describer(self._project).describe(v) for v in value), key=str)
            return [type(value).__name__, content]
        finally:
            self._open.discard(id(value))

    def _function(self, fn: FunctionType) -> Any:
        if not self._is_project(fn.__module__):
            # A wrapper of another package holds the project's functions in its closure.
            held = [self.describe(value) for _, value in sorted(_closure(fn).items())]
            return ["external", fn.__module__, fn.__qualname__, held, self._attributes_of(fn)]
        definition = definition_of(fn)
        code = self._code(fn.__code__) if definition is None else _normalised(definition)
        used = sorted(self._references(fn).items())
        defaults = (fn.__defaults__ or (), dict(sorted((fn.__kwdefaults__ or {}).items())))
        return [
            "function",
            code,
            [[name, self.describe(value)] for name, value in used],
            [self.describe(part) for part in defaults],
            self._attributes_of(fn),
        ]

    def _attributes_of(self, fn: FunctionType) -> Any:
        return [[name, self.describe(value)] for name, value in sorted(vars(fn).items())]

    def _code(self, code: CodeType) -> Any:
        """Describe compiled code, for functions without source."""
        constants = [
            self._code(const) if isinstance(const, CodeType) else self.describe(const)
            for const in code.co_consts[0 if code.co_name == "<lambda>" else 1 :]  # no docstring
        ]
        return [code.co_code.hex(), code.co_names, code.co_varnames, constants]

    def _references(self, fn: FunctionType) -> dict[str, Any]:
        """Return the globals, imports and closure variables that `fn` uses, nested ones too."""
        values: dict[str, Any] = {}
        for code in _nested(fn.__code__):
            steps = [i for i in dis.get_instructions(code) if i.opname != "EXTENDED_ARG"]
            for position, step in enumerate(steps):
                if step.opname in _LOADS_OF_GLOBALS and step.argval in fn.__globals__:
                    attributes = _attributes(steps, position + 1)
                    value = fn.__globals__[step.argval]
                    values.update(self._reached(step.argval, value, attributes))
                elif step.opname == "IMPORT_NAME":
                    level, names = (s.argval for s in steps[position - 2 : position])
                    values.update(self._imported(fn, step.argval, level, names))
        values.update(_closure(fn))
        return values

    def _reached(self, name: str, value: Any, attributes: list[str]) -> Iterator[tuple[str, Any]]:
        """Yield what ``name.attribute...`` means: the member of a project module, else `value`."""
        while isinstance(value, ModuleType) and self._is_project(value.__name__) and attributes:
            attribute = attributes.pop(0)
            if not hasattr(value, attribute):
                break
            name, value = f"{name}.{attribute}", getattr(value, attribute)
        yield name, value

    def _imported(
        self, fn: FunctionType, target: str, level: int, names: tuple[str, ...] | None
    ) -> Iterator[tuple[str, Any]]:
        """Yield what an import statement inside `fn` brings from the project."""
        package = fn.__globals__.get("__package__") or ""
        name = importlib.util.resolve_name("." * level + target, package) if level else target
        if not self._is_project(name):
            return
        try:  # the builtins of a job's function import that job's modules
            importing = cast(Any, fn).__builtins__["__import__"]
            module = importing(name, None, None, names or ("__name__",), 0)
        except Exception as error:
            yield name, f"{type(error).__name__} when imported"
            return
        if not names:
            yield name, module
        for member in names or ():
            yield f"{name}.{member}", getattr(module, member, None)

    def _module(self, module: ModuleType) -> Any:
        """Describe a module that is used as a value: all that it holds if it is the project's."""
        if not self._is_project(module.__name__):
            return ["module", module.__name__]
        members = sorted(vars(module).items())
        used = [[k, self.describe(v)] for k, v in members if not k.startswith("__")]
        return ["module", module.__name__, used]

    def _class(self, cls: type) -> Any:
        if not self._is_project(cls.__module__):
            return ["class", cls.__module__, cls.__qualname__]
        definition = definition_of(cls)
        members = []
        for name, member in sorted(vars(cls).items()):
            for part in _functions_in(member):
                # Generated methods (of dataclasses, enums) follow from the class's source.
                if definition is None or definition_of(part) is not None:
                    members.append([name, self.describe(part)])
            if not (name.startswith("__") or callable(member) or hasattr(member, "__get__")):
                members.append([name, self.describe(member)])
        source = None if definition is None else _normalised(definition)
        bases = [self.describe(base) for base in cls.__bases__]
        return ["class", cls.__qualname__, source, members, bases]

    def _object(self, value: Any) -> Any:
        kind = self.describe(type(value))
        if isinstance(value, BuiltinFunctionType):
            return [kind, value.__name__, self.describe(value.__self__)]
        if isinstance(value, MappingProxyType):
            return [kind, self.describe(dict(value))]
        if isinstance(value, functools._lru_cache_wrapper):  # what it holds is results
            return [kind, self.describe(value.__wrapped__)]
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            content = f"{value.dtype}{value.shape}".encode() + value.tobytes()
            return [kind, hashlib.sha256(content).hexdigest()]
        if isinstance(value, np.ndarray):
            return [kind, self.describe(value.tolist())]
        if isinstance(value, pa.Array | pa.ChunkedArray | pa.Table | pa.RecordBatch):
            schema = value.schema if isinstance(value, pa.Table | pa.RecordBatch) else value.type
            return [kind, str(schema), self.describe(value.to_pylist())]
        try:
            reduced = value.__reduce_ex__(4)
        except Exception:  # a lock, a database, a model's handle: its class has to do
            return [kind, self.describe(getattr(value, "__dict__", {}))]
        if isinstance(reduced, str):
            return [kind, reduced]
        function, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        listed = [list(part) if part is not None else [] for part in (items, pairs)]
        return [kind, *(self.describe(part) for part in (function, arguments, state, listed))]


_LOADS_OF_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _nested(const)


def _attributes(steps: list[dis.Instruction], position: int) -> list[str]:
    """Return the names of the attribute loads that begin at `position`."""
    names = []
    while position < len(steps) and steps[position].opname in ("LOAD_ATTR", "LOAD_METHOD"):
        names.append(steps[position].argval)
        position += 1
    return names


def _functions_in(member: Any) -> list[FunctionType]:
    """Return the Python functions of a class member: a method, a static one, a property."""
    held = [member, *(getattr(member, a, None) for a in ("__func__", "fget", "fset", "func"))]
    return [part for part in held if isinstance(part, FunctionType)]


def _closure(fn: FunctionType) -> dict[str, Any]:
    """Return the variables that `fn` closes over."""
    values = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not bound yet: a recursive inner function
            values[name] = None
    return values


def _normalised(definition: ast.AST) -> str:
    """Return a definition's syntax tree as text: no comments, docstrings, annotations or layout."""
    tree = copy.deepcopy(definition)
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        tree.decorator_list = []  # what they made of the function is described as a value
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            if not isinstance(node, ast.ClassDef):
                node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(tree)
