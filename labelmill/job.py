"""A job made ready: its functions loaded and checked, its table and fingerprints worked out.

`PreparedJob` is what the launcher makes and what travels to workers, as plain data and sources.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakValueDictionary

from labelmill import datafiles
from labelmill.apply import FunctionSet, labels_of
from labelmill.code import JobCode, collect_code, functions_of, load_modules
from labelmill.combining import Combiner, names_in, with_parts
from labelmill.datafiles import DataFile
from labelmill.errors import LabelingFunctionError
from labelmill.fingerprint import fingerprint
from labelmill.jobspec import JobSpec
from labelmill.kinds import is_labeling_function, kind_of
from labelmill.labeling import AnyLabelingFunction, BatchFunction
from labelmill.lfspec import CompareSpec
from labelmill.paths import resolve_uri
from labelmill.redefinition import redefinitions
from labelmill.slicespec import slices_of
from labelmill.votes import LFInfo, LFTable
from labelmill.votetable import VoteTable


@dataclass(frozen=True)
class PreparedJob:
    """A job that workers can load: plain data and sources, no live functions.

    Attributes:
        entries: The `lfs` of the job file, in order: modules, and what declares functions.
        code: Sources of the Python files among them.
        table: LF table with fingerprints, in vote-index order.
        files: Digests of the data files that functions read, by path.
        store_uri: The data set, in which workers find those files that they cannot reach.
        limit: Seconds that a function may take on a record; 0 for no limit.
        slices: The job's slices as functions of a job of their own, whose votes mean that a record
            is in; None without any.
    """

    entries: tuple[Any, ...]
    code: JobCode
    table: LFTable
    files: Mapping[str, str] = field(default_factory=dict)
    store_uri: str | None = None
    limit: float = 0.0
    slices: PreparedJob | None = None

    def functions(self) -> list[AnyLabelingFunction]:
        """Return the live labeling functions; modules are loaded once per process."""
        if self.store_uri is not None:
            datafiles.declare(self.files, self.store_uri)
        return _load(self.entries, self.code)

    def function_set(self) -> FunctionSet:
        """Return the functions ready to run over batches: one object as long as it is in use."""
        content = (self.entries, self.code.digest, self.table.to_json(), sorted(self.files.items()))
        key = hashlib.sha256(repr((*content, self.store_uri, self.limit)).encode()).hexdigest()
        with _READY_LOCK:
            ready = _READY.get(key)
            if ready is None or ready.closed:
                guarded_by = self if self.limit > 0 else None
                ready = FunctionSet(
                    self.functions(), self.table, guarded_by=guarded_by, limit=self.limit
                )
                if self.store_uri is not None:
                    ready.bind(self.store_uri)
                _READY[key] = ready
            return ready

    def data_files(self) -> tuple[DataFile, ...]:
        """Return the data files that the functions read."""
        slices = [] if self.slices is None else self.slices.functions()
        return datafiles.files_of(with_parts([*self.functions(), *slices]))


_READY: WeakValueDictionary[str, FunctionSet] = WeakValueDictionary()
_READY_LOCK = threading.Lock()


def prepare_job(job: JobSpec, folder: Path) -> PreparedJob:
    """Load a job's functions and compute its LF table.

    Args:
        job: The validated job file.
        folder: The job file's folder; Python files are relative to it.

    Raises:
        LabelingFunctionError: A file does not import or holds no functions, a name is given
            twice, a function votes for an unknown class.
    """
    datafiles.undeclare()  # files may have changed since another job was planned here
    files = [entry for entry in job.lfs if isinstance(entry, str)]
    code = collect_code([Path(resolve_uri(file, folder)).resolve() for file in files])
    modules = iter(code.entries)
    entries: list[Any] = []
    for entry in job.lfs:
        if isinstance(entry, str):
            entries.append(next(modules))
        else:
            entries.append(entry if isinstance(entry, CompareSpec) else entry.spec)
    lfs = _load(tuple(entries), code)
    _check_names(lfs)
    _check_none_replaced(code)
    classes = tuple(job.labels)
    known = _fingerprints(code, load_modules(code), classes)
    fingerprints = {
        lf.name: known.get(id(lf)) or fingerprint(lf, class_names=classes) for lf in lfs
    }
    table = LFTable(
        tuple(LFInfo(lf.name, _with_named(lf, lfs, fingerprints), kind_of(lf)) for lf in lfs),
        classes,
    )
    every = with_parts(lfs)
    labels_of(every, table.class_names)
    Combiner(every, len(lfs))
    for table_of_votes in {lf.group for lf in every if isinstance(lf, BatchFunction)}:
        if isinstance(table_of_votes, VoteTable):
            table_of_votes.check_classes(table.class_names)
    digests = {file.path: file.sha256 for file in datafiles.files_of(every)}
    return PreparedJob(
        tuple(entries),
        code,
        table,
        digests,
        job.output.uri,
        limit=job.limits.timeout,
        slices=_prepared_slices(job) if job.slices else None,
    )


def _prepared_slices(job: JobSpec) -> PreparedJob:
    """Return the slices of a job, as a job without Python code and with one class."""
    entries, code = slices_of(job.slices), collect_code([])
    lfs = _load(entries, code)
    infos = (LFInfo(lf.name, fingerprint(lf), kind_of(lf)) for lf in lfs)
    table = LFTable(tuple(infos), ("in",))
    digests = {file.path: file.sha256 for file in datafiles.files_of(with_parts(lfs))}
    return PreparedJob(entries, code, table, digests, job.output.uri, limit=job.limits.timeout)


@lru_cache(maxsize=8)
def _fingerprints(
    code: JobCode, modules: tuple[ModuleType, ...], classes: tuple[str, ...]
) -> dict[int, str]:
    """Return the fingerprint of each function of the job's modules, by the function's id.

    Worked out once, when the modules are fresh: what functions remember while they run is no part
    of them. The modules stay loaded, so the ids stay theirs.
    """
    project = frozenset(file.module for file in code.files)
    functions = [lf for module in modules for lf in functions_of(module)]
    return {id(lf): fingerprint(lf, project, classes) for lf in functions}


def _with_named(
    lf: AnyLabelingFunction, lfs: list[AnyLabelingFunction], fingerprints: Mapping[str, str]
) -> str:
    """Return the fingerprint of `lf` with those of the functions that it refers to by name."""
    waiting = names_in(lf)
    if not waiting:
        return fingerprints[lf.name]
    by_name = {other.name: other for other in lfs}
    named: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in named:
            named[name] = fingerprints[name]
            waiting += names_in(by_name[name])
    content = json.dumps([fingerprints[lf.name], sorted(named.items())])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _check_names(lfs: list[AnyLabelingFunction]) -> None:
    names = [lf.name for lf in lfs]
    unnamed = [name for name in names if not (isinstance(name, str) and name)]
    if unnamed:
        raise LabelingFunctionError(f"labeling function name {unnamed[0]!r} must be text")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise LabelingFunctionError(
            f"labeling function name {repeated[0]!r} is used {names.count(repeated[0])} times; "
            "names must be unique within a job"
        )


def _check_none_replaced(code: JobCode) -> None:
    """Check that no file defines a function under the name of an earlier one, which is then lost.

    A name counts where a function is bound to it in the end.
    """
    for module in load_modules(code):
        source = code.source(module.__name__)
        assert source is not None  # it was loaded from there
        for name, line, again in redefinitions(source.text):
            if is_labeling_function(getattr(module, name, None)):
                raise LabelingFunctionError(
                    f"{source.path}:{again}: {name!r} replaces the function of the same name in "
                    f"line {line}, which would never vote; rename one or delete one"
                )


def _load(entries: tuple[Any, ...], code: JobCode) -> list[AnyLabelingFunction]:
    modules: dict[str, ModuleType] = dict(zip(code.entries, load_modules(code), strict=True))
    lfs: list[AnyLabelingFunction] = []
    for entry in entries:
        if not isinstance(entry, str):
            lfs += entry.build()
            continue
        found = functions_of(modules[entry])
        if not found:
            source = code.source(entry)
            raise LabelingFunctionError(
                f"{source.path if source else entry}: no labeling functions; decorate one with "
                "@labeling_function(), or bind keywords(...) or regex(...) to a name"
            )
        lfs += found
    return list({id(lf): lf for lf in lfs}.values())  # one that several files bind counts once
