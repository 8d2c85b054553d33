"""Fitting a pattern table: the plain functions behind `FitLabelModel`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labelmill.errors import JobSpecError
from labelmill.jobspec import ModelSpec
from labelmill.suggestion import did_you_mean
from labelmill.votes import LFTable
from labelmodel import LabelModelError, LabelModelWarning
from labelmodel.arrays import FloatArray
from labelmodel.errors import ParametersError
from labelmodel.models import MODELS
from labelmodel.parameters import read_model, to_json
from labelmodel.patterns import PatternTable
from labelmodel.staged import StagedModel
from transforms.describing import describe
from transforms.elements import FitResult
from transforms.looking import Looked, look_at

Model = StagedModel[Any]  # Any: each model has a state of its own


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
    if spec.accuracy:
        if "prec_init" not in known:
            able = ", ".join(n for n, m in MODELS.items() if "prec_init" in m.parameter_defaults())
            raise JobSpecError(
                f"model.accuracy: {spec.name} takes no accuracy of functions; {able} do"
            )
        chosen["prec_init"] = _accuracy(spec.accuracy, table.names, known["prec_init"])
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


def _accuracy(
    given: Mapping[str, float], lf_names: Sequence[str], default: float | None
) -> FloatArray:
    """Return the accuracy of every function, the model's default where it is not given."""
    for name in given:
        if name not in lf_names:
            hint = did_you_mean(name, lf_names, f"functions: {', '.join(lf_names)}")
            raise JobSpecError(f"model.accuracy: {name!r} is no function{hint}")
    assumed = math.nan if default is None else default
    return np.array([given.get(name, assumed) for name in lf_names])


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
    return result_of(model, look_at(patterns, dropped, model), table, spec, dropped)


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
    if not isinstance(model, StagedModel):
        raise ParametersError(f"a job fits no {type(model).__name__}")
    return model
