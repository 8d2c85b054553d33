"""What test_every_model.py asks, of what it does not reach: two-class models, other methods."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vote_strategies import simulated_crowd, vote_matrices

from labelmodel import (
    MACE,
    LabelModelWarning,
    Triplets,
    VotesError,
    empty,
    from_dense,
)
from labelmodel.staged import fit_blocks

MODELS = {
    "triplets": Triplets(),
    "triplets learning the balance": Triplets(class_balance="learned"),
    "mace by em": MACE(n_restarts=2, max_iter=4, method="em"),
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def binary_where_needed(model, votes, k, gold):
    if not isinstance(model, Triplets):
        return votes, k, gold
    return np.minimum(votes, 1), 2, np.minimum(gold, 1)


@each_model
@settings(max_examples=20, deadline=None)
@given(case=vote_matrices(), n_blocks=st.integers(1, 4))
def test_blocks_do_not_change_a_bit_and_rows_do_not_depend_on_each_other(model, case, n_blocks):
    votes, k, gold = binary_where_needed(model, *case)
    table = from_dense(votes, n_classes=k, gold=gold)
    blocks = [table.take(np.arange(i, len(table), n_blocks)) for i in range(n_blocks)]
    whole, parts = fit_blocks(model, [table]), fit_blocks(model, blocks[::-1])
    posteriors = model.posteriors(table, whole)
    assert np.array_equal(posteriors, model.posteriors(table, parts))
    assert np.isfinite(posteriors).all()
    assert posteriors.sum(axis=1) == pytest.approx(1.0)
    for row in range(min(len(table), 3)):
        alone = model.posteriors(table.take(np.array([row])), whole)
        assert np.array_equal(alone, posteriors[row : row + 1])


@each_model
def test_records_one_by_one_fit_as_patterns_do(model):
    votes, gold = simulated_crowd(n=60, m=6, k=2, asked=3)
    given_gold = np.where(np.arange(len(gold)) % 9 == 0, gold, -1)
    whole = from_dense(votes, n_classes=2, gold=given_gold)
    records = [
        from_dense(votes[i : i + 1], n_classes=2, gold=given_gold[i : i + 1])
        for i in range(len(votes))
    ]
    expected = model.posteriors(whole, fit_blocks(model, [whole]))
    assert np.array_equal(model.posteriors(whole, fit_blocks(model, records)), expected)


DEGENERATE = {
    "one function": [[0], [1], [-1], [0]],
    "all agree": [[0, 0, 0], [1, 1, 1], [0, 0, 0]],
    "one class": [[0, 0, -1], [-1, 0, 0]],
    "more functions than records": [[0, 1, 0, 1, 1, -1, 0]],
    "a function that never votes": [[0, 1, -1], [1, 1, -1], [0, 0, -1]],
    "always opposed": [[0, 1], [1, 0], [0, 1]],
}


@each_model
@pytest.mark.parametrize("votes", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_votes_get_finite_answers_and_no_votes_the_class_balance(model, votes):
    votes = np.array([*votes, [-1] * len(votes[0])])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", LabelModelWarning)
        probabilities = type(model)(2).fit(votes).predict_proba(votes)
    assert np.isfinite(probabilities).all()
    assert np.array_equal(probabilities[-1], [0.5, 0.5])


@each_model
@pytest.mark.parametrize("n_lfs", [0, 3])
def test_no_votes_at_all_fit(model, n_lfs):
    fitted = type(model)().fit(empty(n_lfs, 2))
    assert np.array_equal(fitted.class_balance_, [0.5, 0.5])
    assert np.isnan(fitted.lf_accuracy_).all()


@each_model
def test_a_fit_ends_within_the_announced_stages_and_then_stays(model):
    table = from_dense(simulated_crowd(n=50, m=6, k=2, asked=3)[0], n_classes=2)
    state = model.initial_state(table.n_lfs, 2)
    for _ in range(model.max_stages):
        state = model.m_step(model.expected_counts(table, state), state)
    assert state.stage == "done"
    assert model.m_step(model.expected_counts(table, state), state) is state


@each_model
def test_votes_of_another_shape_and_statistics_of_another_stage_are_refused(model):
    table = from_dense(simulated_crowd(n=20, m=4, k=2, asked=3)[0], n_classes=2)
    state = model.initial_state(5, 2)
    with pytest.raises(VotesError, match="but the model has"):
        model.expected_counts(table, state)
    done = fit_blocks(model, [table])
    first = model.expected_counts(table, model.initial_state(4, 2))
    with pytest.raises(VotesError, match="stage"):
        model.m_step(first, done)
