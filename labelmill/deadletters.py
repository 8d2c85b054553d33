"""Dead letters: records that could not be read and samples of what functions failed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from labelmill.apply import Fault
from labelmill.readers import BadRecord

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
