"""Values that are no whole numbers, parameters out of range, and records by the million."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from vote_strategies import simulated_crowd, simulated_lfs

from labelmodel import (
    EBCC,
    GLAD,
    IBCC,
    MACE,
    DawidSkene,
    LabelModel,
    SnorkelLabelModel,
    VotesError,
    count_patterns,
    from_dense,
)


@pytest.mark.parametrize("unknown", [np.nan, None])
@pytest.mark.parametrize("n_classes", [3, None])
def test_unknown_gold_may_be_nan_or_none(unknown, n_classes):
    votes, gold = simulated_lfs(n=200)
    known = np.where(np.arange(200) < 30, gold, -1)
    odd = np.array([unknown if g < 0 else float(g) for g in known])
    expected = LabelModel(n_classes).fit(votes, known)
    fitted = LabelModel(n_classes).fit(votes, odd)
    assert np.array_equal(fitted.class_balance_, expected.class_balance_)


@pytest.mark.parametrize("odd", [0.7, np.inf])
def test_what_is_no_whole_number_is_refused(odd):
    votes, _ = simulated_lfs(n=20)
    some = np.full(20, -1.0)
    some[3] = odd
    floats = votes.astype(float)
    floats[0, 0] = odd
    for bad in (
        lambda: LabelModel(3).fit(votes, some),
        lambda: LabelModel(3).fit(floats),
        lambda: LabelModel(3).fit(sparse.csr_matrix(np.maximum(floats + 1, 0))),
        lambda: count_patterns([0, 1], np.array([odd]), np.array([0]), n_lfs=2, n_classes=2),
        lambda: count_patterns([0, 1], np.array([0]), np.array([odd]), n_lfs=2, n_classes=2),
        lambda: from_dense(votes, eval_gold=some),
    ):
        with pytest.raises(VotesError, match="whole numbers"):
            bad()


@pytest.mark.parametrize(
    "model",
    [
        DawidSkene(2, class_balance=[np.inf, 1]),
        DawidSkene(2, smoothing=np.inf),
        LabelModel(2, class_balance=np.array([np.nan, 1])),
        LabelModel(2, prec_init=1.5),
        IBCC(2, prior_right=np.inf),
        EBCC(2, random_state=-1),
        EBCC(2, random_state=None),
        EBCC(2, n_subtypes=0),
        GLAD(2, max_iter=-1),
        MACE(2, max_iter=-1),
        MACE(2, alpha=-1.0),
        SnorkelLabelModel(2, mu_eps=2.0),
        SnorkelLabelModel(2, mu_eps=0.0),
        SnorkelLabelModel(2, prec_init=np.nan),
        SnorkelLabelModel(2, prec_init=5.0),
    ],
    ids=repr,
)
def test_parameter_out_of_range_is_refused(model):
    with pytest.raises(VotesError):
        model.fit(np.array([[0, 1, 0], [1, 1, -1], [0, 0, 0], [1, 1, 1]]))


def test_records_by_the_million_of_few_patterns_find_the_same_dependence():
    votes, _ = simulated_crowd(n=500)
    table = from_dense(votes, n_classes=3)
    rhos = {
        LabelModel(3).fit(replace(table, counts=table.counts * times)).parameters_.crowd.rho
        for times in (10_000, 1_000_000, 100_000_000)
    }
    assert len(rhos) == 1


def test_sample_of_patterns_is_the_same_in_any_blocks(monkeypatch):
    monkeypatch.setattr("labelmodel.state.SAMPLED_PATTERNS", 100)
    monkeypatch.setattr("labelmodel.default_stages.SAMPLED_PATTERNS", 100)
    votes, _ = simulated_crowd(n=500)
    table = from_dense(votes, n_classes=3)
    model = LabelModel(3)
    whole = model.expected_counts(table, model.initial_state(table.n_lfs, 3))
    parts = [table.slice(a, a + 60) for a in range(0, len(table), 60)]
    each = [model.expected_counts(part, model.initial_state(table.n_lfs, 3)) for part in parts]
    together = sum(each[1:], each[0])
    state = model.m_step(whole, model.initial_state(table.n_lfs, 3))
    assert state.last_sampled is not None
    assert np.array_equal(whole.hashes, together.hashes)
    fewer = np.count_nonzero(table.row_hash() <= np.uint64(state.last_sampled))
    assert fewer < len(table)
