"""Table files: the same bytes however batches were cut, and no damage that goes unnoticed."""

from __future__ import annotations

import json
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill import tablefile
from labelmill.errors import CorruptFileError
from labelmill.tablefile import TableFile, TableWriter, input_digest

SCHEMA = pa.schema([("id", pa.string()), ("lfs", pa.list_(pa.int32()))], metadata={"k": "v"})


def rows(n, start=0):
    return pa.RecordBatch.from_pydict(
        {
            "id": [f"r{i}" for i in range(start, start + n)],
            "lfs": [[i] * (i % 3) for i in range(n)],
        },
        schema=SCHEMA,
    )


def written(batch, cuts=(), note=None):
    writer = TableWriter(SCHEMA)
    edges = [0, *sorted(cuts), batch.num_rows]
    for start, stop in pairwise(edges):
        writer.write(batch.slice(start, stop - start))
    assert writer.rows == batch.num_rows
    return writer.finish(note)


def test_rows_schema_and_note_are_read_back():
    file = TableFile(written(rows(5), note={"a": [1, None]}), "f")
    assert pa.Table.from_batches(file.batches(2)).equals(pa.Table.from_batches([rows(5)]))
    assert (file.rows, file.note, file.schema.metadata[b"k"]) == (5, {"a": [1, None]}, b"v")


def test_table_without_rows_or_note_is_a_file():
    file = TableFile(TableWriter(SCHEMA).finish(), "f")
    assert (file.rows, file.note, list(file.batches())) == (0, {}, [])


def test_other_tools_read_the_file():
    assert pq.read_table(pa.BufferReader(written(rows(3)))).num_rows == 3


@pytest.fixture(scope="module", autouse=True)
def small_row_groups():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tablefile, "ROW_GROUP_ROWS", 16)
        yield


@given(st.integers(0, 50), st.lists(st.integers(0, 50), max_size=8))
def test_bytes_do_not_depend_on_how_batches_were_cut(n, cuts):
    batch = rows(n)
    assert written(batch, [cut for cut in cuts if cut <= n]) == written(batch)


@given(st.data())
def test_any_flipped_bit_is_noticed(data):
    whole = written(rows(20), note={"n": 1})
    position = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptFileError, match="name"):
        TableFile(bytes(damaged), "name")


@given(st.data())
def test_any_truncation_or_addition_is_noticed(data):
    whole = written(rows(20))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for damaged in (cut, whole + b"\0", cut + b"\0" * (len(whole) - len(cut))):
        with pytest.raises(CorruptFileError):
            TableFile(damaged, "name")


def test_file_that_another_tool_wrote_is_refused():
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink)
    with pytest.raises(CorruptFileError, match="carries no digest"):
        TableFile(sink.getvalue().to_pybytes(), "name")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_input_digests_differ_when_inputs_do(a, b):
    assert (input_digest(a) == input_digest(b)) == (
        json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    )


def test_input_digest_is_the_same_in_every_run():
    assert input_digest({"b": [1, "ä"], "a": None}) == input_digest({"a": None, "b": [1, "ä"]})
    with pytest.raises(ValueError, match="JSON"):
        input_digest(float("nan"))


def test_a_file_in_a_newer_format_is_said_to_be_newer(monkeypatch):
    monkeypatch.setattr(tablefile, "FORMAT_VERSION", 2)
    data = written(rows(3))
    monkeypatch.undo()

    with pytest.raises(CorruptFileError, match="f has format 2, written by a newer labelmill"):
        TableFile(data, "f")


def test_columns_are_read_whole_and_a_missing_one_is_named():
    file = TableFile(written(rows(5), cuts=[2]), "f")

    assert file.whole().to_pydict() == rows(5).to_pydict()
    assert file.whole().schema.metadata[b"k"] == b"v"
    assert file.whole(["lfs"]).to_pydict() == {"lfs": rows(5).to_pydict()["lfs"]}
    assert TableFile(TableWriter(SCHEMA).finish(), "f").whole().num_rows == 0
    with pytest.raises(CorruptFileError, match="f has no column 'label'"):
        file.whole(["label"])
