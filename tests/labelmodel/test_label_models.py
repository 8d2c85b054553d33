from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs

from labelmodel import (
    ConvergenceWarning,
    LabelModel,
    LabelModelWarning,
    MajorityVote,
    VotesError,
    accuracy,
    break_ties,
    empty,
    fit_blocks,
    from_dense,
    from_json,
    log_loss,
    to_json,
)
from labelmodel.collapse import collapse_of
from labelmodel.default_stages import expected_counts, m_step
from labelmodel.diagnostics import report_on
from labelmodel.fixedpoint import ONE
from labelmodel.state import Statistics, initial_parameters


def fit_quietly(model, votes, gold=None):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", LabelModelWarning)
        return model.fit(votes, gold)


def test_functions_are_told_from_a_crowd():
    assert LabelModel(3).fit(simulated_lfs()[0]).regime_ == "lf"
    assert LabelModel(3).fit(simulated_crowd()[0]).regime_ == "crowd"


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd])
def test_the_model_beats_majority_vote_where_sources_differ(simulate):
    votes, gold = simulate()
    covered = (votes >= 0).any(axis=1)
    votes, gold = votes[covered], gold[covered]
    model, majority = LabelModel(3).fit(votes), MajorityVote(3).fit(votes)
    ours, theirs = model.predict_proba(votes), majority.predict_proba(votes)
    assert accuracy(ours, gold) > accuracy(theirs, gold) - 0.005
    assert log_loss(ours, gold) < log_loss(theirs, gold)


def test_learned_precision_follows_the_true_one():
    votes, gold = simulated_crowd(n=1000)
    learned = LabelModel(3).fit(votes).lf_accuracy_
    true = [np.mean(gold[votes[:, j] >= 0] == votes[votes[:, j] >= 0, j]) for j in range(20)]
    assert np.corrcoef(learned, true)[0, 1] > 0.9


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd])
def test_gold_improves_the_probabilities(simulate):
    votes, gold = simulate()
    given_gold = np.where(np.arange(len(gold)) % 4 == 0, gold, -1)
    rest = np.where(given_gold >= 0, -1, gold)
    blind = LabelModel(3).fit(votes).predict_proba(votes)
    told = LabelModel(3).fit(votes, gold=given_gold).predict_proba(votes)
    assert log_loss(told, rest) < log_loss(blind, rest) + 0.005
    assert log_loss(told, given_gold) < log_loss(blind, given_gold)


def test_contradictory_gold_is_taken_as_a_mixture():
    votes = np.tile([[0, 0]], (100, 1))
    probs = LabelModel(2).fit(votes, gold=np.arange(100) % 2).predict_proba(votes)
    assert 0.4 < probs[0, 0] < 0.65


def test_no_votes_at_all_gives_the_prior():
    votes = np.full((5, 3), -1)
    with pytest.warns(LabelModelWarning, match="no labeling function voted"):
        model = LabelModel(4).fit(votes)
    assert (model.predict_proba(votes) == 0.25).all()
    assert np.isnan(model.lf_accuracy_).all()


def test_no_records_and_no_functions_are_answered():
    assert fit_quietly(LabelModel(), empty(3, 2)).predict_proba(empty(3, 2)).shape == (0, 2)
    model = fit_quietly(LabelModel(2), np.zeros((4, 0), dtype=int))
    assert (model.predict_proba(np.zeros((4, 0), dtype=int)) == 0.5).all()


def test_one_function_gets_its_prior_precision_and_never_certainty():
    votes = np.full((200, 2), -1)
    votes[:120, 1] = 1
    model = fit_quietly(LabelModel(2), votes)
    probs = model.predict_proba(votes)
    share = np.array([0.05, 0.95]) ** 0.35
    expected = min(0.75, 0.9 * share[1] / share.sum())
    assert probs[0, 1] == pytest.approx(expected)
    assert model.lf_accuracy_[1] == pytest.approx(expected, abs=1e-6)
    assert "only one labeling function voted" in model.warnings_[0]


def test_one_function_of_several_classes_is_never_certain():
    votes = np.array([[0], [1], [1], [0], [2]])
    probs = fit_quietly(LabelModel(3), votes).predict_proba(votes)
    assert probs.max() < 0.85
    assert (probs.argmax(axis=1) == votes[:, 0]).all()


