"""Dead letters: unreadable records and fault samples as rows of one table."""

from __future__ import annotations

from labelmill.apply import Fault
from labelmill.deadletters import DEAD_LETTERS, bad_record_rows, fault_rows
from labelmill.readers import BadRecord


def faults(*names):
    return [Fault(name, f"r{n}", "fault", "ValueError", "no", "") for n, name in enumerate(names)]


def test_unreadable_record_is_a_row_with_its_place():
    batch = bad_record_rows(
        [
            BadRecord("f.csv", 3, 40, "too long", "a,b"),
            BadRecord("f.parquet", -1, -1, "null id", ""),
        ]
    )
    assert batch.schema == DEAD_LETTERS
    assert [(r["outcome"], r["line"], r["offset"], r["lf"]) for r in batch.to_pylist()] == [
        ("bad_record", 3, 40, None),
        ("bad_record", None, None, None),
    ]


def test_faults_are_kept_within_each_functions_budget():
    budget = {"a": 2, "b": 1}
    batch = fault_rows(faults("a", "b", "a", "b", "a"), "f.csv", budget)
    assert [(row["lf"], row["id"], row["file"]) for row in batch.to_pylist()] == [
        ("a", "r0", "f.csv"),
        ("b", "r1", "f.csv"),
        ("a", "r2", "f.csv"),
    ]
    assert budget == {"a": 0, "b": 0}
    assert fault_rows(faults("a"), "f.csv", budget).num_rows == 0
