"""What models return, turned into votes: probabilities, scores of one class, or labels.

How models are loaded and called is in `labelmill.models`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from labelmill.errors import LabelingFunctionError

Label = str | int
Classes = Sequence[Label] | Mapping[Any, Label | None]

RETURNS = ("probabilities", "labels")
_ROUNDING = 1e-6
"""How far outside 0..1 the rounding of a model's arithmetic may take a probability."""


@dataclass(frozen=True)
class Predictions:
    """How a model's outputs become votes; made by `predictions`.

    Attributes:
        owner: The function, for messages.
        classes: The model's classes in the order of its columns, with the job's class of each;
            None for one that is never voted for.
        by_name: Whether `classes` names the model's own classes rather than the job's alone.
        thresholds: What each of the job's classes has to reach; None for labels.
    """

    owner: str
    classes: tuple[tuple[Any, Label | None], ...]
    by_name: bool
    thresholds: Mapping[Label, float] | None

    @property
    def labels(self) -> tuple[Label, ...]:
        """The job's classes that are voted for."""
        if self.thresholds is not None:
            return tuple(self.thresholds)
        return tuple(dict.fromkeys(label for _, label in self.classes if label is not None))

    def identity(self) -> Mapping[str, Any]:
        """Return what determines the votes, for a fingerprint."""
        thresholds = None if self.thresholds is None else dict(self.thresholds)
        classes = [[own, label] for own, label in self.classes]
        return {"classes": classes, "by_name": self.by_name, "thresholds": thresholds}

    def votes(self, output: Any, n_rows: int, model_classes: Any = None) -> list[Any]:
        """Return one vote per record.

        An output that cannot be read as a whole is an error on every record, so that the model is
        not called again and again to find out which record is to blame.

        Args:
            output: Probabilities, shape (n_rows, classes), or scores, shape (n_rows,); or labels,
                shape (n_rows,).
            n_rows: Records that the model was given.
            model_classes: The classes of the columns, as the model itself names them.

        Returns:
            Labels, None for an abstain, exceptions for records without a usable output.

        Raises:
            ValueError: There are more or fewer outputs than records: one record may be to blame.
        """
        try:
            if self.thresholds is None:
                outputs = output.tolist() if hasattr(output, "tolist") else list(output)
                self._check_rows(len(outputs), n_rows)
                return [self._vote_of(value) for value in outputs]
            scores = self._numbers(output)
            self._check_rows(len(scores), n_rows)
            return self._decide(scores, self._columns(scores, model_classes))
        except _Unreadable as error:
            return [ValueError(f"{self.owner} {error}")] * n_rows

    def _check_rows(self, found: int, expected: int) -> None:
        if found != expected:
            raise ValueError(f"{self.owner} returned {found} results for {expected} records")

    def _vote_of(self, value: Any) -> Any:
        value = value.item() if isinstance(value, np.generic) else value
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        for own, label in self.classes:
            if own == value and isinstance(own, str) == isinstance(value, str):
                return label
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not self.by_name and is_number and value in range(len(self.classes)):
            return self.classes[int(value)][1]
        known = ", ".join(repr(own) for own, _ in self.classes)
        return ValueError(f"{self.owner} returned {value!r}, which is none of its classes: {known}")

    def _numbers(self, output: Any) -> npt.NDArray[np.floating[Any]]:
        try:
            scores = np.asarray(output.toarray() if hasattr(output, "toarray") else output)
            if scores.dtype.kind != "f":
                scores = scores.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise _Unreadable(
                "must return numbers: probabilities of shape (records, classes), or scores of "
                f"shape (records,); with returns='labels' it may return classes ({error})"
            ) from error
        if scores.ndim == 1:
            scores = scores[:, None]
        if scores.ndim != 2:
            raise _Unreadable(
                f"returned an array of shape {scores.shape}; it takes probabilities of shape "
                "(records, classes), or scores of shape (records,)"
            )
        return scores

    def _columns(
        self, scores: npt.NDArray[np.floating[Any]], model_classes: Any
    ) -> list[tuple[Any, Label | None]]:
        """Return the model's classes by column, with the job's class of each."""
        if model_classes is None:
            columns = list(self.classes)
        else:
            own = model_classes.tolist() if hasattr(model_classes, "tolist") else model_classes
            columns = self._matched(list(own))
        if len(columns) != scores.shape[1]:
            names = ", ".join(repr(own) for own, _ in columns)
            raise _Unreadable(
                f"returned {scores.shape[1]} probabilities per record for {len(columns)} classes "
                f"({names})"
            )
        if len(columns) > 1:
            low = np.fmin.reduce(scores, axis=None, initial=0)  # these leave NaN out
            high = np.fmax.reduce(scores, axis=None, initial=1)
            if low < -_ROUNDING or high > 1 + _ROUNDING:
                raise _Unreadable(
                    f"returned values from {low:g} to {high:g}, which are no probabilities; apply "
                    "softmax or a sigmoid first"
                )
        return columns

    def _matched(self, model_classes: list[Any]) -> list[tuple[Any, Label | None]]:
        known = dict(self.classes)
        if all(own in model_classes for own in known):
            return [(own, known.get(own)) for own in model_classes]
        numbered = all(type(own) is int for own in model_classes)
        if numbered and not self.by_name and len(model_classes) == len(self.classes):
            labels = (label for _, label in self.classes)
            return list(zip(model_classes, labels, strict=True))
        missing = next(own for own in known if own not in model_classes)
        raise _Unreadable(
            f"has a model with the classes {', '.join(map(repr, model_classes))}, and none of "
            f"them is {missing!r}; map them in classes=, as in {{{model_classes[0]!r}: ...}}"
        )

    def _decide(
        self, scores: npt.NDArray[np.floating[Any]], columns: list[tuple[Any, Label | None]]
    ) -> list[Any]:
        assert self.thresholds is not None
        rivals: dict[Any, int] = {}  # a class that is never voted for still may be the likeliest
        places = [
            rivals.setdefault(("label", label) if label is not None else ("own", own), len(rivals))
            for own, label in columns
        ]
        totals = np.zeros((len(scores), len(rivals)), dtype=scores.dtype)
        for column, place in enumerate(places):
            totals[:, place] += scores[:, column]
        labels = [label if kind == "label" else None for kind, label in rivals]
        least = np.array(
            [self.thresholds.get(v, np.inf) if v is not None else np.inf for v in labels],
            dtype=scores.dtype,  # a float32 .9 reaches .9
        )
        wrong = np.isnan(totals).any(axis=1)
        totals[wrong] = 0
        best = totals.argmax(axis=1)
        reached = totals.max(axis=1)
        votes = (reached >= least[best]) & ((totals == reached[:, None]).sum(axis=1) == 1)
        found: list[Any] = [
            labels[n] if vote else None
            for n, vote in zip(best.tolist(), votes.tolist(), strict=True)
        ]
        for row in np.flatnonzero(wrong).tolist():
            found[row] = ValueError(f"{self.owner} returned NaN for this record")
        return found


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """An output that says nothing about any record."""


