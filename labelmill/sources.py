"""The code of a version: the source text of its labeling functions, stored beside its labels.

A fingerprint says that a function changed; its text says what it was. One file per distinct code,
named by its content, holds the project's modules and where in them each function is defined.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from labelmill.code import JobCode, functions_of, load_modules
from labelmill.errors import CorruptFileError
from labelmill.job import PreparedJob
from labelmill.manifest import FileEntry, Manifest
from labelmill.store import Store

FORMAT_VERSION = 1
"""The format of a code file that this code writes, and the newest that it reads."""


@dataclass(frozen=True)
class FunctionSource:
    """Where a labeling function is defined.

    Attributes:
        module: Module of the definition; None for a function that the job file declares.
        line: Its first line there; None for a function that the job file declares.
        text: The definition: Python, or the entry of the job file as JSON.
    """

    module: str | None
    line: int | None
    text: str


def store_sources(store: Store, job: PreparedJob) -> FileEntry:
    """Store the code of a job, and return the entry that its manifest has for it."""
    modules = [
        {"module": file.module, "text": file.text, "is_package": file.is_package}
        for file in job.code.files
    ]
    document = {
        "format_version": FORMAT_VERSION,
        "functions": {name: asdict(source) for name, source in sources_of(job).items()},
        "modules": modules,
    }
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    path = f"code/{hashlib.sha256(data).hexdigest()}.json"
    return FileEntry.of(store.put(path, data), kind="code", rows=0, shard=None)


def read_sources(store: Store, manifest: Manifest) -> Mapping[str, FunctionSource]:
    """Return the sources of a version's functions, by name; none where it stored none.

    Raises:
        CorruptFileError: The file is missing, damaged or in a newer format.
    """
    found: dict[str, FunctionSource] = {}
    for file in manifest.files_of("code"):
        document = _read_document(store, file)
        for name, source in document["functions"].items():
            found[name] = FunctionSource(**source)
    return found


def _read_document(store: Store, file: FileEntry) -> Mapping[str, Any]:
    store.verify(file.stored_file)
    document: Mapping[str, Any] = json.loads(store.get(file.path))
    if document["format_version"] > FORMAT_VERSION:
        raise CorruptFileError(
            f"{store.uri}/{file.path} has format {document['format_version']}, written by a newer "
            f"labelmill; this one reads up to format {FORMAT_VERSION}. Upgrade labelmill."
        )
    return document


def sources_of(job: PreparedJob) -> dict[str, FunctionSource]:
    """Return where the functions of a job are defined, as far as that can be told.

    A function that is not bound to a name at the top level of a module, such as one that a loop
    makes, is left out.
    """
    found: dict[str, FunctionSource] = {}
    for entry in job.entries:
        if not isinstance(entry, str):
            text = json.dumps(entry.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
            for lf in entry.build():
                found.setdefault(lf.name, FunctionSource(None, None, text))
    for module in _modules(job.code):
        definitions = None
        for name, lf in _bound_functions(module):
            if lf.name in found:
                continue
            if definitions is None:
                source = job.code.source(module.__name__)
                definitions = {} if source is None else _definitions(source.text)
            if name in definitions:
                line, text = definitions[name]
                found[lf.name] = FunctionSource(module.__name__, line, text)
    wanted = set(job.table.names)
    return {name: source for name, source in found.items() if name in wanted}


def _modules(code: JobCode) -> Iterator[ModuleType]:
    """Yield the loaded modules of a job, those with its functions first."""
    entries = load_modules(code)
    yield from entries
    for file in code.files:
        module = sys.modules.get(file.module)
        if module is not None and module not in entries:
            yield module


def _bound_functions(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the names of a module that are bound to labeling functions, or to lists of them."""
    functions = {id(lf): lf for lf in functions_of(module)}
    for name, value in list(vars(module).items()):
        for member in value if isinstance(value, list | tuple) else (value,):
            if id(member) in functions:
                yield name, member


def _definitions(text: str) -> dict[str, tuple[int, str]]:
    """Return the first line and the text of what a module's top level binds to each name."""
    lines = text.splitlines()
    found = {}
    for statement in ast.parse(text).body:
        for name in _names_bound(statement):
            decorators = getattr(statement, "decorator_list", ())
            start = min(node.lineno for node in (statement, *decorators))
            found[name] = (start, "\n".join(lines[start - 1 : statement.end_lineno]))
    return found


def _names_bound(statement: ast.stmt) -> Iterable[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (statement.name,)
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        if isinstance(statement.value, ast.Name | ast.Attribute):
            return ()  # another name for what is defined elsewhere
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        nodes = (node for target in targets for node in ast.walk(target))
        return [node.id for node in nodes if isinstance(node, ast.Name)]
    return ()
