"""Dead letters: unreadable records and fault samples as rows of one table."""

from __future__ import annotations

import pyarrow as pa

from labelmill.apply import Fault
from labelmill.deadletters import DEAD_LETTERS, MAX_FAULTS, DeadLetters
from labelmill.readers import BadRecord
from labelmill.tablefile import TableFile


def faults(*names):
    return [Fault(name, f"r{n}", "fault", "ValueError", "no", "") for n, name in enumerate(names)]


def table_of(letters):
    data, rows = letters.finish()
    table = pa.Table.from_batches(TableFile(data, "f").batches(), DEAD_LETTERS)
    assert table.num_rows == rows
    return table


def test_unreadable_records_come_first_with_their_places():
    letters = DeadLetters(["a"], "f.csv")
    letters.add_faults(faults("a"))
    letters.add_bad([BadRecord("f.csv", 3, 40, "too long", "a,b")])
    letters.add_bad([BadRecord("f.parquet", -1, -1, "null id", "")])
    rows = table_of(letters).to_pylist()
    assert [(r["outcome"], r["line"], r["offset"], r["lf"]) for r in rows] == [
        ("bad_record", 3, 40, None),
        ("bad_record", None, None, None),
        ("fault", None, None, "a"),
    ]


def test_failures_come_by_function_whatever_the_batches_and_within_the_limit():
    letters = DeadLetters(["b", "a"], "f.csv")
    letters.add_faults(faults("a", "b", "a"))
    letters.add_faults(faults(*["a"] * MAX_FAULTS))
    rows = table_of(letters).to_pylist()
    assert [(row["lf"], row["id"], row["file"]) for row in rows[:3]] == [
        ("b", "r1", "f.csv"),
        ("a", "r0", "f.csv"),
        ("a", "r2", "f.csv"),
    ]
    assert len(rows) == 1 + MAX_FAULTS


def test_letters_of_an_earlier_run_are_kept_function_by_function():
    before = DeadLetters(["a", "b"], "f.csv")
    before.add_bad([BadRecord("f.csv", 3, 40, "too long", "a,b")])
    before.add_faults(faults("a", "b"))
    letters = DeadLetters(["b", "a"], "f.csv")
    stored = table_of(before)
    letters.keep(stored, {"a"})
    letters.keep_bad(stored)
    assert table_of(letters).to_pylist() == stored.to_pylist()[:2]
