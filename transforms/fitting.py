"""Fitting a pattern table and describing the result: the plain functions behind `FitLabelModel`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from labelmill.jobspec import ModelSpec
from labelmill.votes import LFTable
from labelmodel import LabelModel, LabelModelWarning, MajorityVote, StagedModel, analyse, score
from labelmodel.arrays import FloatArray
from labelmodel.diagnostics import NEVER_PREDICTED
from labelmodel.errors import ParametersError
from labelmodel.parameters import read_model, to_json
from labelmodel.patterns import PatternTable
from transforms.elements import FitResult

MODEL_VERSION = 2
"""Changes when the same votes would get other labels; then models and labels are made again."""

# Any: each model has a state of its own.
Model = StagedModel[Any]


def fit_patterns(
    patterns: PatternTable, table: LFTable, model: ModelSpec, dropped: Sequence[int] = ()
) -> FitResult:
    """Fit the label model and work out what a report says about functions and model.

    Args:
        patterns: All patterns, with gold in both roles.
        table: The functions and classes.
        model: Which label model.
        dropped: Functions whose votes are not used.
    """
    used = patterns.drop_lfs(dropped) if dropped else patterns
    fitted: Model
    if model.name == "majority_vote":
        fitted = MajorityVote(len(table.class_names)).fit(used)
    else:
        fitted = LabelModel(len(table.class_names), model.random_state)
        with warnings.catch_warnings():  # they are in warnings_, which the report shows
            warnings.simplefilter("ignore", LabelModelWarning)
            fitted.fit(used)
    parameters = to_json(fitted, table.names, table.class_names)
    return FitResult(
        parameters, tuple(dropped), describe(patterns, used, fitted, table, model, dropped)
    )


def load_model(fit: FitResult, table: LFTable) -> Model:
    """Return the fitted model in `fit`.

    Raises:
        ParametersError: It is broken, or was fitted to other functions or classes.
    """
    model, *fitted = read_model(fit.parameters)
    fitted_to = tuple(fitted)
    if fitted_to != (list(table.names), list(table.class_names)):
        raise ParametersError(
            f"the model was fitted to functions and classes {fitted_to}, the votes have "
            f"{table.names} and {table.class_names}"
        )
    return model


def describe(
    patterns: PatternTable,
    used: PatternTable,
    model: Model,
    table: LFTable,
    spec: ModelSpec,
    dropped: Sequence[int],
) -> dict[str, Any]:
    """Return LF table, totals, gold scores and model diagnosis as plain data."""
    analysis = analyse(patterns)
    totals = analyse(used)
    polarity, gold_accuracy = analysis.polarity, analysis.gold_accuracy
    learned = getattr(model, "lf_accuracy_", np.full(len(table.lfs), np.nan))
    lfs = [
        {
            "name": lf.name,
            "kind": lf.kind,
            "classes": [table.class_names[c] for c in polarity[n]],
            "votes": int(analysis.votes[n]),
            "coverage": float(analysis.coverage[n]),
            "overlap": float(analysis.overlap[n]),
            "conflict": float(analysis.conflict[n]),
            "learned_accuracy": _number(learned[n]),
            "gold_correct": int(analysis.gold_correct[n]),
            "gold_votes": int(analysis.gold_n[n]),
            "gold_accuracy": _number(gold_accuracy[n]),
            "quarantined": n in dropped,
        }
        for n, lf in enumerate(table.lfs)
    ]
    return {
        "lfs": lfs,
        "totals": {
            "rows": patterns.n_records,
            "patterns": len(patterns),
            "covered": totals.n_covered,
            "overlap": totals.n_overlap,
            "conflict": totals.n_conflict,
        },
        "model": {
            "name": spec.name,
            "regime": getattr(model, "regime_", None),
            "class_balance": [float(p) for p in model.class_balance_],
            "warnings": [_with_names(w, table) for w in getattr(model, "warnings_", ())],
            "fallback": getattr(model, "fallback_", None),
        },
        "gold": _gold_scores(used, model),
    }


def _with_names(warning: str, table: LFTable) -> str:
    """Return a warning of the model's with the names of classes in place of their indices."""
    if not warning.startswith(NEVER_PREDICTED):
        return warning
    indices = warning.removeprefix(NEVER_PREDICTED).split(", ")
    return NEVER_PREDICTED + ", ".join(table.class_names[int(index)] for index in indices)


def _gold_scores(patterns: PatternTable, model: Model) -> dict[str, Any] | None:
    """Score model and majority vote on eval gold, over all records and over covered ones."""
    fit_records = int(patterns.counts[patterns.gold >= 0].sum())
    judged = patterns.take(np.flatnonzero(patterns.eval_gold >= 0))
    if not len(judged):
        return None if not fit_records else {"fit_records": fit_records, "eval_records": 0}
    majority = MajorityVote(patterns.n_classes).fit(patterns)
    covered = judged.n_votes > 0
    result: dict[str, Any] = {
        "fit_records": fit_records,
        "eval_records": judged.n_records,
        "eval_covered": int(judged.counts[covered].sum()),
    }
    guesses = (
        ("model", model.predict_proba(_without_gold(judged))),
        ("majority_vote", majority.predict_proba(_without_gold(judged))),
    )
    for name, probs in guesses:
        result[name] = {
            "all": _score(probs, judged, np.ones(len(judged), dtype=bool)),
            "covered": _score(probs, judged, covered) if covered.any() else None,
        }
    return result


def _without_gold(table: PatternTable) -> PatternTable:
    """Return the patterns as the labels are made from them: by their votes alone."""
    nothing = np.full(len(table), -1, dtype=np.int16)
    return replace(table, gold=nothing, eval_gold=nothing)


def _score(
    probs: FloatArray, judged: PatternTable, rows: np.ndarray[Any, np.dtype[np.bool_]]
) -> dict[str, float]:
    return score(probs[rows], judged.eval_gold[rows], judged.counts[rows])


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
