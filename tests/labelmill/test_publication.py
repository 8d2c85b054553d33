"""Publishing: row accounting, and how a run's end is recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labelmill.apply import Outcomes
from labelmill.errors import RowAccountingError
from labelmill.manifest import FileEntry
from labelmill.publication import RunOutcome, ShardRecord, check_rows
from labelmill.shard import Shard


def shard_of(rows=10):
    return Shard("/x/a.jsonl", "a.jsonl", "jsonl", None, 0, 99, 0, rows, 99, "f")


def votes_file(rows):
    return FileEntry("votes", "s", "votes/a.parquet", rows, 10, "0" * 64)


def record_of(*, planned=10, voted=9, bad=1, stored=9, labeled=9):
    outcomes = replace(Outcomes.zero(1), rows=voted)
    files = (votes_file(stored),)
    return ShardRecord(shard_of(planned), files, outcomes, bad, 0, False, labeled, 0, (0, 0))


def test_rows_that_add_up_pass():
    check_rows([record_of(), record_of(planned=None), record_of(planned=9, bad=0)])


def test_nothing_to_check_passes():
    check_rows([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"planned": 11}, "has 11 records, but 9 were voted on and 1 were unreadable"),
        ({"bad": 0}, "has 10 records, but 9 were voted on and 0 were unreadable"),
        ({"stored": 8}, "9 records voted on, 8 in the votes file, 9 labeled"),
        ({"labeled": 10}, "9 records voted on, 9 in the votes file, 10 labeled"),
    ],
)
def test_rows_lost_or_made_are_told_by_shard(change, message):
    with pytest.raises(RowAccountingError, match=message) as caught:
        check_rows([record_of(), record_of(**change)])
    assert "a.jsonl[0:99]" in str(caught.value)


def test_shard_without_a_votes_file_does_not_add_up():
    with pytest.raises(RowAccountingError, match="None in the votes file"):
        check_rows([replace(record_of(), files=())])


@pytest.mark.parametrize("version", [None, 4])
def test_outcome_survives_json(version):
    outcome = RunOutcome("r1", "published", version, "as ä", {"counts": {"rows": 3}, "gates": []})
    assert RunOutcome.from_json(outcome.to_json()) == outcome
