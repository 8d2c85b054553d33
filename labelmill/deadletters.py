"""Dead letters: records that could not be read and samples of what functions failed on."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from itertools import islice

import pyarrow as pa

from labelmill.apply import Fault, Outcomes
from labelmill.manifest import FileEntry
from labelmill.readers import BadRecord
from labelmill.store import Store
from labelmill.tablefile import TableFile

WORST_FUNCTIONS = 5
"""Functions of which a run shows a failure,"""

FILES_SEARCHED = 20
"""and files that are searched for one."""

DEAD_LETTERS = pa.schema(
    [
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64()),
        pa.field("offset", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("lf", pa.string()),
        pa.field("type", pa.string()),
        pa.field("message", pa.string(), nullable=False),
        pa.field("traceback", pa.string()),
        pa.field("text", pa.string()),
    ]
)
"""Columns of a faults file; `outcome` is ``bad_record``, ``fault`` or ``invalid``."""


def bad_record_rows(records: Sequence[BadRecord]) -> pa.RecordBatch:
    """Return unreadable records as dead letters; -1 for line or offset becomes null."""
    rows = [
        {
            "outcome": "bad_record",
            "file": record.file,
            "line": record.line if record.line >= 0 else None,
            "offset": record.offset if record.offset >= 0 else None,
            "message": record.reason,
            "text": record.text,
        }
        for record in records
    ]
    return pa.RecordBatch.from_pylist(rows, schema=DEAD_LETTERS)


def fault_rows(faults: Sequence[Fault], file: str, budget: dict[str, int]) -> pa.RecordBatch:
    """Return fault samples as dead letters, within what is left of each function's budget.

    Args:
        faults: Samples of one batch.
        file: The corpus file.
        budget: Dead letters left per function; lowered by what is taken.
    """
    rows = []
    for fault in faults:
        if budget[fault.lf] > 0:
            budget[fault.lf] -= 1
            rows.append({**asdict(fault), "file": file})
    return pa.RecordBatch.from_pylist(rows, schema=DEAD_LETTERS)


def failures_of_the_worst(
    outcomes: Outcomes, names: Sequence[str], files: Iterable[FileEntry], store: Store
) -> list[Fault]:
    """Return the first failure of each of the functions that failed most, the worst first.

    Args:
        outcomes: Counts of all records.
        names: The functions.
        files: Files with dead letters, in the order of the corpus. A function whose failures are
            not in the first of them is left out.
        store: Where they are.
    """
    failures = [a + b for a, b in zip(outcomes.faults, outcomes.invalid, strict=True)]
    worst = heapq.nlargest(WORST_FUNCTIONS, range(len(names)), key=failures.__getitem__)
    wanted = [names[n] for n in worst if failures[n]]
    found: dict[str, Fault] = {}
    for file in islice(files, FILES_SEARCHED):
        if len(found) == len(wanted):
            break
        for batch in TableFile(store.get(file.path), file.path).batches():
            for row in batch.to_pylist():
                if row["lf"] in wanted:
                    found.setdefault(
                        row["lf"], Fault(**{field.name: row[field.name] for field in fields(Fault)})
                    )
    return [found[name] for name in wanted if name in found]
