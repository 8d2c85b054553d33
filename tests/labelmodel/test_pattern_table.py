from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from vote_strategies import vote_matrices

from labelmodel import (
    VotesError,
    count_patterns,
    empty,
    from_dense,
    from_dense_with_inverse,
    from_long,
    grouping,
    merge_patterns,
)


def splitmix64(value):
    """Follow the published algorithm in plain integers."""
    mask = 2**64 - 1
    value = (value + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return value ^ (value >> 31)


def rows_of(table):
    counted = Counter()
    for row in range(len(table)):
        entries = slice(table.indptr[row], table.indptr[row + 1])
        votes = tuple(zip(table.lfs[entries].tolist(), table.labels[entries].tolist(), strict=True))
        key = (votes, int(table.gold[row]), int(table.eval_gold[row]))
        assert key not in counted
        counted[key] = int(table.counts[row])
    return counted


def rows_of_dense(votes, gold, eval_gold):
    return Counter(
        (
            tuple((lf, int(vote)) for lf, vote in enumerate(row) if vote >= 0),
            int(gold[i]),
            int(eval_gold[i]),
        )
        for i, row in enumerate(votes)
    )


@given(vote_matrices())
def test_counts_are_those_of_a_counter(case):
    votes, k, gold = case
    table, inverse = from_dense_with_inverse(votes, n_classes=k, gold=gold, eval_gold=gold[::-1])
    assert rows_of(table) == rows_of_dense(votes, gold, gold[::-1])
    assert np.array_equal(np.bincount(inverse, minlength=len(table)), table.counts)
    assert np.array_equal(table.gold[inverse], gold)


@given(vote_matrices(), st.data())
def test_any_order_and_split_gives_the_same_arrays(case, data):
    votes, k, gold = case
    whole = from_dense(votes, n_classes=k, gold=gold)
    order = np.array(data.draw(st.permutations(range(len(votes)))), dtype=int)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(votes)), max_size=3)))
    parts = [
        from_dense(votes[rows], n_classes=k, gold=gold[rows]) for rows in np.split(order, cuts)
    ]
    nested = merge_patterns([merge_patterns(parts[1:] or parts), *parts[:1]][: len(parts)])
    assert nested == whole
    assert merge_patterns(parts[::-1]) == whole


@given(vote_matrices())
def test_colliding_hashes_are_told_apart(case):
    votes, k, gold = case
    strong = from_dense(votes, n_classes=k, gold=gold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            grouping, "hash_rows", lambda ip, codes: np.zeros(len(ip) - 1, dtype=np.uint64)
        )
        weak = from_dense(votes, n_classes=k, gold=gold)
        shuffled = merge_patterns(
            [
                from_dense(votes[1::2], n_classes=k, gold=gold[1::2]),
                from_dense(votes[::2], n_classes=k, gold=gold[::2]),
            ]
        )
    assert rows_of(weak) == rows_of(strong)
    assert weak == shuffled


@given(vote_matrices())
def test_dropping_functions_equals_never_having_had_them(case):
    votes, k, gold = case
    dropped = votes.copy()
    dropped[:, 0] = -1
    table = from_dense(votes, n_classes=k, gold=gold)
    mask = np.zeros(votes.shape[1], dtype=bool)
    mask[0] = True
    expected = from_dense(dropped, n_classes=k, gold=gold)
    assert table.drop_lfs([0]) == expected
    assert table.drop_lfs(mask) == expected
    assert table.drop_lfs([]) == table


def test_sparse_and_dense_matrices_count_alike():
    votes = np.array([[0, -1, 2], [-1, -1, -1], [1, 1, -1], [0, -1, 2]])
    expected = from_dense(votes)
    for matrix in (sparse.csr_matrix(votes + 1), sparse.csc_array((votes + 1).astype(float))):
        assert from_dense(matrix, n_classes=3) == expected


def test_row_hash_ignores_gold_and_is_the_same_everywhere():
    with_gold = from_dense(np.array([[0, 1]]), n_classes=2, gold=np.array([1]))
    without = from_dense(np.array([[0, 1], [0, 1]]), n_classes=2)
    assert with_gold.row_hash().tolist() == without.row_hash().tolist()
    by_hand = splitmix64(splitmix64((0 << 16) | 0) + splitmix64((1 << 16) | 1))
    assert without.row_hash().tolist() == [by_hand]


def test_take_keeps_canonical_order():
    table = from_dense(np.array([[0, 1], [1, 1], [-1, 0], [-1, -1]]), n_classes=2)
    half = table.take(np.array([3, 1]))
    assert half == table.take(np.array([False, True, False, True]))
    assert merge_patterns([table.take(np.array([0, 2])), half]) == table


def test_counts_add_up_when_rows_bring_them():
    table = count_patterns(
        np.array([0, 1, 2]),
        np.array([3, 3]),
        np.array([1, 1]),
        n_lfs=4,
        n_classes=2,
        counts=np.array([5, 2**40]),
    )
    assert table.counts.tolist() == [5 + 2**40]
    assert table.n_records == 5 + 2**40


def test_an_empty_table_merges_as_nothing():
    table = from_dense(np.array([[0, 1]]), n_classes=2)
    assert merge_patterns([empty(2, 2), table]) == table
    assert len(empty(2, 2)) == 0


def test_the_last_of_repeated_answers_counts():
    matrix = from_long(np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([0, 2, 1]))
    assert matrix.toarray().tolist() == [[0, 3], [2, 0]]


@pytest.mark.parametrize(
    ("indptr", "lfs", "labels", "message"),
    [
        ([0, 1], [2], [0], "LF 2 is outside"),
        ([0, 1], [0], [2], "class 2 is outside"),
        ([0, 1], [0], [-1], "abstains are left out"),
        ([0, 2], [1, 1], [0, 0], "not strictly ascending"),
        ([0, 1, 3], [1, 1, 0], [0, 0, 0], "row 1"),
        ([0, 2], [1], [0], "indptr ends at 2"),
        ([1, 2], [1], [0], "start with 0"),
        ([0, 2, 1], [1], [0], "descend"),
    ],
)
def test_bad_votes_are_refused(indptr, lfs, labels, message):
    with pytest.raises(VotesError, match=message):
        count_patterns(np.array(indptr), np.array(lfs), np.array(labels), n_lfs=2, n_classes=2)


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        (np.array([[-2, 0]]), "neither a class"),
        (np.array([[0.5, 0]]), "must be whole numbers"),
        (np.array([0, 1]), "matrix"),
        (np.array([["a"]]), "must be whole numbers"),
    ],
)
def test_matrices_that_hold_no_votes_are_refused(votes, message):
    with pytest.raises(VotesError, match=message):
        from_dense(votes, n_classes=2)


def test_gold_out_of_range_is_refused():
    with pytest.raises(VotesError, match="gold has values"):
        from_dense(np.array([[0, 1]]), n_classes=2, gold=np.array([2]))


def test_tables_of_unlike_functions_do_not_merge():
    with pytest.raises(VotesError, match="do not merge"):
        merge_patterns([empty(2, 2), empty(3, 2)])
    with pytest.raises(VotesError, match="at least one"):
        merge_patterns([])
