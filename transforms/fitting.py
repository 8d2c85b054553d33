"""Fitting a pattern table and describing the result: the plain functions behind `FitLabelModel`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from labelmill.errors import JobSpecError
from labelmill.jobspec import ModelSpec
from labelmill.suggestion import did_you_mean
from labelmill.votes import LFTable
from labelmodel import LabelModelError, LabelModelWarning, MajorityVote, analyse, score
from labelmodel.analysis import LFAnalysis
from labelmodel.arrays import FloatArray
from labelmodel.diagnostics import NEVER_PREDICTED, NEVER_VOTED
from labelmodel.errors import ParametersError
from labelmodel.models import MODELS
from labelmodel.parameters import read_model, to_json
from labelmodel.patterns import PatternTable, merge_patterns
from labelmodel.staged import StagedModel, blocks_of
from transforms.elements import FitResult

Model = StagedModel[Any]  # Any: each model has a state of its own


@dataclass(frozen=True)
class Looked:
    """What is seen of patterns beside the fit; that of blocks adds (`+`) to that of all.

    Attributes:
        patterns: Number of patterns; no two blocks share one.
        every: Analysis of all functions.
        used: Analysis without the votes of functions that are left out.
        judged: Patterns with gold that scores, without those votes.
        fit_records: Records with gold for the fit.
    """

    patterns: int
    every: LFAnalysis
    used: LFAnalysis
    judged: PatternTable
    fit_records: int

    def __add__(self, other: Looked) -> Looked:
        """Return what is seen of both."""
        return Looked(
            self.patterns + other.patterns,
            self.every + other.every,
            self.used + other.used,
            merge_patterns([self.judged, other.judged]),
            self.fit_records + other.fit_records,
        )


def look_at(patterns: PatternTable, dropped: Sequence[int]) -> Looked:
    """Count what a report says of functions, with the patterns that scores are made from."""
    used = patterns.drop_lfs(dropped) if dropped else patterns
    every = reduce(add, map(analyse, blocks_of(patterns)))
    return Looked(
        len(patterns),
        every,
        reduce(add, map(analyse, blocks_of(used))) if dropped else every,
        _without_fit_gold(used.take(used.eval_gold >= 0)),
        int(used.counts[used.gold >= 0].sum()),
    )


def model_of(spec: ModelSpec, table: LFTable) -> Model:
    """Return the label model of a job, not fitted.

    Raises:
        JobSpecError: It has no such parameter, or cannot have such a value.
    """
    kind = MODELS[spec.name]
    known = kind.parameter_defaults()
    n_classes = len(table.class_names)
    chosen: dict[str, Any] = {"n_classes": n_classes, **spec.options}
    for name in spec.options:
        if name not in known or name == "n_classes":
            others = ", ".join(sorted(set(known) - {"n_classes"}))
            raise JobSpecError(
                f"model.options.{name}: {spec.name} has no such parameter"
                f"{did_you_mean(name, known, f'it has {others}')}"
            )
    if "random_state" in known:
        chosen.setdefault("random_state", spec.random_state)
    if spec.class_balance is not None:
        chosen["class_balance"] = _balance(spec.class_balance, table.class_names)
    model = kind(**chosen)
    try:
        model.initial_state(len(table.lfs), n_classes)
    except (LabelModelError, TypeError, ValueError) as error:
        raise JobSpecError(f"model: {error}") from error
    return model


def _balance(given: Mapping[str, float], class_names: Sequence[str]) -> FloatArray:
    for name in given:
        if name not in class_names:
            hint = did_you_mean(name, class_names, f"classes: {', '.join(class_names)}")
            raise JobSpecError(f"model.class_balance: {name!r} is no class{hint}")
    return np.array([given.get(name, 0.0) for name in class_names])


def fit_patterns(
    patterns: PatternTable, table: LFTable, spec: ModelSpec, dropped: Sequence[int] = ()
) -> FitResult:
    """Fit the label model and work out what a report says about functions and model.

    Args:
        patterns: All patterns, with gold in both roles.
        table: The functions and classes.
        spec: Which label model.
        dropped: Functions whose votes are not used.
    """
    model = model_of(spec, table)
    used = patterns.drop_lfs(dropped) if dropped else patterns
    with warnings.catch_warnings():  # they are in warnings_, which the report shows
        warnings.simplefilter("ignore", LabelModelWarning)
        model.fit(used)
    return result_of(model, look_at(patterns, dropped), table, spec, dropped)


def result_of(
    model: Model, looked: Looked, table: LFTable, spec: ModelSpec, dropped: Sequence[int]
) -> FitResult:
    """Return parameters and description of a fitted model."""
    parameters = to_json(model, table.names, table.class_names)
    return FitResult(parameters, tuple(dropped), describe(model, looked, table, spec, dropped))


def read_fitted(parameters: str, table: LFTable) -> Model:
    """Return a fitted model from its JSON.

    Raises:
        ParametersError: It is broken, or was fitted to other functions or classes.
    """
    model, *fitted = read_model(parameters)
    fitted_to = tuple(fitted)
    if fitted_to != (list(table.names), list(table.class_names)):
        raise ParametersError(
            f"the model was fitted to functions and classes {fitted_to}, the votes have "
            f"{table.names} and {table.class_names}"
        )
    return model


def describe(
    model: Model, looked: Looked, table: LFTable, spec: ModelSpec, dropped: Sequence[int]
) -> dict[str, Any]:
    """Return LF table, totals, gold scores and model diagnosis as plain data."""
    analysis, totals = looked.every, looked.used
    polarity, gold_accuracy = analysis.polarity, analysis.gold_accuracy
    silent = int(np.count_nonzero(totals.votes == 0)) - len(dropped)
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
            "rows": analysis.n_records,
            "patterns": looked.patterns,
            "covered": totals.n_covered,
            "overlap": totals.n_overlap,
            "conflict": totals.n_conflict,
        },
        "model": {
            "name": spec.name,
            "regime": getattr(model, "regime_", None),
            "class_balance": [float(p) for p in model.class_balance_],
            "warnings": _warnings(model, table, silent),
            "fallback": getattr(model, "fallback_", None),
        },
        "gold": _gold_scores(looked, model),
    }


def _warnings(model: Model, table: LFTable, silent: int) -> list[str]:
    """Return the model's warnings with names of classes, and without functions left out on purpose.

    Args:
        model: The model.
        table: The functions and classes.
        silent: Functions that never voted, without those that were left out.
    """
    warnings = []
    for warning in getattr(model, "warnings_", ()):
        if not warning.endswith(NEVER_VOTED):
            warnings.append(_with_names(warning, table))
        elif silent:
            warnings.append(f"{silent} of {len(table.lfs)} {NEVER_VOTED}")
    return warnings


def _with_names(warning: str, table: LFTable) -> str:
    """Return a warning of the model's with the names of classes in place of their indices."""
    if not warning.startswith(NEVER_PREDICTED):
        return warning
    indices = warning.removeprefix(NEVER_PREDICTED).split(", ")
    return NEVER_PREDICTED + ", ".join(table.class_names[int(index)] for index in indices)


def _gold_scores(looked: Looked, model: Model) -> dict[str, Any] | None:
    """Score model and majority vote on eval gold, over all records and over covered ones."""
    fit_records, judged = looked.fit_records, looked.judged
    if not len(judged):
        return None if not fit_records else {"fit_records": fit_records, "eval_records": 0}
    majority = MajorityVote(judged.n_classes).fit(judged)
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


def _without_fit_gold(table: PatternTable) -> PatternTable:
    """Return the patterns with gold that scores and no other, equal ones as one."""
    return merge_patterns([replace(table, gold=np.full(len(table), -1, dtype=np.int16))])


def _score(
    probs: FloatArray, judged: PatternTable, rows: np.ndarray[Any, np.dtype[np.bool_]]
) -> dict[str, float]:
    return score(probs[rows], judged.eval_gold[rows], judged.counts[rows])


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
