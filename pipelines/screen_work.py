"""The work of a plan in lines: which functions run on which shards, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.plan import Plan
from pipelines.screen_text import plural, printable
from pipelines.work import ShardWork

SHOWN = 5
"""Names in a line."""

FUNCTIONS = {
    "new": "new",
    "edited": "edited",
    "depends": "look at others that run, or failed in a way that may pass",
}
FILES = {
    "new": "of new files",
    "changed": "of changed files",
    "unchanged": "of unchanged files",
}


def work_lines(plan: Plan) -> Iterator[str]:
    """Yield what runs, by shards that have the same to do for the same reason."""
    work, table = plan.work, plan.prepared.table
    for change, text in FUNCTIONS.items():
        names = [name for n, name in enumerate(table.names) if work.reason(n) == change]
        if names and plan.parent is not None:
            yield f"functions {text}: {_names(names)}"
    if work.removed_functions:
        yield f"functions removed: {_names(work.removed_functions)}"
    if work.removed_files:
        yield f"files removed: {_names(work.removed_files)}"
    kept = sum(shard.stored for shard in work.shards)
    if kept:
        yield f"reused: {plural(kept, 'shard')}, all their votes"
    groups: dict[tuple[str, int], list[ShardWork]] = {}
    for shard in work.shards:
        if not shard.stored:
            groups.setdefault((shard.file, len(shard.running)), []).append(shard)
    for (file, running), shards in groups.items():
        rows = plan.rows_of([work.shard for work in shards])
        yield (
            f"to vote on: {plural(len(shards), 'shard')} {FILES[file]} ({rows:,} records) with "
            f"{running:,} of {plural(len(table.lfs), 'function')}"
        )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:SHOWN]))
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN:,} more"
