from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs

from benchmarks.copies import (
    copied_crowd,
    copied_crowd_apart,
    outnumbered,
    outnumbered_functions,
)
from labelmodel import (
    LabelModel,
    accuracy,
    fit_blocks,
    from_dense,
    from_json,
    to_json,
    vote_log_odds,
)
from labelmodel.arrays import softmax
from labelmodel.dependence import find_near_duplicates, pair_counts

COPIES = tuple(range(3, 13))


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("case", [outnumbered, outnumbered_functions])
def test_ten_copies_count_about_as_one(case, noise):
    votes, gold, k = case(noise)
    model = LabelModel(k).fit(votes)
    assert model.duplicate_groups_ == (COPIES,)
    assert model.source_weights_[:3].tolist() == [1, 1, 1]
    assert 0.99 < model.source_weights_[3:].sum() < 1.2
    probs = model.predict_proba(votes)
    alone = LabelModel(k).fit(votes[:, :4]).predict_proba(votes[:, :4])
    assert accuracy(probs, gold) > accuracy(alone, gold) - 0.02
    copies_only = (votes[:, :3] < 0).all(axis=1) & (votes[:, 3:] == votes[:, 3:4]).all(axis=1)
    assert (probs[copies_only].max(axis=1) < alone[copies_only].max(axis=1) + 0.03).all()


def test_copies_do_not_outvote_three_others():
    votes, _, _ = outnumbered()
    against = (votes[:, :3] == votes[:, :1]).all(axis=1) & (votes[:, 0] != votes[:, 3])
    probs = LabelModel(2).fit(votes).predict_proba(votes)[against]
    assert against.sum() > 100
    assert (probs.argmax(axis=1) == votes[against, 0]).all()
    believing = LabelModel(2, dependence=None).fit(votes).predict_proba(votes)[against]
    assert (believing.argmax(axis=1) == votes[against, 3]).all()


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("case", [copied_crowd, copied_crowd_apart])
def test_copied_annotators_are_found_whatever_tasks_each_was_asked(case, noise):
    votes, gold, _ = case(noise)
    model = LabelModel(3).fit(votes)
    assert model.regime_ == "crowd"
    assert model.duplicate_groups_ == (tuple(range(20, 28)),)
    believing = LabelModel(3, dependence=None).fit(votes)
    assert accuracy(model.predict_proba(votes), gold) > 0.1 + accuracy(
        believing.predict_proba(votes), gold
    )


@pytest.mark.parametrize("good", [0.97, 0.99])
@pytest.mark.parametrize("others", [0.5, 0.7, 0.9])
def test_sources_that_agree_because_they_are_right_are_not_copies(good, others):
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 2, 3000)
    right = rng.random((3000, 13)) < np.repeat([good, others], [10, 3])
    model = LabelModel(2).fit(np.where(right, gold[:, None], 1 - gold[:, None]))
    assert model.duplicate_groups_ == ()
    assert any("nearly alike" in warning for warning in model.warnings_)


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd])
def test_independent_sources_are_left_alone(simulate):
    votes, _ = simulate()
    model, believing = LabelModel(3).fit(votes), LabelModel(3, dependence=None).fit(votes)
    assert model.duplicate_groups_ == ()
    assert np.array_equal(model.predict_proba(votes), believing.predict_proba(votes))


def test_blocks_do_not_change_a_bit():
    table = from_dense(outnumbered(0.02)[0])
    blocks = [table.take(np.arange(i, len(table), 3)) for i in range(3)]
    whole, parts = (fit_blocks(LabelModel(), cut) for cut in ([table], blocks[::-1]))
    assert np.array_equal(whole.source_weights, parts.source_weights)
    assert np.array_equal(whole.lf.emissions, parts.lf.emissions)


def test_order_of_sources_does_not_matter():
    votes, _, _ = outnumbered(0.02)
    order = np.random.default_rng(3).permutation(13)
    moved = LabelModel(2).fit(votes[:, order])
    straight = LabelModel(2).fit(votes)
    assert np.allclose(moved.source_weights_, straight.source_weights_[order])
    assert np.allclose(
        moved.predict_proba(votes[:, order]), straight.predict_proba(votes), atol=1e-6
    )


def test_weights_are_in_explanations_and_stored_parameters():
    votes, _, _ = outnumbered(0.02)
    model = LabelModel(2).fit(votes)
    terms = vote_log_odds(model.parameters_, np.arange(13), votes[0])
    assert np.allclose(softmax(terms.total[None])[0], model.predict_proba(votes[:1])[0], atol=1e-12)
    again = from_json(to_json(model, [f"lf{j}" for j in range(13)], ["no", "yes"]))
    assert np.array_equal(again.predict_proba(votes), model.predict_proba(votes))
    assert again.duplicate_groups_ == model.duplicate_groups_
    assert np.array_equal(again.source_weights_, model.source_weights_)


def test_groups_are_named_in_the_warnings():
    warnings = LabelModel(2).fit(outnumbered()[0]).warnings_
    assert any(
        text.endswith("count about as one: " + ", ".join(map(str, COPIES))) for text in warnings
    )


def test_pairs_of_many_sources_stay_sparse():
    rng = np.random.default_rng(0)
    sources = rng.integers(0, 5000, (2000, 4))
    dense = np.full((2000, 5000), -1)
    np.put_along_axis(dense, sources, rng.integers(0, 2, (2000, 4)), axis=1)
    pairs, records = pair_counts(from_dense(dense, n_classes=2))
    assert records == 2000
    assert pairs.nnz < 2000 * 16
    assert find_near_duplicates(pairs, 2, records).groups == ()


def test_one_pattern_of_most_records_does_not_upset_a_sample_of_the_patterns():
    rng = np.random.default_rng(0)
    dense = np.full((400, 7000), -1)
    np.put_along_axis(dense, rng.integers(0, 7000, (400, 4)), rng.integers(0, 2, (400, 4)), axis=1)
    table = from_dense(dense, n_classes=2)
    sampled = table.row_hash() < np.uint64(2.0**64 * (5 / 7) ** 2)
    counts = np.where(np.arange(len(table)) == np.flatnonzero(sampled)[0], 10**6, 1)
    hot = replace(table, counts=counts)
    pairs, records = pair_counts(hot)
    assert records == counts[sampled].sum()
    assert pairs.diagonal().max() <= records
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = fit_blocks(LabelModel(), [hot.slice(0, 150), hot.slice(150, 400)])
    assert state.duplicate_groups == ()


@pytest.mark.parametrize("asked", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("good", [0.97, 0.99])
def test_annotators_who_agree_because_they_are_right_are_not_copies(good, asked):
    rng = np.random.default_rng(2)
    gold = rng.integers(0, 2, 600)
    right = rng.random((600, 24)) < np.repeat([good, 0.75], [6, 18])
    votes = np.where(right, gold[:, None], 1 - gold[:, None])
    votes[rng.random(votes.shape) >= asked] = -1
    model = LabelModel(2).fit(votes)
    assert model.regime_ == "crowd"
    assert model.duplicate_groups_ == ()


def test_copies_do_not_make_a_crowd_of_a_few_functions():
    votes, gold = simulated_lfs(n=1500)
    pooled = np.where(np.random.default_rng(0).random(1500) < 0.6, gold, (gold + 1) % 3)
    copied = np.hstack([votes, np.repeat(pooled[:, None], 10, axis=1)])
    assert LabelModel(3, dependence=None).fit(copied).regime_ == "crowd"
    model = LabelModel(3).fit(copied)
    assert model.duplicate_groups_ == (tuple(range(9, 19)),)
    assert model.regime_ == "lf"
