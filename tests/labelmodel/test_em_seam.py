from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from vote_strategies import simulated_crowd, simulated_lfs, simulated_mixture, vote_matrices

from labelmodel import (
    LabelModel,
    LabelModelError,
    VotesError,
    empty,
    fit_blocks,
    from_dense,
)
from labelmodel.default_stages import MAX_STAGES, expected_counts, m_step, posteriors
from labelmodel.fixedpoint import MAX_RECORDS, ONE, check_record_count, quantize
from labelmodel.plain_data import to_plain
from labelmodel.state import initial_parameters


def run(blocks):
    return fit_blocks(LabelModel(), blocks)


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 20), st.integers(1, 9)), elements=st.floats(1e-9, 1)
    )
)
def test_quantised_rows_sum_to_exactly_one(values):
    probabilities = values / values.sum(axis=1, keepdims=True)
    quantised = quantize(probabilities)
    assert (quantised.sum(axis=1) == ONE).all()
    assert (quantised >= 0).all()
    assert np.abs(quantised / ONE - probabilities).max() <= values.shape[1] / ONE


def test_more_records_than_exact_sums_allow_are_refused():
    check_record_count(MAX_RECORDS)
    assert MAX_RECORDS * ONE < 2**63
    with pytest.raises(VotesError, match="limit"):
        check_record_count(MAX_RECORDS + 1)


def same_parameters(left, right):
    return to_plain(left) == to_plain(right)


@settings(max_examples=25, deadline=None)
@given(vote_matrices(), st.integers(1, 4))
def test_blocks_do_not_change_a_bit(case, n_blocks):
    votes, k, gold = case
    table = from_dense(votes, n_classes=k, gold=gold)
    blocks = [table.take(np.arange(i, len(table), n_blocks)) for i in range(n_blocks)]
    assert same_parameters(run([table]), run(blocks[::-1]))


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd, simulated_mixture])
def test_records_one_by_one_fit_as_patterns_do(simulate):
    votes, gold = simulate(n=120)
    given_gold = np.where(np.arange(len(gold)) % 10 == 0, gold, -1)
    whole = from_dense(votes, n_classes=3, gold=given_gold)
    blocks = [
        from_dense(votes[i : i + 1], n_classes=3, gold=given_gold[i : i + 1])
        for i in range(len(votes))
    ]
    assert same_parameters(run([whole]), run(blocks))


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd, simulated_mixture])
def test_a_row_has_the_same_posterior_bits_in_any_block(simulate):
    votes, _ = simulate()
    table = from_dense(votes, n_classes=3)
    params = run([table])
    whole = posteriors(table, params)
    for rows in (np.arange(1), np.arange(7, 12), np.arange(0, len(table), 3)):
        assert np.array_equal(posteriors(table.take(rows), params), whole[rows])


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd, simulated_mixture])
def test_a_fit_is_done_within_the_announced_stages_and_then_stays(simulate):
    votes, _ = simulate(n=200)
    table = from_dense(votes, n_classes=3)
    params = initial_parameters(table.n_lfs, 3)
    for _ in range(MAX_STAGES):
        params = m_step(expected_counts(table, params), params)
    assert params.stage == "done"
    assert m_step(expected_counts(table, params), params) is params
    assert same_parameters(params, LabelModel(3).fit(table).parameters_)


def test_doubling_every_record_leaves_the_function_model_as_it_is():
    votes, _ = simulated_lfs(n=300)
    once, twice = run([from_dense(votes)]), run([from_dense(np.vstack([votes, votes]))])
    assert np.array_equal(once.lf.emissions, twice.lf.emissions)


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd])
def test_nothing_is_held_for_votes_that_do_not_occur(simulate):
    votes, _ = simulate(n=300, k=40)
    params = run([from_dense(votes, n_classes=40)])
    occurring = {(j, vote) for row in votes for j, vote in enumerate(row) if vote >= 0}
    part = params.lf or params.crowd
    index = part.index
    assert list(zip(index.lfs.tolist(), index.labels.tolist(), strict=True)) == sorted(occurring)
    assert part.emissions.shape == (len(occurring), 40)


def test_in_a_crowd_a_vote_never_seen_counts_as_the_average_annotators():
    votes, _ = simulated_crowd(n=300)
    model = LabelModel(3).fit(np.hstack([votes, np.full((300, 1), -1)]))
    params = model.parameters_
    row = np.full((1, 21), -1)
    row[0, 20] = 2
    joint = params.class_balance * params.crowd.pooled_confusion[2]
    expected = 0.75 * joint / joint.sum() + 0.25 * np.array([0.0, 0.0, 1.0])
    assert np.allclose(model.predict_proba(row)[0], expected)


def test_statistics_of_unlike_stages_do_not_add():
    table = from_dense(simulated_lfs(n=50)[0])
    first = initial_parameters(table.n_lfs, table.n_classes)
    counts = expected_counts(table, first)
    second = m_step(counts, first)
    with pytest.raises(LabelModelError, match="do not add"):
        counts + expected_counts(table, second)
    with pytest.raises(VotesError, match="stage"):
        m_step(counts, second)


def test_blocks_of_another_shape_are_refused():
    with pytest.raises(VotesError, match="but the model has"):
        expected_counts(empty(2, 2), initial_parameters(3, 2))
    with pytest.raises(VotesError, match="at least one block"):
        run([])


def test_gold_for_scoring_does_not_reach_the_parameters():
    votes, gold = simulated_lfs(n=300)
    blind = run([from_dense(votes, n_classes=3)])
    scored = run([from_dense(votes, n_classes=3, eval_gold=gold)])
    assert same_parameters(blind, scored)
    given_gold = np.where(np.arange(300) < 50, gold, -1)
    params = run([from_dense(votes, n_classes=3, gold=given_gold, eval_gold=gold)])
    assert (params.gold.eval_gold == -1).all()


def test_thousands_of_equal_probabilities_stay_non_negative():
    even = np.full((2, 20_000), 1 / 20_000)
    quantised = quantize(even)
    assert (quantised.sum(axis=1) == ONE).all()
    assert np.abs(quantised - even * ONE).max() < 1
