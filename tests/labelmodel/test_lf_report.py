from __future__ import annotations

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs

from labelmodel import LabelModel, NotFittedError, from_dense
from labelmodel.answers import answer_counts
from labelmodel.lf_report import lf_report

NAMES = [f"lf{j}" for j in range(20)]
CLASSES = ["a", "b", "c"]


def test_intervals_of_annotators_hold_their_true_recall():
    votes, gold = simulated_crowd(n=2000)
    table = from_dense(votes, n_classes=3)
    report = lf_report(LabelModel(3).fit(table), table)
    true = np.array(
        [
            [np.mean(votes[(gold == y) & (votes[:, j] >= 0), j] == y) for y in range(3)]
            for j in range(20)
        ]
    )
    inside = (report.recall.low <= true) & (true <= report.recall.high)
    assert inside.mean() > 0.75
    assert np.corrcoef(report.recall.value.ravel(), true.ravel())[0, 1] > 0.8


def test_recall_of_functions_is_of_all_records_of_the_class():
    votes, gold = simulated_lfs(n=4000)
    table = from_dense(votes, n_classes=3)
    report = lf_report(LabelModel(3).fit(table), table)
    covered = (votes >= 0).any(axis=1)
    for lf in range(9):
        target = lf % 3
        true = np.mean(votes[covered & (gold == target), lf] == target)
        assert report.recall.value[lf, target] == pytest.approx(true, abs=0.1)


def test_precision_is_the_models_and_intervals_widen_with_doubt_and_confidence():
    votes, _ = simulated_lfs(n=400)
    table = from_dense(votes, n_classes=3)
    model = LabelModel(3).fit(table)
    report, surer = lf_report(model, table), lf_report(model, table, confidence=0.5)
    targets = np.arange(9) % 3
    precision = report.precision.value[np.arange(9), targets]
    assert np.allclose(precision, model.lf_accuracy_, atol=1e-6)
    voted = report.votes > 0
    for share, narrower in ((report.precision, surer.precision), (report.recall, surer.recall)):
        assert (share.low[voted] < share.value[voted]).all()
        assert (share.value[voted] < share.high[voted]).all()
        assert (narrower.high - narrower.low)[voted].max() < (share.high - share.low)[voted].max()


def test_rows_are_plain_and_only_of_votes_cast():
    votes, _ = simulated_lfs(n=300)
    table = from_dense(votes, n_classes=3)
    rows = lf_report(LabelModel(3).fit(table), table).rows(NAMES, CLASSES)
    assert [(row["function"], row["class"]) for row in rows] == [
        (f"lf{j}", CLASSES[j % 3]) for j in range(9)
    ]
    assert all(0 <= row["precision_low"] <= row["precision_high"] <= 1 for row in rows)


def test_functions_without_votes_are_nan():
    votes, _ = simulated_lfs(n=300)
    table = from_dense(np.column_stack([votes, np.full(300, -1)]), n_classes=3)
    model = LabelModel(3).fit(table)
    assert np.isnan(lf_report(model, table).precision.value[9]).all()
    lift = answer_counts(model, table).lift
    assert np.isnan(lift[9])
    assert (lift[:9] > 1).all()
    with pytest.raises(NotFittedError):
        lf_report(LabelModel(3), table)
