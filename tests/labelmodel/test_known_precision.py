from __future__ import annotations

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs

from labelmodel import LabelModel, VotesError, from_json, to_json


def lf_votes_on(votes, lf):
    """Records on which this function alone votes."""
    return (votes[:, lf] >= 0) & (np.delete(votes, lf, axis=1) < 0).all(axis=1)


def test_a_known_precision_moves_what_the_votes_of_a_function_say():
    votes, _ = simulated_lfs()
    alone = lf_votes_on(votes, 0)
    right = [
        LabelModel(3, prec_init=[p, *[np.nan] * 8]).fit(votes).predict_proba(votes)[alone, 0].max()
        for p in (0.4, 0.6, 0.9)
    ]
    assert right[0] + 0.05 < right[1] < right[2] - 0.05


def test_one_number_holds_for_all_functions():
    votes, _ = simulated_lfs()
    one = LabelModel(3, prec_init=0.6).fit(votes).predict_proba(votes)
    each = LabelModel(3, prec_init=np.full(9, 0.6)).fit(votes).predict_proba(votes)
    assert np.array_equal(one, each)


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd])
def test_functions_without_a_known_precision_are_assumed_as_ever(simulate):
    votes, _ = simulate()
    unknown = LabelModel(3, prec_init=np.nan).fit(votes)
    assert np.array_equal(
        unknown.predict_proba(votes), LabelModel(3).fit(votes).predict_proba(votes)
    )


def test_a_known_accuracy_is_the_prior_of_an_annotator():
    votes, _ = simulated_crowd()
    few = votes.copy()
    few[np.flatnonzero(few[:, 0] >= 0)[3:], 0] = -1
    learned = [
        LabelModel(3, prec_init=[p, *[np.nan] * 19]).fit(few).parameters_.crowd for p in (0.4, 0.95)
    ]
    low, high = (part.index.at_own_label(part.emissions) for part in learned)
    assert (low < high)[learned[0].index.lfs == 0].all()


@pytest.mark.parametrize("given", [[0.9, *[np.nan] * 8], 0.7, np.nan])
def test_known_precisions_are_stored(given):
    votes, _ = simulated_lfs(n=300)
    model = LabelModel(3, prec_init=given).fit(votes)
    text = to_json(model, [f"lf{j}" for j in range(9)], ["a", "b", "c"])
    again = from_json(text)
    assert np.array_equal(again.predict_proba(votes), model.predict_proba(votes))
    assert to_json(again, [f"lf{j}" for j in range(9)], ["a", "b", "c"]) == text


@pytest.mark.parametrize(
    ("given", "message"), [(1.0, "between 0 and 1"), (0.0, "between"), ([0.5], "shape")]
)
def test_precisions_that_cannot_be_are_refused(given, message):
    with pytest.raises(VotesError, match=message):
        LabelModel(3, prec_init=given).fit(simulated_lfs(n=50)[0])
