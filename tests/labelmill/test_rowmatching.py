"""Matching rows by id, in memory and through disk."""

import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from labelmill.rowmatching import SpilledRows, match_ids

ids = st.lists(st.sampled_from(["a", "b", "c", "", "ä", "\x00", "a b"]) | st.text(max_size=3))


@given(ids, ids)
def test_rows_match_by_id_and_repeated_ids_in_order(before, after):
    mine, theirs = match_ids(pa.array(before, pa.string()), pa.array(after, pa.string()))

    assert [before[n] for n in mine] == [after[n] for n in theirs]
    assert mine.tolist() == sorted(set(mine.tolist()))
    assert Counter(before[n] for n in mine) == Counter(before) & Counter(after)
    for name in set(before):
        pairs = [(m, t) for m, t in zip(mine, theirs, strict=True) if before[m] == name]
        firsts = [n for n, other in enumerate(after) if other == name]
        assert [t for _, t in pairs] == firsts[: len(pairs)]


@given(st.lists(ids, max_size=4), st.integers(1, 5))
def test_spilled_rows_come_back_in_parts_that_depend_on_the_id_alone(batches, parts):
    schema = pa.schema([("id", pa.string()), ("n", pa.int64())])
    with tempfile.TemporaryDirectory() as folder:
        spilled = SpilledRows(Path(folder) / "rows", schema, parts)
        for batch in batches:
            rows = {"id": batch, "n": list(range(len(batch)))}
            spilled.add(pa.RecordBatch.from_pydict(rows, schema=schema))
        found = [part.to_pylist() for part in spilled.parts()]

    assert spilled.rows == sum(map(len, batches))
    assert len(found) == parts
    every = [(row["id"], row["n"]) for part in found for row in part]
    assert Counter(every) == Counter((i, n) for batch in batches for n, i in enumerate(batch))
    places = {(row["id"], number) for number, part in enumerate(found) for row in part}
    assert len(places) == len({name for name, _ in places})
