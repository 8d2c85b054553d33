from __future__ import annotations

import numpy as np
import pytest

from labelmill.jobspec import ModelSpec
from labelmill.votes import LFInfo, LFTable
from labelmodel import from_dense
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
