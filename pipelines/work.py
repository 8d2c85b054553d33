"""What a run has to do, and why: which functions on which shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from labelmill.apply import FunctionSet
from labelmill.earlier import functions_of
from labelmill.keptvotes import read_kept
from labelmill.manifest import Manifest
from labelmill.shard import Shard
from labelmill.shardtask import ShardTask
from labelmill.store import Store

FileChange = Literal["unchanged", "new", "changed"]
FunctionChange = Literal["unchanged", "new", "edited", "depends"]
"""``depends``: it looks at others that run, or failed in a way that may pass."""


@dataclass(frozen=True)
class ShardWork:
    """What there is to do on one shard.

    Attributes:
        shard: The shard.
        file: What happened to its file since the current version.
        stored: Whether its votes are there, as they have to be.
        running: Functions that have to run on it, ascending.
    """

    shard: Shard
    file: FileChange
    stored: bool
    running: tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """What there is to do, against the current version.

    Attributes:
        shards: Every shard of the corpus.
        functions: What happened to each function; one is edited when its fingerprint is another.
        removed_files: Files of the current version that are gone.
        removed_functions: Functions of the current version that are gone.
    """

    shards: tuple[ShardWork, ...]
    functions: tuple[FunctionChange, ...]
    removed_files: tuple[str, ...]
    removed_functions: tuple[str, ...]

    @property
    def running(self) -> frozenset[int]:
        """Functions that have to run anywhere."""
        return frozenset(n for shard in self.shards for n in shard.running)

    def reason(self, n: int) -> FunctionChange:
        """Return why function `n` runs on records that were voted on before."""
        change = self.functions[n]
        if change != "unchanged":
            return change
        some = [w.running for w in self.shards if len(w.running) < len(self.functions)]
        return "depends" if any(n in running for running in some) else "unchanged"


def work_of(
    task: ShardTask,
    shards: Sequence[Shard],
    stored: frozenset[str],
    parent: Manifest | None,
    functions: FunctionSet | None,
) -> Work:
    """Compare a job with the current version and with what is stored.

    Args:
        task: What all shards share, with `earlier` votes found.
        shards: The shards of the corpus.
        stored: Ids of shards whose votes are there.
        parent: The current version, if there is one.
        functions: The functions; None when nothing has to run.
    """
    files = {} if parent is None else {s["name"]: s["fingerprint"] for s in parent.shards}
    running = {} if functions is None else _running(task, shards, stored, functions)
    everything = tuple(range(len(task.table.lfs)))
    return Work(
        tuple(
            ShardWork(
                shard,
                _file_change(shard, files),
                shard.id in stored,
                () if shard.id in stored else running.get(shard.id, everything),
            )
            for shard in shards
        ),
        _function_changes(task, parent),
        tuple(sorted(set(files) - {shard.name for shard in shards})),
        _removed_functions(task, parent),
    )


def _running(
    task: ShardTask, shards: Sequence[Shard], stored: frozenset[str], functions: FunctionSet
) -> dict[str, tuple[int, ...]]:
    """Return the functions that run on shards of which there are votes of an earlier run.

    One votes file stands for all that have the same functions; which failed may differ.
    """
    store = Store.open(task.output_uri)
    known: dict[tuple[str, bool], tuple[int, ...] | None] = {}
    running = {}
    for shard in shards:
        path = task.earlier_votes(shard)
        if shard.id in stored or path is None:
            continue
        key = functions_of(path)
        if key not in known:
            kept = read_kept(path, task, store)
            known[key] = None
            if kept is not None:
                known[key] = tuple(sorted(functions.running(kept.changed, kept.failed)))
        found = known[key]
        if found is not None:
            running[shard.id] = found
    return running


def _file_change(shard: Shard, files: Mapping[str, str]) -> FileChange:
    if shard.name not in files:
        return "new"
    return "unchanged" if files[shard.name] == shard.fingerprint else "changed"


def _function_changes(task: ShardTask, parent: Manifest | None) -> tuple[FunctionChange, ...]:
    before = {} if parent is None else {lf["name"]: lf["fingerprint"] for lf in parent.lfs}
    changes: list[FunctionChange] = []
    for lf in task.table.lfs:
        if lf.name not in before:
            changes.append("new")
        else:
            changes.append("unchanged" if before[lf.name] == lf.fingerprint else "edited")
    return tuple(changes)


def _removed_functions(task: ShardTask, parent: Manifest | None) -> tuple[str, ...]:
    before = () if parent is None else parent.lfs
    return tuple(sorted({lf["name"] for lf in before} - set(task.table.names)))
