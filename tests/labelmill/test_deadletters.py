"""Dead letters: unreadable records and fault samples as rows of one table."""

from __future__ import annotations

from labelmill.apply import Fault
from labelmill.deadletters import DEAD_LETTERS, MAX_FAULTS, DeadLetters
from labelmill.readers import BadRecord


def faults(*names):
    return [Fault(name, f"r{n}", "fault", "ValueError", "no", "") for n, name in enumerate(names)]


def test_unreadable_records_come_first_with_their_places():
    letters = DeadLetters(["a"], "f.csv")
    letters.add_faults(faults("a"))
    letters.add_bad([BadRecord("f.csv", 3, 40, "too long", "a,b")])
    letters.add_bad([BadRecord("f.parquet", -1, -1, "null id", "")])
    table = letters.table()
    assert table.schema == DEAD_LETTERS
    assert [(r["outcome"], r["line"], r["offset"], r["lf"]) for r in table.to_pylist()] == [
        ("bad_record", 3, 40, None),
        ("bad_record", None, None, None),
        ("fault", None, None, "a"),
    ]


def test_failures_come_by_function_whatever_the_batches_and_within_the_limit():
    letters = DeadLetters(["b", "a"], "f.csv")
    letters.add_faults(faults("a", "b", "a"))
    letters.add_faults(faults(*["a"] * MAX_FAULTS))
    rows = letters.table().to_pylist()
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
    stored = before.table().to_pylist()
    letters.keep(stored, {"a"})
    letters.keep_bad(stored)
    assert letters.table().to_pylist() == [stored[0], stored[1]]