def test_identical_functions_are_reported():
    votes = np.repeat(np.array([[0], [1], [1], [0]]), 4, axis=1)
    assert any("vote alike" in text for text in fit_quietly(LabelModel(2), votes).warnings_)


def test_one_voted_class_is_reported_and_not_certain():
    votes = np.where(np.random.default_rng(0).random((200, 4)) < 0.5, 1, -1)
    model = fit_quietly(LabelModel(3), votes)
    assert any("one class" in text for text in model.warnings_)
    assert model.predict_proba(votes).max() < 0.99


def test_silent_functions_are_reported_and_change_nothing():
    votes, _ = simulated_lfs(n=200)
    silent = np.hstack([votes, np.full((200, 1), -1)])
    model = LabelModel(3).fit(silent)
    assert np.allclose(
        model.predict_proba(silent), LabelModel(3).fit(votes).predict_proba(votes), atol=1e-12
    )
    assert "1 of 10 labeling functions never voted" in model.warnings_


def test_a_vote_the_fit_never_saw_counts_for_its_class():
    votes, _ = simulated_lfs(n=300)
    model = LabelModel(3).fit(np.hstack([votes, np.full((300, 1), -1)]))
    row = np.full((1, 10), -1)
    row[0, 9] = 2
    probs = model.predict_proba(row)[0]
    assert model.class_balance_[2] < probs[2] < 0.95


def test_fewer_than_two_classes_are_refused():
    with pytest.raises(VotesError, match="two classes or more"):
        LabelModel().fit(np.zeros((3, 2), dtype=int))
    with pytest.raises(VotesError, match="two classes or more"):
        LabelModel(1).fit(np.zeros((3, 2), dtype=int))


def test_gold_beside_a_table_is_refused():
    with pytest.raises(VotesError, match="carries its gold"):
        LabelModel().fit(from_dense(np.array([[0, 1]])), gold=np.array([0]))


def test_votes_of_other_functions_are_refused():
    model = LabelModel(3).fit(simulated_lfs(n=50)[0])
    with pytest.raises(VotesError, match="fitted on 9 x 3"):
        model.predict_proba(np.array([[0, 1]]))


def test_ties_go_to_the_larger_class_balance_then_to_the_first():
    probs = np.array([[0.5, 0.5, 0.0], [0.3, 0.3 + 5e-7, 0.4 - 5e-7], [0.5, 0.0, 0.5]])
    assert break_ties(probs, np.array([0.2, 0.5, 0.3])).tolist() == [1, 2, 2]
    assert break_ties(probs, np.full(3, 1 / 3)).tolist() == [0, 2, 0]


def test_a_collapsed_fit_falls_back_to_majority_vote():
    votes, _ = simulated_lfs(n=400)
    table = from_dense(votes, n_classes=3)
    params = initial_parameters(9, 3)
    while params.stage != "report":
        params = m_step(expected_counts(table, params), params)
    statistics = expected_counts(table, params)
    mass = np.array([statistics.sums["class_mass"].sum(), 0, 0])
    collapsed = replace(
        statistics, sums={**statistics.sums, "class_mass": mass, "predicted": np.array([400, 0, 0])}
    )
    params = report_on(collapsed, params)
    assert params.fallback == "the model answers one class for every record"
    model = LabelModel().set_state(params)
    covered = (votes >= 0).any(axis=1)
    assert np.array_equal(
        model.predict_proba(votes)[covered],
        MajorityVote(3).fit(votes).predict_proba(votes)[covered],
    )


def test_a_fit_that_falls_back_warns(monkeypatch):
    votes = from_dense(simulated_lfs(n=50)[0])
    params = replace(fit_blocks(LabelModel(), [votes]), fallback="for the test")
    monkeypatch.setattr("labelmodel.staged.fit_blocks", lambda *arguments: params)
    with pytest.warns(ConvergenceWarning, match="for the test"):
        LabelModel(3).fit(simulated_lfs(n=50)[0])


def test_majority_vote_shares_ties_and_takes_a_class_balance():
    votes = np.array([[0, 1, 1], [0, 1, -1], [-1, -1, -1]])
    model = MajorityVote(3, class_balance=np.array([2.0, 1.0, 1.0])).fit(votes)
    table = from_dense(votes, n_classes=3)
    winners = {tuple(row) for row in model.winners(table)}
    assert winners == {(0.0, 1.0, 0.0), (0.5, 0.5, 0.0), (0.5, 0.25, 0.25)}
    assert model.predict_proba(votes)[0] == pytest.approx([1 / 3, 2 / 3, 0])
    assert model.predict(votes).tolist() == [1, 0, 0]
    with pytest.raises(VotesError, match="class_balance"):
        MajorityVote(3, class_balance=np.array([1.0, -1.0, 1.0])).fit(votes)


