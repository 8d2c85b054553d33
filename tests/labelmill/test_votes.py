"""Vote batches: packing, unpacking, slices, and the LF table that travels with them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labelmill.errors import CorruptFileError
from labelmill.votes import (
    LFInfo,
    LFTable,
    gold_array,
    lf_table,
    pack_votes,
    unpack_votes,
    votes_schema,
)

CODES = hnp.arrays(
    np.int16,
    st.tuples(st.integers(1, 5), st.integers(0, 12)),
    elements=st.integers(-3, 3),
)


def table_of(n):
    return LFTable(tuple(LFInfo(f"lf{i}", f"{i}") for i in range(n)), ("a", "b", "c", "d"))


def packed(codes, gold=None):
    ids = pa.array([f"r{i}" for i in range(codes.shape[1])], pa.string())
    return pack_votes(ids, codes, table_of(len(codes)), gold)


def dense(votes, n_lfs):
    codes = np.full((n_lfs, len(votes.indptr) - 1), -1, dtype=np.int16)
    rows = np.repeat(np.arange(codes.shape[1]), np.diff(votes.indptr))
    codes[votes.lfs, rows] = votes.labels
    return codes


@given(CODES)
def test_unpacking_gives_back_what_was_packed(codes):
    batch = packed(codes)
    batch.validate(full=True)
    assert np.array_equal(dense(unpack_votes(batch), len(codes)), np.maximum(codes, -1))


@given(CODES, st.data())
def test_slices_unpack_as_their_rows(codes, data):
    start = data.draw(st.integers(0, codes.shape[1]))
    length = data.draw(st.integers(0, codes.shape[1] - start))
    votes = unpack_votes(packed(codes).slice(start, length))
    expected = np.maximum(codes[:, start : start + length], -1)
    assert np.array_equal(dense(votes, len(codes)), expected)


@given(CODES, st.data())
def test_dropping_functions_leaves_the_votes_of_the_others(codes, data):
    dropped = data.draw(st.lists(st.integers(0, len(codes) - 1), unique=True))
    expected = np.maximum(codes, -1)
    expected[dropped] = -1
    kept = unpack_votes(packed(codes)).without(dropped)
    assert np.array_equal(dense(kept, len(codes)), expected)


def test_functions_ascend_within_a_row():
    votes = unpack_votes(packed(np.array([[0, 1], [1, -1], [2, 2]], dtype=np.int16)))
    assert votes.lfs.tolist() == [0, 1, 2, 0, 2]


def test_gold_travels_along_and_reads_as_minus_one_where_unknown():
    codes = np.zeros((1, 2), dtype=np.int16)
    batch = packed(codes, pa.array([3, None], pa.int16()))
    assert gold_array(batch).tolist() == [3, -1]
    assert gold_array(packed(codes)).tolist() == [-1, -1]


def test_table_survives_the_schema_and_json():
    table = table_of(3)
    assert lf_table(votes_schema(table)) == table == LFTable.from_json(table.to_json())


def test_votes_without_a_table_are_refused():
    with pytest.raises(CorruptFileError, match="without an LF table"):
        lf_table(votes_schema(table_of(1)).remove_metadata())
