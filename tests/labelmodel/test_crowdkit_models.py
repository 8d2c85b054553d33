"""MACE and GLAD against crowd-kit's, live where it can be and as they once answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reference_answers import live_answers, store_answers, stored_answers
from vote_strategies import simulated_crowd

from labelmodel import GLAD, MACE, from_dense, from_dense_with_inverse
from labelmodel.arrays import softmax_and_log_sum
from labelmodel.easiness import score_classes
from labelmodel.staged import fit_blocks

ROUNDS = 30


def crowd(seed, k, m=8):
    """Votes whose first record names all workers and labels in order, as crowd-kit needs it."""
    votes, _ = simulated_crowd(seed=seed, n=60, m=m, k=k, asked=5)
    return np.vstack([np.arange(m) % k, votes])


VOTES = {f"{k} classes, seed {seed}": (crowd(seed, k), k) for seed, k in ((0, 2), (1, 3), (2, 4))}
MACE_CASES = {
    f"mace {method}, {name}": {
        "model": "mace", "method": method, "rounds": ROUNDS, "votes": votes.tolist(),
    }
    for method in ("vb", "em")
    for name, (votes, _) in VOTES.items()
}  # fmt: skip
GLAD_CASES = {
    f"glad, {name}": {"model": "glad", "votes": votes.tolist()}
    for name, (votes, _) in VOTES.items()
}
CASES = MACE_CASES | GLAD_CASES


class StartedMACE(MACE):
    """MACE from a given start."""

    start = None

    def initial_state(self, n_lfs, n_classes):
        behaviour, strategy = np.array(self.start["behaviour"]), np.array(self.start["strategy"])
        return replace(
            super().initial_state(n_lfs, n_classes),
            guessing=behaviour[None, :, 0], knowing=behaviour[None, :, 1], strategy=strategy[None],
        )  # fmt: skip


def check_mace(case, answer):
    votes = np.array(case["votes"])
    model = StartedMACE(method=case["method"], n_restarts=1, max_iter=ROUNDS, tol=0.0)
    model.start = answer
    state = fit_blocks(model, [from_dense(votes)])
    fitted = np.stack([state.guessing[0], state.knowing[0]], axis=1)
    assert fitted == pytest.approx(np.array(answer["fitted_behaviour"]), abs=1e-5)
    assert state.strategy[0] == pytest.approx(np.array(answer["fitted_strategy"]), abs=1e-5)
    probabilities = model.set_state(state).predict_proba(votes)
    assert probabilities == pytest.approx(np.array(answer["probabilities"]), abs=1e-5)


def check_glad(case, answer):
    """crowd-kit stops at the peak next to its start; each record's highest peak is no lower."""
    votes, expected = np.array(case["votes"]), np.array(answer["probabilities"])
    alpha, log_beta = np.array(answer["alpha"]), np.array(answer["log_beta"])
    table, inverse = from_dense_with_inverse(votes)
    theirs = np.zeros(len(table))
    theirs[inverse] = log_beta
    log_prior = np.full((len(table), table.n_classes), -np.log(table.n_classes))
    posterior, log_likelihood = softmax_and_log_sum(score_classes(table, alpha, log_prior, theirs))
    assert posterior[inverse] == pytest.approx(expected, abs=1e-3)
    density = table.counts @ (log_likelihood - 0.5 * (theirs - 1.0) ** 2)
    density -= 0.5 * ((alpha - 1.0) ** 2).sum()
    model = GLAD(max_iter=3_000, tol=1e-12).fit(votes)
    assert model.objective_[-1] >= density - 1e-3
    assert model.alpha_ == pytest.approx(alpha, abs=0.1)
    assert (model.predict(votes) == expected.argmax(axis=1)).mean() > 0.95


def check(name, answer):
    case = CASES[name]
    (check_mace if case["model"] == "mace" else check_glad)(case, answer)


@pytest.mark.parametrize("name", CASES)
def test_parameters_and_posteriors_equal_those_crowdkit_once_gave(name):
    check(name, stored_answers("crowdkit")[name])


@pytest.mark.slow
def test_crowdkit_still_gives_what_the_models_give():
    for name, answer in live_answers("crowdkit", CASES).items():
        check(name, answer)


if __name__ == "__main__":
    store_answers("crowdkit", CASES)