def test_large_counts_stay_finite():
    votes, _ = simulated_crowd(n=100)
    table = from_dense(votes, n_classes=3)
    params = fit_blocks(LabelModel(), [replace(table, counts=table.counts * 10**9)])
    assert np.isfinite(params.crowd.emissions).all()
    assert params.fallback is None


def skewed(n=400, share=0.4):
    """Two functions of which one always votes 0; the other votes 1 and is wrong every time."""
    votes = np.zeros((n, 2), dtype=np.int64)
    votes[:, 1] = -1
    votes[: int(share * n)] = [-1, 1]
    return votes


@pytest.mark.parametrize(
    ("ones", "zeros", "falls_back"), [(0, 0, True), (0, 1, True), (0, 12, False), (9, 3, True)]
)
def test_a_little_gold_does_not_hide_a_collapse_and_enough_bears_it_out(ones, zeros, falls_back):
    votes = skewed()
    gold = np.full(len(votes), -1)
    gold[200 : 200 + zeros] = 0
    gold[:ones] = 1
    table = from_dense(votes, n_classes=2, gold=gold)
    params = initial_parameters(2, 2)
    while params.stage != "report":
        params = m_step(expected_counts(table, params), params)
    sums = expected_counts(table, params).sums
    collapsed = {"class_mass": np.array([400, 0]) * ONE, "predicted": np.array([400, 0])}
    params = report_on(Statistics("report", {**sums, **collapsed}), params)
    assert (params.fallback is not None) == falls_back


def test_the_check_of_a_collapse_is_that_of_the_fit():
    for others, one, found in ((0, 0, True), (0, 12, False), (5, 12, True)):
        decided = collapse_of(
            np.array([10, 0]), np.array([10.0, 0.0]), np.array([6.0, 4.0]), np.array([one, others])
        )
        assert decided.collapsed == found


def test_a_fit_below_majority_vote_on_gold_for_scoring_shows_both():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 2000)
    right = rng.random((2000, 5)) < np.array([0.9, 0.9, 0.9, 0.6, 0.6])
    votes = np.where(right, gold[:, None], 1 - gold[:, None])
    table = from_dense(votes, n_classes=2, eval_gold=gold)
    believed = LabelModel(2, prec_init=[0.05, 0.05, 0.05, 0.9, 0.9])
    with pytest.warns(LabelModelWarning, match=r"model is right on .*majority vote on"):
        believed.fit(table)
    assert believed.diagnosis_["vote_on_gold"].verdict == "fail"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trusted = LabelModel(2).fit(table)
    assert trusted.diagnosis_["vote_on_gold"].verdict == "pass"
    assert from_json(to_json(trusted, range(5), range(2))).diagnosis_ is None


def test_ties_that_decide_much_are_warned_of_with_the_accuracy_of_both():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 1000)
    votes = np.where(rng.random((1000, 2)) < [0.8, 0.7], gold[:, None], 1 - gold[:, None])
    with pytest.warns(LabelModelWarning) as said:
        LabelModel(2).fit(from_dense(votes, eval_gold=gold))
    sentences = [str(warning.message) for warning in said]
    assert any("breaks ties on" in text for text in sentences)
    assert any("on 1000 gold records" in text for text in sentences)


def test_the_class_balance_of_gold_is_taken():
    votes, _ = simulated_lfs(n=600)
    given = np.where(np.arange(600) < 60, 2, -1)
    covered = (votes[:60] >= 0).any(axis=1).sum()
    model = LabelModel(3, class_balance="gold").fit(votes, gold=given)
    assert np.allclose(model.class_balance_ * (covered + 3), [1, 1, covered + 1])
    assert np.array_equal(model.uncovered_balance_, model.class_balance_)
    with pytest.raises(VotesError, match="needs covered records with gold"):
        LabelModel(3, class_balance="gold").fit(votes)
    with pytest.raises(VotesError, match="'goldd'"):
        LabelModel(3, class_balance="goldd").fit(votes)
