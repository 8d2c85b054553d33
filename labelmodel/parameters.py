"""Fitted parameters as canonical JSON: readable, exact, checked by a digest, never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.errors import LabelModelError, ParametersError
from labelmodel.label_model import LabelModel
from labelmodel.majority import MajorityVote
from labelmodel.patterns import PatternTable, count_patterns
from labelmodel.state import Parameters, initial_parameters

FORMAT = "labelmodel"
VERSION = 1

# Any: the values of a JSON document before they are checked.
Document = dict[str, Any]


def to_json(
    model: LabelModel | MajorityVote, lf_names: Sequence[str], class_names: Sequence[str]
) -> str:
    """Write a fitted model.

    Parameters
    ----------
    model : LabelModel or MajorityVote
    lf_names : sequence of str
        Name of each LF in the order of their numbers.
    class_names : sequence of str

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
        Names that do not fit the model.
    """
    model._check_fitted()
    if len(lf_names) != model.n_lfs_ or len(class_names) != model.n_classes_:
        raise ParametersError(
            f"{len(lf_names)} LF names and {len(class_names)} class names for a model of "
            f"{model.n_lfs_} LFs and {model.n_classes_} classes"
        )
    if isinstance(model, MajorityVote):
        return _signed(
            {
                "format": FORMAT,
                "version": VERSION,
                "model": "majority_vote",
                "classes": list(class_names),
                "class_balance": model.class_balance_.tolist(),
                "lfs": [{"name": name} for name in lf_names],
            }
        )
    params = model.parameters_
    document: Document = {
        "format": FORMAT,
        "version": VERSION,
        "model": "default",
        "classes": list(class_names),
        "class_balance": params.class_balance.tolist(),
        "regime": params.regime,
        "rho": params.rho,
        "n_covered": params.n_covered,
        "total_votes": params.total_votes,
        "lfs": [_lf(params, number, name) for number, name in enumerate(lf_names)],
        "duplicate_groups": [list(group) for group in params.duplicate_groups],
        "gold": _gold(params.gold),
        "warnings": list(params.warnings),
        "fallback": params.fallback,
    }
    return _signed(document)


def from_json(text: str) -> LabelModel | MajorityVote:
    """Read a model that `to_json` wrote; its predictions are the same bits.

    Raises
    ------
    ParametersError
        Not such a document, another format version, or a digest that does not match.
    """
    return read_model(text)[0]


def read_model(text: str) -> tuple[LabelModel | MajorityVote, list[str], list[str]]:
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
        lf_names = [lf["name"] for lf in document["lfs"]]
        class_names = list(document["classes"])
        model: LabelModel | MajorityVote
        if document["model"] == "majority_vote":
            balance = _vector(document["class_balance"], len(class_names))
            model = MajorityVote.from_balance(balance, len(lf_names))
        else:
            model = LabelModel.from_parameters(_parameters(document))
        return model, lf_names, class_names
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, LabelModelError) and not isinstance(error, ParametersError):
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


def _signed(document: Document) -> str:
    document["digest"] = _digest(document)
    return _canonical(document)


def _canonical(document: Document) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(document: Document) -> str:
    try:
        text = _canonical(document)
    except ValueError as error:
        raise ParametersError(f"parameters hold a number that JSON has not: {error}") from error
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _lf(params: Parameters, number: int, name: str) -> Document:
    """One LF: only the votes that have an emission are written."""
    precision = np.nan if params.lf_precision is None else params.lf_precision[number]
    emissions = params.emissions[number]
    return {
        "name": name,
        "multi_class": bool(params.multi_class[number]),
        "precision": None if np.isnan(precision) else float(precision),
        "weight": 1.0 if params.source_weights is None else float(params.source_weights[number]),
        "emissions": {
            str(vote): emissions[vote].tolist() for vote in np.flatnonzero(emissions.any(axis=1))
        },
    }


def _gold(table: PatternTable) -> Document:
    return {
        "indptr": table.indptr.tolist(),
        "lfs": table.lfs.tolist(),
        "labels": table.labels.tolist(),
        "classes": table.gold.tolist(),
        "counts": table.counts.tolist(),
    }


def _parameters(document: Document) -> Parameters:
    lfs, k = document["lfs"], len(document["classes"])
    emissions = np.zeros((len(lfs), k, k))
    for number, lf in enumerate(lfs):
        for vote, row in lf["emissions"].items():
            emissions[number, int(vote)] = _vector(row, k)
    groups = tuple(tuple(group) for group in document["duplicate_groups"])
    weights = np.array([lf["weight"] for lf in lfs], dtype=np.float64)
    precision = [np.nan if lf["precision"] is None else lf["precision"] for lf in lfs]
    gold = document["gold"]
    if document["regime"] not in ("lf", "crowd"):
        raise ParametersError(f"regime {document['regime']!r} is neither lf nor crowd")
    return replace(
        initial_parameters(len(lfs), k),
        stage="done",
        regime=document["regime"],
        class_balance=_vector(document["class_balance"], k),
        emissions=emissions,
        multi_class=np.array([lf["multi_class"] for lf in lfs], dtype=np.bool_),
        gold=count_patterns(
            np.array(gold["indptr"], dtype=np.int64),
            np.array(gold["lfs"], dtype=np.int64),
            np.array(gold["labels"], dtype=np.int64),
            n_lfs=len(lfs),
            n_classes=k,
            gold=np.array(gold["classes"], dtype=np.int64),
            counts=np.array(gold["counts"], dtype=np.int64),
        ),
        source_weights=weights if groups else None,
        duplicate_groups=groups,
        rho=float(document["rho"]),
        n_covered=int(document["n_covered"]),
        total_votes=int(document["total_votes"]),
        lf_precision=np.array(precision, dtype=np.float64),
        warnings=tuple(document["warnings"]),
        fallback=document["fallback"],
    )


def _vector(values: Sequence[float], length: int) -> FloatArray:
    vector = np.array(values, dtype=np.float64)
    if vector.shape != (length,):
        raise ParametersError(f"a vector of {length} probabilities has shape {vector.shape}")
    return vector
