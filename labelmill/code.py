"""The code of a job: its labeling-function files and the project modules that they import.

The launcher collects sources; workers load them from memory, so that nothing has to be installed
or copied to a worker for ``lfs.py`` and its sibling modules to be importable there.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.util
import json
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from labelmill.errors import LabelingFunctionError
from labelmill.labeling import AnyLabelingFunction, is_labeling_function


@dataclass(frozen=True)
class SourceFile:
    """One module of the job.

    Attributes:
        module: Its dotted name.
        path: Where it was read, for messages and tracebacks.
        text: Its source.
        is_package: Whether it is a package's ``__init__.py``.
    """

    module: str
    path: str
    text: str
    is_package: bool = False


@dataclass(frozen=True)
class JobCode:
    """All project modules of a job.

    Attributes:
        entries: Modules that hold labeling functions, in the order of the job file.
        files: These and the project modules that they import, by name.
    """

    entries: tuple[str, ...]
    files: tuple[SourceFile, ...]

    @property
    def digest(self) -> str:
        """Digest of names and sources; paths do not count."""
        content = [self.entries, [(f.module, f.text) for f in self.files]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def source(self, module: str) -> SourceFile | None:
        """Return the file of `module`, if it belongs to the job."""
        return next((f for f in self.files if f.module == module), None)


def collect_code(paths: Sequence[Path]) -> JobCode:
    """Read labeling-function files and, recursively, the modules beside them that they import.

    Args:
        paths: Python files, in the order of the job file.

    Raises:
        LabelingFunctionError: A file is missing, does not parse, or has another's module name.
    """
    files: dict[str, SourceFile] = {}
    entries = []
    for path in paths:
        module = path.stem
        known = files.get(module)
        if known is not None and known.path != str(path):
            raise LabelingFunctionError(
                f"{path} and {known.path} would both be module {module!r}; rename one"
            )
        entries.append(module)
        _collect(module, path, path.parent, files)
    return JobCode(tuple(entries), tuple(files[name] for name in sorted(files)))


def _collect(module: str, path: Path, root: Path, files: dict[str, SourceFile]) -> None:
    if module in files:
        return
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except FileNotFoundError:
        raise LabelingFunctionError(f"{path}: no such file with labeling functions") from None
    except SyntaxError as error:
        raise LabelingFunctionError(f"{path}:{error.lineno}: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelingFunctionError(f"{path}: cannot be read: {error}") from error
    is_package = path.name == "__init__.py"
    files[module] = SourceFile(module, str(path), text, is_package)
    package = module if is_package else module.rpartition(".")[0]
    for name in _imported_names(tree, package):
        _collect_project_module(name, root, files)


def _imported_names(tree: ast.AST, package: str) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".") if package else []
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            target = ".".join(part for part in (base, node.module) if part)
            if target:
                names.append(target)
            names += [f"{target}.{alias.name}" if target else alias.name for alias in node.names]
    return names


def _collect_project_module(name: str, root: Path, files: dict[str, SourceFile]) -> None:
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        base = root.joinpath(*parts[:depth])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                _collect(".".join(parts[:depth]), path, root, files)


class _JobFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the modules of the job loaded last in this process from memory."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.code = JobCode((), ())
        self.modules: dict[str, tuple[ModuleType, ...]] = {}

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        source = self.code.source(fullname)
        if source is None:
            return None
        return importlib.util.spec_from_loader(
            fullname, self, origin=source.path, is_package=source.is_package
        )

    def exec_module(self, module: ModuleType) -> None:
        source = self.code.source(module.__name__)
        assert source is not None
        module.__file__ = source.path
        exec(compile(source.text, source.path, "exec"), module.__dict__)

    def get_source(self, fullname: str) -> str | None:
        """Return a module's source, so that tracebacks and `inspect` show it on workers too."""
        source = self.code.source(fullname)
        return None if source is None else source.text


_FINDER = _JobFinder()
"""The one piece of process state: Python's import system is process-wide as well."""


def load_modules(code: JobCode) -> tuple[ModuleType, ...]:
    """Import the job's entry modules from the collected sources, once per process and content.

    Raises:
        LabelingFunctionError: A module raised while it was imported; names file and line.
    """
    with _FINDER.lock:
        digest = code.digest
        if digest in _FINDER.modules:
            return _FINDER.modules[digest]
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        for file in (*_FINDER.code.files, *code.files):
            sys.modules.pop(file.module, None)
        _FINDER.code = code
        modules = []
        for name in code.entries:
            try:
                modules.append(importlib.import_module(name))
            except Exception as error:
                raise LabelingFunctionError(_import_failure(code, name, error)) from error
        _FINDER.modules[digest] = tuple(modules)
        return _FINDER.modules[digest]


def _import_failure(code: JobCode, module: str, error: Exception) -> str:
    paths = {file.path for file in code.files}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in paths]
    source = code.source(module)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else source and source.path
    return f"{where}: importing module {module!r} failed: {type(error).__name__}: {error}"


def functions_of(module: ModuleType) -> list[AnyLabelingFunction]:
    """Return the labeling functions of a module in the order in which it binds them.

    A list or tuple of labeling functions at module level counts too.
    """
    found: dict[int, AnyLabelingFunction] = {}
    for name, value in vars(module).items():
        if name.startswith("__"):
            continue
        members = value if isinstance(value, list | tuple) else (value,)
        for member in members:
            if is_labeling_function(member):
                found.setdefault(id(member), member)
    return list(found.values())