def predictions(
    owner: str,
    classes: Classes | None,
    threshold: float | Mapping[Label, float] | None,
    returns: str,
) -> Predictions:
    """Check how a model's outputs are to become votes.

    Args:
        owner: The function, for messages.
        classes: As of `labelmill.models.model_function`.
        threshold: Likewise.
        returns: Likewise.

    Raises:
        LabelingFunctionError: They do not fit together.
    """

    def error(problem: str) -> LabelingFunctionError:
        return LabelingFunctionError(f"{owner}: {problem}")

    if returns not in RETURNS:
        raise error(f"returns={returns!r} is none of {', '.join(map(repr, RETURNS))}")
    if not classes or isinstance(classes, str):
        raise error(
            "classes= must list the classes in the order of the model's columns, or map the "
            f"model's own classes to the job's, got {classes!r}"
        )
    by_name = isinstance(classes, Mapping)
    pairs = (
        tuple(classes.items()) if isinstance(classes, Mapping) else tuple((c, c) for c in classes)
    )
    if len({own for own, _ in pairs}) < len(pairs):
        raise error(f"classes= names a class twice: {classes!r}")
    labels = dict.fromkeys(label for _, label in pairs if label is not None)
    if not labels:
        raise error(f"classes= maps all of the model's classes to None: {classes!r}")
    if returns == "labels":
        if threshold is not None:
            raise error("threshold= is for probabilities; leave it out with returns='labels'")
        return Predictions(owner, pairs, by_name, None)
    if threshold is None:
        raise error(
            "threshold= is missing: the probability at which it votes, one for all classes or "
            "one each, as in {'spam': .9, 'ham': .8}"
        )
    return Predictions(owner, pairs, by_name, _thresholds(threshold, list(labels), error))


def _thresholds(
    threshold: float | Mapping[Label, float],
    labels: list[Label],
    error: Callable[[str], LabelingFunctionError],
) -> Mapping[Label, float]:
    of_class = threshold if isinstance(threshold, Mapping) else dict.fromkeys(labels, threshold)
    unknown = [label for label in of_class if label not in labels]
    if unknown or not of_class:
        raise error(f"threshold= {of_class!r} has to be about classes of classes=: {labels!r}")
    for value in of_class.values():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            raise error(f"a threshold must be a number, got {value!r}")
    return {label: float(value) for label, value in of_class.items()}
