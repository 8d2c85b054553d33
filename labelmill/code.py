"""The code of a job: its labeling-function files and the project modules that they import.

The launcher collects sources; workers load them from memory, so that nothing has to be installed
or copied to a worker for ``lfs.py`` and its sibling modules to be importable there.
"""

from __future__ import annotations

import ast
import builtins
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
from typing import Any

from labelmill.combining import with_parts
from labelmill.datafiles import files_of
from labelmill.errors import LabelingFunctionError
from labelmill.kinds import is_labeling_function
from labelmill.labeling import AnyLabelingFunction
from labelmill.sourcetree import LOADED_SOURCE

_OWN_PACKAGES = ("labelmill", "labelmodel", "transforms", "pipelines")
_RESERVED = {*sys.stdlib_module_names, *_OWN_PACKAGES}
_CHECKOUT = Path(__file__).resolve().parents[1]


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
        content = [self.entries, [(f.module, f.text, f.is_package) for f in self.files]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def source(self, module: str) -> SourceFile | None:
        """Return the file of `module`, if it belongs to the job."""
        return next((f for f in self.files if f.module == module), None)


def collect_code(paths: Sequence[Path]) -> JobCode:
    """Read labeling-function files and, recursively, the modules beside them that they import.

    Args:
        paths: Python files, in the order of the job file.

    Raises:
        LabelingFunctionError: A file is missing, does not parse, or has the module name of another,
            of a module of Python's or of labelmill's.
    """
    files: dict[str, SourceFile] = {}
    entries = []
    for path in paths:
        home = path.parent if path.name == "__init__.py" else path  # a folder is a package
        module = home.name.removesuffix(".py")
        if "." in module:
            raise LabelingFunctionError(f"{path}: a module's name cannot have a dot; rename it")
        entries.append(module)
        _collect(module, path, home.parent, files)
    return JobCode(tuple(entries), tuple(files[name] for name in sorted(files)))


def _collect(module: str, path: Path, root: Path, files: dict[str, SourceFile]) -> None:
    known = files.get(module)
    if known is not None:
        if known.path != str(path):
            raise LabelingFunctionError(
                f"{path} and {known.path} would both be module {module!r}; rename one"
            )
        return
    if module.partition(".")[0] in _RESERVED:
        raise LabelingFunctionError(
            f"{path}: module {module!r} would hide the one of Python or labelmill; rename it"
        )
    try:
        text = importlib.util.decode_source(path.read_bytes())
        tree = ast.parse(text)
    except FileNotFoundError:
        raise LabelingFunctionError(f"{path}: no such file with labeling functions") from None
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise LabelingFunctionError(f"{path}{line}: {error.msg}") from error
    except (OSError, ValueError) as error:  # ValueError: bytes that are no text
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
    if parts[0] in _OWN_PACKAGES and root.resolve() == _CHECKOUT:
        return  # a job beside labelmill's own packages, as in a bare checkout
    for depth in range(1, len(parts) + 1):
        base = root.joinpath(*parts[:depth])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                for above in range(1, depth):  # a folder without __init__.py is a package too
                    package = ".".join(parts[:above])
                    if package not in files:
                        folder = str(root.joinpath(*parts[:above]))
                        files[package] = SourceFile(package, folder, "", is_package=True)
                _collect(".".join(parts[:depth]), path, root, files)
                break


class _LoadedJob(importlib.abc.Loader):
    """The modules of one job, imported from memory and apart from those of any other job."""

    def __init__(self, code: JobCode) -> None:
        self.code = code
        self.entries: tuple[ModuleType, ...] = ()
        self.data: dict[str, str] = {}
        """Digests of the data files that its functions read when they were loaded."""
        self.modules: dict[str, ModuleType] = {}
        """Its part of `sys.modules`, while another job's is in there."""
        self._builtins = {**vars(builtins), "__import__": self._import}

    def exec_module(self, module: ModuleType) -> None:
        source = self.code.source(module.__name__)
        assert source is not None
        namespace = vars(module)
        namespace["__file__"] = source.path
        namespace[LOADED_SOURCE] = source.text
        namespace["__builtins__"] = self._builtins
        exec(compile(source.text, source.path, "exec"), namespace)

    def get_source(self, fullname: str) -> str | None:
        """Return a module's source, so that tracebacks show it on workers too."""
        source = self.code.source(fullname)
        return None if source is None else source.text

    def _import(self, *args: Any, **kwargs: Any) -> Any:  # Any: the signature of __import__
        """Import for code of this job, when it is loaded and when its functions run."""
        with _FINDER.lock:
            _FINDER.activate(self)
            return builtins.__import__(*args, **kwargs)


class _JobFinder(importlib.abc.MetaPathFinder):
    """Finds the modules of the job whose code is importing in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.active = _LoadedJob(JobCode((), ()))
        self.jobs: dict[tuple[str, ...], _LoadedJob] = {}

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        source = self.active.code.source(fullname)
        if source is None:
            return None
        return importlib.util.spec_from_loader(
            fullname, self.active, origin=source.path, is_package=source.is_package
        )

    def activate(self, job: _LoadedJob) -> None:
        """Put the modules of `job` in the place of those of the job before."""
        if job is self.active:
            return
        names = [file.module for file in self.active.code.files]
        self.active.modules = {n: sys.modules.pop(n) for n in names if n in sys.modules}
        for file in job.code.files:
            sys.modules.pop(file.module, None)
        sys.modules.update(job.modules)
        self.active = job


_FINDER = _JobFinder()
"""The one piece of process state: Python's import system is process-wide as well."""


def load_modules(code: JobCode) -> tuple[ModuleType, ...]:
    """Import the job's entry modules from the collected sources, once per process and content.

    Raises:
        LabelingFunctionError: A module raised while it was imported; names file and line.
    """
    with _FINDER.lock:
        # Data files beside the code are found by its path, so that the same code elsewhere differs.
        key = (code.digest, *(file.path for file in code.files))
        known = _FINDER.jobs.get(key)
        if known is not None and known.data == _data_of(known.entries):
            _FINDER.activate(known)
            return known.entries
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        job = _LoadedJob(code)
        _FINDER.activate(job)
        modules = []
        for name in code.entries:
            try:
                modules.append(importlib.import_module(name))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # SystemExit too
                raise LabelingFunctionError(_import_failure(code, name, error)) from error
        job.entries = tuple(modules)
        job.data = _data_of(job.entries)
        _FINDER.jobs[key] = job
        return job.entries


def _data_of(modules: Sequence[ModuleType]) -> dict[str, str]:
    lfs = with_parts([lf for module in modules for lf in functions_of(module)])
    return {file.path: file.sha256 for file in files_of(lfs)}


def _import_failure(code: JobCode, module: str, error: BaseException) -> str:
    paths = {file.path for file in code.files}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in paths]
    source = code.source(module)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else source and source.path
    hint = ""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "snorkel":
        hint = "; install snorkel, or write labelmill.compat.snorkel in its place"
    return f"{where}: importing module {module!r} failed: {type(error).__name__}: {error}{hint}"


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
