from __future__ import annotations

import numpy as np
import pytest

from labelmill.jobspec import ModelSpec
from labelmill.votes import LFInfo, LFTable
from labelmodel import from_dense
from labelmodel.notices import Notice
from transforms.fitting import fit_patterns

CLASSES = ("ham", "spam")


def described(votes, gold=None, **model):
    table = LFTable(tuple(LFInfo(f"lf{n}", "") for n in range(votes.shape[1])), CLASSES)
    patterns = from_dense(votes, n_classes=2, eval_gold=gold)
    return fit_patterns(patterns, table, ModelSpec(**model)).analysis


def drawn(accuracies, n=2000, seed=0):
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 2, n)
    right = rng.random((n, len(accuracies))) < np.array(accuracies)
    return np.where(right, gold[:, None], 1 - gold[:, None]), gold


def test_copied_functions_are_named():
    votes, _ = drawn([0.85, 0.85, 0.85, 0.6])
    model = described(np.hstack([votes, votes[:, 3:], votes[:, 3:]]))["model"]
    assert model["duplicates"] == [["lf3", "lf4", "lf5"]]
    assert any(warning.endswith("about as one: lf3, lf4, lf5") for warning in model["warnings"])


def test_functions_that_were_left_out_are_not_said_to_be_silent():
    votes, _ = drawn([0.9, 0.8, 0.7])
    votes = np.hstack([votes, np.full((len(votes), 2), -1)])
    table = LFTable(tuple(LFInfo(f"lf{n}", "") for n in range(5)), CLASSES)
    patterns = from_dense(votes, n_classes=2)

    def silent(dropped):
        model = fit_patterns(patterns, table, ModelSpec(), dropped).analysis["model"]
        return [warning for warning in model["warnings"] if "never voted" in warning]

    assert silent(()) == ["2 of 5 labeling functions never voted"]
    assert silent((3,)) == ["1 of 5 labeling functions never voted"]
    assert silent((3, 4)) == []


def test_notices_are_worded_with_names_of_functions_and_classes():
    lost = Notice("lost_class", "never predicted: {names}", classes=(0, 1))
    assert lost.worded(["a"], ["ham", "spam"]) == "never predicted: ham, spam"
    assert str(Notice("copies", "copies: {names}", sources=(2, 5))) == "copies: 2, 5"


def test_a_report_says_what_each_source_was_taken_for():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 1500)
    fires = rng.random((1500, 6)) < np.where(gold[:, None] == np.arange(6) % 2, 0.5, 0.05)
    functions = np.where(fires, np.arange(6) % 2, -1)
    right = rng.random((1500, 20)) < 0.8
    said = np.where(right, gold[:, None], 1 - gold[:, None])
    annotators = np.where(rng.random((1500, 20)) < 0.2, said, -1)
    analysis = described(np.hstack([functions, annotators]))
    assert analysis["model"]["regime"] == "mixed"
    assert [lf["taken_for"] for lf in analysis["lfs"]] == ["function"] * 6 + ["annotator"] * 20
    assert any("6 sources were taken for" in text for text in analysis["model"]["warnings"])
    assert described(functions, name="bwa")["lfs"][0]["taken_for"] is None


def test_a_model_below_majority_vote_on_gold_says_so_with_both_and_the_interval():
    votes, gold = drawn([0.9, 0.9, 0.9, 0.6, 0.6])
    wrong = {f"lf{n}": 0.05 for n in range(3)}
    model = described(votes, gold, accuracy=wrong)["model"]
    (warning,) = [w for w in model["warnings"] if "gold records" in w]
    assert "majority vote on" in warning
    assert "95 % interval -" in warning
    (check,) = [c for c in model["checks"] if c["name"] == "vote_on_gold"]
    assert check["verdict"] == "fail"
    assert check["value"] < 0


def test_ties_that_decide_much_are_shown_with_the_scores_of_both():
    votes, gold = drawn([0.8, 0.7])
    warnings = described(votes, gold)["model"]["warnings"]
    assert any("breaks ties on" in warning for warning in warnings)
    assert any("on 2000 gold records the model is right on" in warning for warning in warnings)
    assert any("breaks ties on" in warning for warning in described(votes)["model"]["warnings"])


def test_checks_without_gold_are_plain_data():
    votes, _ = drawn([0.8, 0.7, 0.9])
    checks = {check["name"]: check for check in described(votes)["model"]["checks"]}
    assert checks["vote_on_gold"]["value"] is None
    assert checks["vote_on_gold"]["verdict"] == "unknown"
    assert "instability" not in checks
    assert described(np.full((3, 2), -1))["model"]["checks"] == []


@pytest.mark.parametrize("name", ["default", "dawid_skene", "majority_vote"])
def test_each_function_has_what_was_learned_of_each_class(name):
    votes, _ = drawn([0.9, 0.8, 0.7])
    for lf in described(votes, name=name)["lfs"]:
        assert [row["class"] for row in lf["learned"]] == list(CLASSES)
        for row in lf["learned"]:
            assert row["precision_low"] < row["precision"] < row["precision_high"]
            assert row["recall_low"] < row["recall"] < row["recall_high"]


def test_scores_on_gold_have_intervals_and_reliability():
    votes, gold = drawn([0.9, 0.8, 0.7])
    scores = described(votes, gold)["gold"]
    for name in ("accuracy", "log_loss", "brier"):
        covered = scores["model"]["covered"]
        assert covered[f"{name}_low"] < covered[name] < covered[f"{name}_high"]
    assert sum(row["records"] for row in scores["reliability"]) == len(gold)
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in scores["reliability"])
