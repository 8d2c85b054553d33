"""Fitted models as canonical JSON: readable, exact, checked by a digest, never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from labelmodel.arrays import AnyArray
from labelmodel.calibrated import CalibratedModel
from labelmodel.errors import LabelModelError, ParametersError
from labelmodel.models import MODELS
from labelmodel.plain_data import from_plain, to_plain, value_from_plain
from labelmodel.staged import StagedModel

FORMAT = "labelmodel"
VERSION = 3

# Any: the values of a JSON document before they are checked; the state of whatever model.
Document = dict[str, Any]
Name = str | int
AnyModel = StagedModel[Any] | CalibratedModel


def to_json(
    model: AnyModel,
    lf_names: Sequence[Name] | AnyArray,
    class_names: Sequence[Name] | AnyArray,
) -> str:
    """Write a fitted model.

    Parameters
    ----------
    model : StagedModel or CalibratedModel
        One of `MODELS`, or a calibrated one of them.
    lf_names : sequence of str or int
        Name of each LF in the order of their numbers, `workers_` of a long table.
    class_names : sequence of str or int
        The same of classes, `classes_`.

    Returns
    -------
    str
        The same text for the same parameters: keys sorted, floats written so that they read
        back exactly, `digest` the SHA-256 of the document without it.

    Raises
    ------
    NotFittedError
        Before `fit`.
    ParametersError
        Names that do not fit the model, or a model that is none of `MODELS`.
    """
    model._check_fitted()
    if len(lf_names) != model.n_lfs_ or len(class_names) != model.n_classes_:
        raise ParametersError(
            f"{len(lf_names)} LF names and {len(class_names)} class names for a model of "
            f"{model.n_lfs_} LFs and {model.n_classes_} classes"
        )
    base = model.model_ if isinstance(model, CalibratedModel) else model
    names_of = {kind: name for name, kind in MODELS.items()}
    if not isinstance(base, StagedModel) or type(base) not in names_of:
        raise ParametersError(f"{type(base).__name__} is none of the models {sorted(MODELS)}")
    document: Document = {
        "format": FORMAT,
        "version": VERSION,
        "model": names_of[type(base)],
        "params": {name: to_plain(value) for name, value in base.get_params().items()},
        "classes": [to_plain(name) for name in class_names],
        "lfs": [to_plain(name) for name in lf_names],
        "state": to_plain(base.state_),
    }
    if isinstance(model, CalibratedModel):
        document["calibration"] = model.calibration_to_plain()
    document["digest"] = _digest(document)
    return _canonical(document)


def from_json(text: str) -> AnyModel:
    """Read a model that `to_json` wrote; its predictions are the same bits.

    `workers_` and `classes_` are the names of LFs and of classes, so a long table is read by them,
    as text where they are text.

    Raises
    ------
    ParametersError
        Not such a document, another format version, or a digest that does not match.
    """
    return read_model(text)[0]


def read_model(text: str) -> tuple[AnyModel, list[str], list[str]]:
    """Read a model with the names of its LFs and of its classes.

    Raises
    ------
    ParametersError
        As `from_json`.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ParametersError(f"model parameters are not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ParametersError(f'model parameters must be a JSON object with "format": "{FORMAT}"')
    if document.get("version") != VERSION:
        raise ParametersError(
            f"model parameters have version {document.get('version')!r}, but this code reads "
            f"{VERSION}; fit the model again"
        )
    digest = document.pop("digest", None)
    if digest != _digest(document):
        raise ParametersError(
            f"model parameters do not match their digest {digest!r}: the file was changed"
        )
    try:
        return _model(document), list(document["lfs"]), list(document["classes"])
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, LabelModelError):
            raise ParametersError(f"model parameters are inconsistent: {error}") from error
        raise ParametersError(f"model parameters are incomplete: {error!r}") from error


def names(text: str) -> tuple[list[str], list[str]]:
    """LF names and class names of a document that `from_json` accepts.

    Raises
    ------
    ParametersError
        As `from_json`.
    """
    return read_model(text)[1:]


def _model(document: Document) -> AnyModel:
    kind = MODELS[document["model"]]
    state = from_plain(kind.state_type, document["state"])
    if (state.n_lfs, state.n_classes) != (len(document["lfs"]), len(document["classes"])):
        raise ParametersError(
            f"names of {len(document['lfs'])} LFs and {len(document['classes'])} classes for a "
            f"state of {state.n_lfs} and {state.n_classes}"
        )
    params = {name: value_from_plain(value) for name, value in document["params"].items()}
    model = kind(**params).set_state(state)
    model.workers_, model.classes_ = np.array(document["lfs"]), np.array(document["classes"])
    if "calibration" in document:
        return CalibratedModel.from_plain(model, document["calibration"])
    return model


def _canonical(document: Document) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(document: Document) -> str:
    try:
        text = _canonical(document)
    except ValueError as error:
        raise ParametersError(f"parameters hold a number that JSON has not: {error}") from error
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
