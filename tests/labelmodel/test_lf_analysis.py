from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from vote_strategies import vote_matrices

from labelmodel import analyse, empty, from_dense


@given(vote_matrices())
def test_shares_are_those_of_the_dense_definition(case):
    votes, k, gold = case
    found = analyse(from_dense(votes, n_classes=k, eval_gold=gold))
    voted = votes >= 0
    n = max(len(votes), 1)
    overlap = voted & (voted.sum(axis=1, keepdims=True) > 1)
    conflict = np.array(
        [[v >= 0 and any(o not in (-1, v) for o in row) for v in row] for row in votes],
        dtype=bool,
    ).reshape(votes.shape)
    assert np.allclose(found.coverage, voted.sum(axis=0) / n)
    assert np.allclose(found.overlap, overlap.sum(axis=0) / n)
    assert np.allclose(found.conflict, conflict.sum(axis=0) / n)
    assert found.n_covered == voted.any(axis=1).sum()
    assert found.n_overlap == overlap.any(axis=1).sum()
    assert found.n_conflict == conflict.any(axis=1).sum()
    judged = voted & (gold[:, None] >= 0)
    assert np.array_equal(found.gold_n, judged.sum(axis=0))
    assert np.array_equal(found.gold_correct, (judged & (votes == gold[:, None])).sum(axis=0))
    assert found.polarity == [sorted({int(v) for v in column if v >= 0}) for column in votes.T]


@given(vote_matrices(), st.integers(0, 20))
def test_counts_of_blocks_add_to_those_of_all(case, cut):
    votes, k, gold = case
    table = from_dense(votes, n_classes=k, eval_gold=gold)
    added = analyse(table.slice(cut, len(table))) + analyse(table.slice(0, cut))
    whole = analyse(table)
    for field in fields(whole):
        assert np.array_equal(getattr(whole, field.name), getattr(added, field.name))


def test_majority_balance_shares_ties():
    found = analyse(from_dense(np.array([[0, 0], [0, 1], [-1, -1]])))
    assert found.majority_balance.tolist() == [0.75, 0.25]


def test_an_empty_table_has_no_shares():
    found = analyse(empty(2, 2))
    assert found.coverage.tolist() == [0.0, 0.0]
    assert np.isnan(found.gold_accuracy).all()
