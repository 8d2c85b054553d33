"""What every model must do, whatever it assumes."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from vote_strategies import simulated_crowd, simulated_lfs, vote_matrices

from labelmodel import (
    EBCC,
    MACE,
    MODELS,
    LabelModelWarning,
    NotFittedError,
    SnorkelLabelModel,
    Triplets,
    VotesError,
    fit_blocks,
    from_dense,
    from_json,
    to_json,
)

SIMULATIONS = [simulated_lfs, simulated_crowd]
# Triplets take two classes only; they are held to the same in test_model_variants.py.
OF_ANY_CLASSES = {name: model for name, model in MODELS.items() if model is not Triplets}
every_model = pytest.mark.parametrize("model", OF_ANY_CLASSES.values(), ids=OF_ANY_CLASSES)
# Starts that do not move with functions and classes may lead to another of several optima.
without_chance = pytest.mark.parametrize(
    "model", [model for model in OF_ANY_CLASSES.values() if model not in (EBCC, MACE)]
)
every_simulation = pytest.mark.parametrize("simulate", SIMULATIONS)


def fit_quietly(model, votes, gold=None):
    """Fit with numpy's warnings as errors; models may warn that votes are thin."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", LabelModelWarning)
        return model.fit(votes, gold)


def written(model):
    m, k = model.n_lfs_, model.n_classes_
    return to_json(model, [f"lf{j}" for j in range(m)], [f"class{y}" for y in range(k)])


@every_model
@settings(max_examples=30, deadline=None)
@given(case=vote_matrices())
def test_any_votes_get_probabilities_of_every_record(model, case):
    votes, k, gold = case
    fitted = fit_quietly(model(k), votes, gold)
    probs = fitted.predict_proba(votes)
    assert probs.shape == (len(votes), k)
    assert np.isfinite(probs).all()
    assert (probs >= 0).all()
    assert np.allclose(probs.sum(axis=1), 1.0)
    assert (probs[(votes < 0).all(axis=1)] == fitted.uncovered_balance_).all()


@every_model
@every_simulation
def test_patterns_matrices_and_sparse_matrices_agree_bit_for_bit(model, simulate):
    votes, _ = simulate(n=300)
    dense = fit_quietly(model(3), votes).predict_proba(votes)
    csr = sparse.csr_matrix(votes + 1)
    assert np.array_equal(fit_quietly(model(3), csr).predict_proba(csr), dense)
    table = from_dense(votes, n_classes=3)
    by_pattern = fit_quietly(model(3), table).predict_proba(table)
    _, first = np.unique(votes, axis=0, return_index=True)
    assert sorted(map(tuple, by_pattern)) == sorted(map(tuple, dense[first]))


@every_model
@every_simulation
def test_order_of_records_and_blocks_does_not_change_a_bit(model, simulate):
    votes, gold = simulate(n=150)
    given_gold = np.where(np.arange(150) % 10 == 0, gold, -1)
    order = np.random.default_rng(0).permutation(150)
    whole = fit_quietly(model(3), votes, given_gold)
    moved = fit_quietly(model(3), votes[order], given_gold[order])
    assert written(moved) == written(whole)
    table = from_dense(votes, n_classes=3, gold=given_gold)
    blocks = [table.take(np.arange(i, len(table), 7)) for i in range(7)]
    in_blocks = model(3).set_state(fit_blocks(model(3), blocks[::-1]))
    assert written(in_blocks) == written(whole)


@without_chance
@every_simulation
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_order_of_functions_and_classes_permutes_the_results(model, simulate, data):
    votes, _ = simulate(n=150)
    lfs = np.array(data.draw(st.permutations(range(votes.shape[1]))))
    classes = np.array(data.draw(st.permutations(range(3))))
    expected = fit_quietly(model(3), votes).predict_proba(votes)
    moved = np.append(classes, -1)[votes][:, lfs]
    probs = fit_quietly(model(3), moved).predict_proba(moved)
    assert np.allclose(probs[:, classes], expected, atol=1e-4)


@every_model
def test_records_twice_are_counts_doubled(model):
    votes, _ = simulated_crowd(n=120)
    table = from_dense(votes, n_classes=3)
    doubled = fit_quietly(model(3), replace(table, counts=2 * table.counts))
    assert written(doubled) == written(fit_quietly(model(3), np.vstack([votes, votes])))


@every_model
@every_simulation
def test_a_row_has_the_same_bits_whatever_stands_beside_it(model, simulate):
    votes, _ = simulate(n=200)
    fitted = fit_quietly(model(3), votes)
    whole = fitted.predict_proba(votes)
    for rows in (slice(0, 1), slice(7, 12), slice(0, 200, 3)):
        assert np.array_equal(fitted.predict_proba(votes[rows]), whole[rows])


