"""Dead letters: records that could not be read and samples of what functions failed on."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from labelmill.apply import Fault, Outcomes
from labelmill.manifest import FileEntry
from labelmill.readers import BadRecord
from labelmill.store import Store
from labelmill.tablefile import TableFile, TableWriter

WORST_FUNCTIONS = 5
"""Functions of which a run shows a failure,"""

FILES_SEARCHED = 20
"""and files that are searched for one."""

MAX_FAULTS = 100
"""Dead letters kept per function and shard; counts are exact whatever their number."""

BAD_RECORD = "bad_record"
"""What `outcome` says of a record that could not be read."""

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


class DeadLetters:
    """The dead letters of a shard: unreadable records in order, then what each function failed on.

    The order depends on neither batches nor on which functions ran when.

    Args:
        names: The functions, in index order.
        file: The corpus file.
    """

    def __init__(self, names: Sequence[str], file: str) -> None:
        self._file = file
        self._writer = TableWriter(DEAD_LETTERS)
        self._failures: dict[str, list[dict[str, Any]]] = {name: [] for name in names}

    def add_bad(self, records: Sequence[BadRecord]) -> None:
        """Add unreadable records; -1 for line or offset becomes null."""
        rows = [
            {
                "outcome": BAD_RECORD,
                "file": record.file,
                "line": record.line if record.line >= 0 else None,
                "offset": record.offset if record.offset >= 0 else None,
                "message": record.reason,
                "text": record.text,
            }
            for record in records
        ]
        if rows:
            self._writer.write(pa.RecordBatch.from_pylist(rows, schema=DEAD_LETTERS))

    def add_faults(self, faults: Iterable[Fault]) -> None:
        """Add failures of one batch, as long as there is room for their function's."""
        for fault in faults:
            if len(self._failures[fault.lf]) < MAX_FAULTS:
                self._failures[fault.lf].append({**asdict(fault), "file": self._file})

    def keep(self, letters: pa.Table, names: Collection[str]) -> None:
        """Add the failures of some functions from the dead letters of an earlier run."""
        wanted = pc.is_in(letters.column("lf"), pa.array(sorted(names), pa.string()))
        for letter in letters.filter(wanted).to_pylist():
            self._failures[letter["lf"]].append(letter)

    def keep_bad(self, letters: pa.Table) -> None:
        """Add the unreadable records from the dead letters of an earlier run."""
        bad = letters.filter(pc.equal(letters.column("outcome"), BAD_RECORD))
        for batch in bad.to_batches():
            self._writer.write(batch)

    def finish(self) -> tuple[bytes, int]:
        """Return a file of all of them, and their number."""
        failures = [letter for letters in self._failures.values() for letter in letters]
        if failures:
            self._writer.write(pa.RecordBatch.from_pylist(failures, schema=DEAD_LETTERS))
        return self._writer.finish(), self._writer.rows


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
