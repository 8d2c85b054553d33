"""SnorkelLabelModel against Snorkel 0.10 itself, live where it can be and as it once answered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_answers import live_answers, store_answers, stored_answers
from vote_strategies import simulated_crowd, simulated_lfs, vote_matrices

from labelmodel import ConvergenceWarning, SnorkelLabelModel, VotesError, empty, from_dense
from labelmodel.staged import fit_blocks

VOTES, GOLD = simulated_lfs(n=60, m=6)
BINARY, _ = simulated_crowd(n=40, m=5, k=2, asked=3)
MULTI, _ = simulated_crowd(seed=1, n=50, m=6, k=4, asked=4)
ONE_SIDED = np.where(BINARY == 1, 1, -1)
CASES = {
    "binary": (BINARY, 2, {}),
    "multi_class": (MULTI, 4, {"n_epochs": 500}),
    "one_class_per_lf": (VOTES, 3, {"seed": 7}),
    "one_class_only": (ONE_SIDED, 2, {}),
    "copied": (np.hstack([BINARY, BINARY[:, :2], BINARY[:, :2]]), 2, {"n_epochs": 300}),
    "balance": (VOTES, 3, {"class_balance": [0.5, 0.3, 0.2]}),
    "gold": (VOTES, 3, {}),
    "precisions": (BINARY, 2, {"prec_init": [0.9, 0.8, 0.7, 0.6, 0.55]}),
    "l2": (MULTI, 4, {"l2": 0.3, "lr": 0.02}),
    "clamped": (VOTES, 3, {"mu_eps": 0.05}),
    "linear": (BINARY, 2, {"lr_scheduler": "linear"}),
    "exponential": (BINARY, 2, {"lr_scheduler": "exponential", "lr": 0.1}),
    "step": (BINARY, 2, {"lr_scheduler": "step", "lr": 0.1}),
    "adam": (MULTI, 4, {"optimizer": "adam"}),
    "adamax": (MULTI, 4, {"optimizer": "adamax", "l2": 0.1}),
}


def cases_as_json():
    cases = {}
    for name, (votes, k, options) in CASES.items():
        case = {"votes": votes.tolist(), "n_classes": k, "options": {"seed": 0, **options}}
        cases[name] = case | ({"gold": GOLD.tolist()} if name == "gold" else {})
    return cases


def check_equal(name, answer):
    votes, k, options = CASES[name]
    ours = {key: value for key, value in options.items() if key != "seed"}
    if name == "gold":
        ours["class_balance"] = "gold"
    model = SnorkelLabelModel(k, random_state=options.get("seed", 0), **ours)
    model.fit(votes, gold=GOLD if name == "gold" else None)
    assert model.mu_ == pytest.approx(np.array(answer["mu"]), abs=1e-5)
    assert model.predict_proba(votes) == pytest.approx(np.array(answer["probabilities"]), abs=1e-4)
    assert model.lf_accuracy_ == pytest.approx(np.array(answer["weights"]), abs=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_parameters_and_posteriors_equal_those_snorkel_once_gave(name):
    check_equal(name, stored_answers("snorkel")[name])


@pytest.mark.slow
def test_snorkel_still_gives_what_the_model_gives():
    for name, answer in live_answers("snorkel", cases_as_json()).items():
        check_equal(name, answer)


@settings(max_examples=25, deadline=None)
@given(vote_matrices(), st.integers(1, 4))
def test_blocks_do_not_change_a_bit(case, n_blocks):
    votes, k, gold = case
    table = from_dense(votes, n_classes=k, gold=gold)
    blocks = [table.take(np.arange(i, len(table), n_blocks)) for i in range(n_blocks)]
    model = SnorkelLabelModel(n_epochs=20)
    whole, parts = fit_blocks(model, [table]), fit_blocks(model, blocks[::-1])
    assert np.array_equal(whole.mu, parts.mu)
    assert np.isfinite(whole.mu).all()


def test_the_class_of_most_functions_wins():
    model = SnorkelLabelModel(3, n_epochs=500).fit(VOTES)
    predicted = model.predict(VOTES)
    covered = (VOTES >= 0).any(axis=1)
    assert (predicted == GOLD)[covered].mean() > 0.6


def test_a_record_without_votes_gets_the_class_balance():
    model = SnorkelLabelModel(2, class_balance=[0.8, 0.2]).fit(BINARY)
    assert np.array_equal(model.predict_proba(np.full((1, 5), -1)), [[0.8, 0.2]])


def test_no_votes_at_all_answer_the_class_balance():
    model = SnorkelLabelModel().fit(empty(3, 2))
    assert np.array_equal(model.class_balance_, [0.5, 0.5])
    assert np.isnan(model.lf_accuracy_).all()


def test_a_learning_rate_too_large_is_said_and_the_start_answers():
    votes = np.tile(BINARY, (1, 8))
    with pytest.warns(ConvergenceWarning, match="smaller lr"):
        model = SnorkelLabelModel(2, lr=10.0).fit(votes)
    assert np.isfinite(model.predict_proba(votes)).all()
    assert model.warnings_


def test_parameters_that_do_not_fit_are_refused():
    with pytest.raises(VotesError, match="prec_init"):
        SnorkelLabelModel(2, prec_init=[0.7]).fit(BINARY)
    with pytest.raises(VotesError, match="class_balance"):
        SnorkelLabelModel(2, class_balance=[1.0, 0.0]).fit(BINARY)
    with pytest.raises(VotesError, match="optimizer"):
        SnorkelLabelModel(2, optimizer="lbfgs").fit(BINARY)
    with pytest.raises(VotesError, match="second moments"):
        SnorkelLabelModel().fit(empty(5_000, 200))


if __name__ == "__main__":
    store_answers("snorkel", cases_as_json())