@every_model
@every_simulation
def test_json_brings_a_model_back_with_the_same_bits(model, simulate):
    votes, gold = simulate(n=200)
    given_gold = np.where(np.arange(200) % 7 == 0, gold, -1)
    fitted = fit_quietly(model(3, class_balance=[0.2, 0.3, 0.5]), votes, given_gold)
    again = from_json(written(fitted))
    assert type(again) is model
    assert np.array_equal(again.predict_proba(votes), fitted.predict_proba(votes))
    assert written(again) == written(fitted)
    assert written(fit_quietly(again, votes, given_gold)) == written(fitted)


@every_model
def test_parameters_are_those_of_the_constructor(model):
    votes, _ = simulated_lfs(n=100)
    fitted = fit_quietly(model(n_classes=3), votes)
    copy = model(**fitted.get_params())
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError, match="call fit"):
        copy.predict(votes)
    assert copy.set_params(n_classes=4).n_classes == 4
    assert repr(copy) == f"{model.__name__}(n_classes=4)"
    with pytest.raises(ValueError, match="no parameter 'colour'"):
        copy.set_params(colour="red")


@every_model
def test_a_fit_is_done_within_its_stages_and_then_stays(model):
    table = from_dense(simulated_crowd(n=150)[0], n_classes=3)
    fresh = model(3)
    state = fresh.initial_state(table.n_lfs, 3)
    for _ in range(fresh.max_stages):
        state = fresh.m_step(fresh.expected_counts(table, state), state)
    assert state.stage == "done"
    assert fresh.m_step(fresh.expected_counts(table, state), state) is state


@every_model
def test_a_given_class_balance_stays(model):
    votes, _ = simulated_crowd(n=100)
    fitted = fit_quietly(model(3, class_balance=np.array([2.0, 1.0, 1.0])), votes)
    assert np.allclose(fitted.class_balance_, [0.5, 0.25, 0.25])
    for wrong in ([1.0, 1.0], [-1.0, 1.0, 1.0], [0.0, 0.0, 0.0], "majority"):
        with pytest.raises(VotesError, match="class_balance"):
            model(3, class_balance=wrong).fit(votes)


@every_model
@every_simulation
def test_gold_for_scoring_does_not_reach_the_model(model, simulate):
    votes, gold = simulate(n=150)
    scored = from_dense(votes, n_classes=3, eval_gold=gold)
    assert written(fit_quietly(model(3), scored)) == written(fit_quietly(model(3), votes))


# Degenerate votes. The answers are documented in docs/labelmodel.md, "Thin votes".


@every_model
@pytest.mark.parametrize("shape", [(5, 3), (0, 3), (4, 0)])
def test_without_votes_every_record_gets_the_class_balance(model, shape):
    votes = np.full(shape, -1)
    probs = fit_quietly(model(4), votes).predict_proba(votes)
    assert np.array_equal(probs, np.full((shape[0], 4), 0.25))


@every_model
def test_one_function_is_followed(model):
    votes = np.array([[0], [1], [1], [0], [2], [2]])
    assert fit_quietly(model(3), votes).predict(votes).tolist() == [0, 1, 1, 0, 2, 2]


@every_model
def test_one_voted_class_is_the_answer(model):
    votes = np.where(np.random.default_rng(0).random((200, 4)) < 0.5, 1, -1)
    covered = votes[(votes >= 0).any(axis=1)]
    assert (fit_quietly(model(3), votes).predict(covered) == 1).all()


@every_model
def test_functions_that_all_agree_are_followed(model):
    votes = np.repeat(np.array([[0], [1], [1], [0]]), 4, axis=1)
    assert fit_quietly(model(2), votes).predict(votes).tolist() == [0, 1, 1, 0]


@every_model
def test_more_functions_than_records_are_answered(model):
    votes = np.random.default_rng(0).integers(-1, 3, (3, 40))
    assert np.isfinite(fit_quietly(model(3), votes).predict_proba(votes)).all()


@every_model
def test_contradictory_gold_of_equal_votes_is_answered(model):
    votes = np.tile([[0, 0, -1], [1, 1, 1]], (50, 1))
    gold = np.tile([0, 1, 1, 1], 25)
    probs = fit_quietly(model(2), votes, gold).predict_proba(votes)
    assert np.isfinite(probs).all()
    assert probs[1, 1] > probs[0, 1]


@every_model
def test_a_class_that_nothing_votes_for_is_never_the_answer(model):
    votes, _ = simulated_crowd(n=100)
    fitted = fit_quietly(model(4), votes)
    assert (fitted.predict_proba(votes).argmax(axis=1) < 3).all()


@every_model
def test_a_vote_that_the_fit_never_saw_is_answered(model):
    votes, _ = simulated_crowd(n=300)
    fitted = fit_quietly(model(3), np.hstack([votes, np.full((300, 1), -1)]))
    row = np.full((1, 21), -1)
    row[0, 20] = 2
    probs = fitted.predict_proba(row)[0]
    if model is SnorkelLabelModel:  # to Snorkel it is no evidence
        assert np.allclose(probs, fitted.class_balance_)
    else:
        assert probs[2] > fitted.class_balance_[2]
