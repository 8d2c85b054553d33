"""Records without votes: what the default model answers where functions said nothing."""

from __future__ import annotations

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs

from labelmodel import LabelModel, from_dense


def test_without_gold_it_is_even_whatever_the_votes_are_for():
    votes, _ = simulated_lfs(n=200)
    model = LabelModel(3).fit(votes)
    assert not np.allclose(model.class_balance_, 1 / 3, atol=0.02)
    assert np.allclose(model.predict_proba(np.full((1, votes.shape[1]), -1)), 1 / 3, rtol=1e-12)


def test_gold_on_such_records_tells_and_other_gold_does_not():
    votes, gold = simulated_lfs(n=200)
    votes[:40] = -1
    judged = np.where(np.arange(200) < 30, 2, -1)
    model = LabelModel(3).fit(votes, judged)
    assert np.allclose(model.uncovered_balance_, [20 / 150, 20 / 150, 110 / 150])
    elsewhere = LabelModel(3).fit(votes, np.where(np.arange(200) < 40, -1, gold))
    assert np.allclose(elsewhere.uncovered_balance_, 1 / 3)


def test_blocks_add_the_gold_of_records_without_votes():
    votes, _ = simulated_lfs(n=60)
    votes[::3] = -1
    table = from_dense(votes, n_classes=3, gold=np.where(np.arange(60) % 2, 1, -1))
    model = LabelModel(3)
    states = [model.expected_counts(block, model.initial_state(table.n_lfs, 3))
              for block in (table, table.slice(0, 7), table.slice(7, len(table)))]  # fmt: skip
    together = states[1] + states[2]
    assert together.sums["gold_uncovered"].tolist() == states[0].sums["gold_uncovered"].tolist()
    judged = int(((votes < 0).all(axis=1) & (np.arange(60) % 2 == 1)).sum())
    assert states[0].sums["gold_uncovered"].tolist() == [0, judged, 0]


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd])
def test_given_class_balance_answers(simulate):
    votes, _ = simulate(n=200)
    model = LabelModel(3, class_balance=np.array([0.2, 0.3, 0.5])).fit(votes)
    assert np.allclose(model.predict_proba(np.full((1, votes.shape[1]), -1)), [[0.2, 0.3, 0.5]])


def test_record_that_no_annotator_was_asked_about_gets_the_class_balance():
    votes, _ = simulated_crowd(n=300)
    model = LabelModel(3).fit(votes)
    assert model.regime_ == "crowd"
    assert np.array_equal(model.uncovered_balance_, model.class_balance_)
