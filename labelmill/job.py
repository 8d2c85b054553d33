"""A job made ready: its functions loaded and checked, its table and fingerprints worked out.

`PreparedJob` is what the launcher makes and what travels to workers, as plain data and sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from labelmill.apply import FunctionSet
from labelmill.code import JobCode, collect_code, functions_of, load_modules
from labelmill.errors import LabelingFunctionError
from labelmill.fingerprint import fingerprint
from labelmill.jobspec import JobSpec, KeywordsEntry, KeywordsSpec, RegexSpec, resolve_uri
from labelmill.labeling import AnyLabelingFunction, keywords, kind_of, regex
from labelmill.votes import LFInfo, LFTable


@dataclass(frozen=True)
class PreparedJob:
    """A job that workers can load: plain data and sources, no live functions.

    Attributes:
        entries: The `lfs` of the job file, in order.
        code: Sources of the Python files among them.
        table: LF table with fingerprints, in vote-index order.
    """

    entries: tuple[str | KeywordsSpec | RegexSpec, ...]
    code: JobCode
    table: LFTable

    def functions(self) -> list[AnyLabelingFunction]:
        """Return the live labeling functions, loaded once per process."""
        return _load(self.entries, self.code)

    def function_set(self) -> FunctionSet:
        """Return the functions ready to run over batches."""
        return FunctionSet(self.functions(), self.table)


def prepare_job(job: JobSpec, folder: Path) -> PreparedJob:
    """Load a job's functions and compute its LF table.

    Args:
        job: The validated job file.
        folder: The job file's folder; Python files are relative to it.

    Raises:
        LabelingFunctionError: A file does not import or holds no functions, a name is given
            twice, a matcher votes for an unknown class.
    """
    files = [entry for entry in job.lfs if isinstance(entry, str)]
    code = collect_code([Path(resolve_uri(file, folder)).resolve() for file in files])
    modules = iter(code.entries)
    entries: list[str | KeywordsSpec | RegexSpec] = []
    for entry in job.lfs:
        if isinstance(entry, str):
            entries.append(next(modules))
        else:
            entries.append(entry.keywords if isinstance(entry, KeywordsEntry) else entry.regex)
    lfs = _load(tuple(entries), code)
    _check_names(lfs)
    known = _fingerprints(code)
    table = LFTable(
        tuple(LFInfo(lf.name, known.get(id(lf)) or fingerprint(lf), kind_of(lf)) for lf in lfs),
        tuple(job.labels),
    )
    FunctionSet(lfs, table)  # finds matchers that vote for what is no class
    return PreparedJob(tuple(entries), code, table)


@lru_cache(maxsize=8)
def _fingerprints(code: JobCode) -> dict[int, str]:
    """Return the fingerprint of each function of the job's modules, by the function's id.

    Worked out once, when the modules are fresh: what functions remember while they run is no part
    of them. The modules stay loaded, so the ids stay theirs.
    """
    project = frozenset(file.module for file in code.files)
    functions = [lf for module in load_modules(code) for lf in functions_of(module)]
    return {id(lf): fingerprint(lf, project) for lf in functions}


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


def _load(
    entries: tuple[str | KeywordsSpec | RegexSpec, ...], code: JobCode
) -> list[AnyLabelingFunction]:
    modules: dict[str, ModuleType] = dict(zip(code.entries, load_modules(code), strict=True))
    lfs: list[AnyLabelingFunction] = []
    for entry in entries:
        if isinstance(entry, KeywordsSpec):
            lfs.append(keywords(**entry.model_dump()))
        elif isinstance(entry, RegexSpec):
            values = entry.model_dump(exclude={"ignore_case"})
            lfs.append(regex(**values, flags=re.IGNORECASE if entry.ignore_case else 0))
        else:
            found = functions_of(modules[entry])
            if not found:
                source = code.source(entry)
                raise LabelingFunctionError(
                    f"{source.path if source else entry}: no labeling functions; decorate one "
                    "with @labeling_function(), or bind keywords(...) or regex(...) to a name"
                )
            lfs += found
    return list({id(lf): lf for lf in lfs}.values())  # one that several files bind counts once
