"""Calibrators: maps of probabilities, learned from gold, after which they mean what they say.

`CalibratedModel` fits them around a label model; `reliability` measures the result.
"""

from __future__ import annotations

from math import log
from typing import Protocol, Self

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, bin_sums, softmax
from labelmodel.metrics import judged_rows, record_losses

MIN_PROBABILITY = 1e-12
TEMPERATURES = (0.1, 10.0)
TEMPERATURE_SPREAD = 0.25


class Calibrator(Protocol):
    """Learns from probabilities and their truth how to correct probabilities."""

    def fit(
        self, probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None
    ) -> Self:
        """Learn from float64[n, k] and true classes int[n], each row for `counts` records."""

    def transform(self, probabilities: FloatArray) -> FloatArray:
        """Corrected probabilities, float64[n, k], rows summing to one."""


class Identity:
    """Leaves probabilities as they are: what the others must beat."""

    def fit(
        self, probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None
    ) -> Self:
        """Learn nothing."""
        return self

    def transform(self, probabilities: FloatArray) -> FloatArray:
        """Return the probabilities."""
        return probabilities


class TemperatureScaling:
    """Divides log-probabilities by one temperature; never changes which class wins.

    Attributes
    ----------
    temperature_ : float
        Above 1 where probabilities were too sure, below 1 where they were too timid.

    Notes
    -----
    Source: Guo et al., "On calibration of modern neural networks", 2017, equation 9. The
    likelihood has a prior here, log temperature normal about 0 with standard deviation .25, so
    that few gold records move it little.
    """

    temperature_: float

    def fit(
        self, probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None
    ) -> Self:
        """Maximise the posterior of the temperature.

        Parameters
        ----------
        probabilities : float64[n, k]
        gold : int[n]
            True class, -1 for unknown; unknown rows are left out.
        counts : int[n], optional
            Records that each row stands for.

        Raises
        ------
        VotesError
            Shapes that do not fit, gold out of range, or no known gold.
        """
        from scipy.optimize import minimize_scalar  # noqa: PLC0415  takes half a second

        probs, truth, records = judged_rows(probabilities, gold, counts)
        logs = _logs(probs)

        def loss(log_temperature: float) -> float:
            losses = record_losses(softmax(logs / np.exp(log_temperature)), truth)
            return float(records @ losses) + 0.5 * (log_temperature / TEMPERATURE_SPREAD) ** 2

        found = minimize_scalar(
            loss, bounds=(log(TEMPERATURES[0]), log(TEMPERATURES[1])), method="bounded"
        )
        self.temperature_ = float(np.exp(found.x))
        return self

    def transform(self, probabilities: FloatArray) -> FloatArray:
        """Probabilities at the temperature, float64[n, k]."""
        return softmax(_logs(probabilities) / self.temperature_)


class IsotonicCalibration:
    """A monotone step function for each class against the rest, then rows normalised.

    Attributes
    ----------
    thresholds_ : tuple of float64[t]
        For each class the probabilities seen, ascending.
    values_ : tuple of float64[t]
        Calibrated probability at each; linear between, constant outside.

    Notes
    -----
    Source: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass
    probability estimates", 2002, sections 3 and 4 (pool adjacent violators). A record of the
    mean class share is added at each end, so that no probability becomes 0 or 1.
    """

    thresholds_: tuple[FloatArray, ...]
    values_: tuple[FloatArray, ...]

    def fit(
        self, probabilities: FloatArray, gold: AnyArray, counts: AnyArray | None = None
    ) -> Self:
        """Fit the step functions.

        Parameters, errors: as for `TemperatureScaling.fit`.
        """
        probs, truth, records = judged_rows(probabilities, gold, counts)
        steps = [
            _steps(column, (truth == label).astype(np.float64), records)
            for label, column in enumerate(probs.T)
        ]
        self.thresholds_, self.values_ = zip(*steps, strict=True)
        return self

    def transform(self, probabilities: FloatArray) -> FloatArray:
        """Calibrated probabilities, float64[n, k]."""
        columns = [
            np.interp(probabilities[:, label], thresholds, values)
            for label, (thresholds, values) in enumerate(
                zip(self.thresholds_, self.values_, strict=True)
            )
        ]
        result = np.column_stack(columns)
        calibrated: FloatArray = result / result.sum(axis=1, keepdims=True)
        return calibrated


def _steps(
    scores: FloatArray, hit: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Isotonic regression of hits on scores; equal scores are one point."""
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  takes half a second

    thresholds, position = np.unique(scores, return_inverse=True)
    position = position.astype(np.int64)
    weight = bin_sums(position, weights, len(thresholds))
    hits = bin_sums(position, weights * hit, len(thresholds))
    share = (hits.sum() + 0.5) / (weight.sum() + 1.0)
    thresholds = np.concatenate([[0.0], thresholds, [1.0]])
    mean = np.concatenate([[share], hits / weight, [share]])
    weight = np.concatenate([[1.0], weight, [1.0]])
    fitted = isotonic_regression(mean, weights=weight)
    return thresholds, np.asarray(fitted.x, dtype=np.float64)


def _logs(probabilities: FloatArray) -> FloatArray:
    logs: FloatArray = np.log(np.maximum(probabilities, MIN_PROBABILITY))
    return logs


CALIBRATORS: dict[str, type[Calibrator]] = {
    "identity": Identity,
    "temperature": TemperatureScaling,
    "isotonic": IsotonicCalibration,
}
"""By the names that `CalibratedModel` takes, the simplest first."""
