"""The class balance from gold that was drawn at random."""

from __future__ import annotations

import numpy as np
import pytest

from labelmodel import LabelModel
from labelmodel.errors import VotesError
from labelmodel.parameters import from_json, to_json


def votes_and_gold():
    rng = np.random.default_rng(0)
    truth = (rng.random(2000) < 0.1).astype(int)
    votes = np.where(rng.random((2000, 4)) < 0.8, truth[:, None], 1 - truth[:, None])
    votes[rng.random(votes.shape) < 0.3] = -1
    gold = np.full(2000, -1)
    hard = np.concatenate([np.flatnonzero(truth == 1)[:100], np.flatnonzero(truth == 0)[:100]])
    gold[hard] = truth[hard]
    return votes, gold


def test_balance_is_that_of_the_random_gold_not_of_all():
    votes, gold = votes_and_gold()
    bent = LabelModel(2).fit(votes, gold=gold)
    model = LabelModel(2, gold_balance=[90, 10]).fit(votes, gold=gold)
    assert bent.class_balance_[1] > 0.4
    assert model.class_balance_[1] < 0.2
    back = from_json(to_json(model, list("abcd"), ["no", "yes"]))
    assert np.array_equal(back.predict_proba(votes), model.predict_proba(votes))


@pytest.mark.parametrize("counts", [[1], [1, -1], [0.5, 0.5], "ab"])
def test_numbers_of_records_are_asked_for(counts):
    votes, _ = votes_and_gold()
    with pytest.raises(VotesError, match="gold_balance"):
        LabelModel(2, gold_balance=counts).fit(votes)
