from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs

from labelmodel import LabelModel, MajorityVote, NotFittedError, VotesError, empty, from_dense
from labelmodel.base import BaseLabelModel
from labelmodel.trust import diagnose, trusted_model


class Answering(BaseLabelModel):
    """Majority vote shares, changed by a function: a model with a fault made to order."""

    def __init__(self, change, n_classes=3):
        super().__init__(n_classes)
        self.change = change

    def _fit(self, table):
        self.class_balance_ = np.full(table.n_classes, 1 / table.n_classes)

    def _posteriors(self, table):
        return self.change(MajorityVote(3).fit(table).predict_proba(table), table)


def diagnosed(change, simulate=simulated_lfs, **gold):
    votes, truth = simulate()
    given = {name: truth for name in gold if gold[name]}
    table = from_dense(votes, n_classes=3, **given)
    model = Answering(change).fit(table)
    return diagnose(model, table), model, table


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd])
def test_a_sound_fit_passes(simulate):
    votes, gold = simulate()
    table = from_dense(votes, n_classes=3, eval_gold=gold)
    model = LabelModel(3).fit(table)
    diagnosis = diagnose(model, table)
    assert diagnosis.fallback is None
    assert diagnosis["label_switching"].verdict == "pass"
    assert diagnosis["vote_on_gold"].verdict in ("pass", "warn")
    assert trusted_model(model, table, diagnosis) is model


def test_collapse_falls_back():
    def one_class(probs, _):
        return np.column_stack([np.full(len(probs), 0.998), np.full((len(probs), 2), 0.001)])

    diagnosis, model, table = diagnosed(one_class)
    assert diagnosis["collapse"].verdict == "fail"
    assert "1 of the classes" in diagnosis.fallback
    assert isinstance(trusted_model(model, table, diagnosis), MajorityVote)


def test_switched_labels_are_named():
    diagnosis, _, _ = diagnosed(lambda probs, _: probs[:, [1, 0, 2]])
    assert diagnosis["label_switching"].verdict == "fail"
    assert "0 as 1, 1 as 0" in diagnosis["label_switching"].sentence


def test_worse_than_majority_vote_on_gold_is_shown_with_both():
    def third_class_on_ties(probs, table):
        changed = probs.copy()
        changed[table.row_hash() % 3 == 0] = [0.1, 0.1, 0.8]
        return changed

    diagnosis, _, _ = diagnosed(third_class_on_ties, eval_gold=True)
    check = diagnosis["vote_on_gold"]
    assert check.verdict == "fail"
    assert check.value < 0
    assert "majority vote on" in check.sentence
    blind, _, _ = diagnosed(third_class_on_ties)
    assert blind["vote_on_gold"].verdict == "unknown"
    assert np.isnan(blind["vote_on_gold"].value)


def test_labels_that_move_with_the_records_are_unstable():
    def by_size(probs, table):
        changed = probs.copy()
        changed[(table.row_hash() % 2 == 0)] = np.roll(probs, 1, axis=1)[table.row_hash() % 2 == 0]
        return changed

    class Fickle(Answering):
        def _fit(self, table):
            super()._fit(table)
            self.odd = table.n_records % 2

        def _posteriors(self, table):
            probs = super()._posteriors(table)
            return by_size(probs, table) if self.odd else probs

    votes, _ = simulated_lfs(n=1999)
    table = from_dense(votes, n_classes=3)
    table = table.take(table.n_votes > 0)
    extra = 1 - table.n_records % 2
    counts = table.counts + extra * (np.arange(len(table)) == 0)
    table = replace(table, counts=counts)
    model = Fickle(lambda probs, _: probs).fit(table)
    assert diagnose(model, table)["instability"].verdict == "warn"
    sound = Answering(lambda probs, _: probs).fit(table)
    assert diagnose(sound, table)["instability"].value == 0


def test_functions_that_fire_at_random_are_named():
    votes, _ = simulated_lfs()
    noise = np.where(np.random.default_rng(1).random(len(votes)) < 0.2, 1, -1)
    table = from_dense(np.column_stack([votes, noise]), n_classes=3)

    def truth_like(probs, table):
        kept = table.drop_lfs([9])
        return LabelModel(3).fit(kept).predict_proba(replace_votes(table))

    def replace_votes(table):
        dense = np.full((len(table), 10), -1)
        rows = np.repeat(np.arange(len(table)), table.n_votes)
        dense[rows, table.lfs] = table.labels
        dense[:, 9] = -1
        return dense

    check = diagnose(Answering(truth_like).fit(table), table)["uninformative"]
    assert check.verdict == "warn"
    assert check.sentence.endswith(": 9")


def test_ties_are_counted_apart_from_overruled_majorities():
    votes = np.array([[0, 1, -1]] * 6 + [[0, 0, 1]] * 4)
    table = from_dense(votes, n_classes=3)

    def overrule(probs, table):
        return np.where(table.n_votes[:, None] == 3, [[0.1, 0.9, 0.0]], probs)

    check = diagnose(Answering(overrule).fit(table), table)["ties"]
    assert check.value == pytest.approx(1.0)
    assert "60.0%" in check.sentence
    assert "40.0%" in check.sentence
    assert check.verdict == "warn"


def test_answers_that_are_not_numbers_fail_alone():
    diagnosis, _, _ = diagnosed(lambda probs, _: np.full_like(probs, np.nan))
    assert [check.name for check in diagnosis.checks] == ["finite"]
    assert diagnosis.fallback == "100.0% of the records have no finite probability"
    with pytest.raises(KeyError):
        diagnosis["ties"]


def test_nothing_to_check_is_said():
    with pytest.raises(VotesError, match="no record has a vote"):
        diagnose(LabelModel(2).fit(np.array([[0, 1]])), empty(2, 2))
    with pytest.raises(NotFittedError):
        diagnose(LabelModel(2), from_dense(np.array([[0, 1]])))
