from __future__ import annotations

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs

from labelmodel import LabelModel, MajorityVote, VotesError, from_dense
from labelmodel.selection import select_model


def judged(simulate=simulated_lfs, n_gold=200):
    votes, gold = simulate()
    return from_dense(
        votes, n_classes=3, gold=np.where(np.arange(len(gold)) < n_gold, gold, -1), eval_gold=gold
    )


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd])
def test_the_better_model_is_chosen_over_a_clearly_worse_default(simulate):
    models = {"vote": MajorityVote(3), "default": LabelModel(3)}
    selection = select_model(models, judged(simulate))
    assert selection.chosen == "default"
    assert selection.scores["default"].lead > selection.scores["default"].lead_error > 0
    assert "default leads vote" in selection.reason
    assert not hasattr(models["default"], "class_balance_")


def test_a_default_within_one_standard_error_is_kept():
    models = {"a": LabelModel(3), "b": LabelModel(3, dependence=None)}
    selection = select_model(models, judged(), default="b")
    assert selection.chosen == "b"
    assert selection.scores["a"].lead == 0
    assert selection.scores["a"].standard_error > 0


def test_the_same_seed_chooses_alike_and_gold_for_scoring_is_not_read():
    models = {"vote": MajorityVote(3), "default": LabelModel(3)}
    votes, gold = simulated_lfs()
    blind = from_dense(votes, n_classes=3, gold=np.where(np.arange(len(gold)) < 200, gold, -1))
    assert select_model(models, blind) == select_model(models, blind)
    assert select_model(models, judged()).scores["default"].log_loss == pytest.approx(
        select_model(models, blind).scores["default"].log_loss, rel=0.2
    )


@pytest.mark.parametrize(
    ("models", "n_gold", "message"),
    [
        ({}, 50, "at least one model"),
        ({"a": LabelModel(3)}, 0, "two covered gold records"),
    ],
)
def test_selection_without_models_or_gold_is_refused(models, n_gold, message):
    with pytest.raises(VotesError, match=message):
        select_model(models, judged(n_gold=n_gold))


def test_an_unknown_default_is_refused():
    with pytest.raises(VotesError, match="none of a"):
        select_model({"a": LabelModel(3)}, judged(), default="b")
