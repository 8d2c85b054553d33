"""A label model and a calibrator learned from gold, as one estimator."""

from __future__ import annotations

from typing import Self

import numpy as np

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.base import BaseLabelModel, Gold, fitted_copy
from labelmodel.calibration import CALIBRATORS, Calibrator, Identity
from labelmodel.errors import VotesError
from labelmodel.estimator import clone
from labelmodel.folds import gold_folds
from labelmodel.label_model import LabelModel
from labelmodel.metrics import record_losses
from labelmodel.patterns import PatternTable
from labelmodel.plain_data import Plain, to_plain, value_from_plain
from labelmodel.votes import Votes

MIN_GOLD_TO_CALIBRATE = 20
OWN_PARAMS = ("method", "n_folds", "random_state")
FITTED = (
    "n_classes_",
    "n_lfs_",
    "class_balance_",
    "uncovered_balance_",
    "classes_",
    "workers_",
)


class CalibratedModel(BaseLabelModel):
    """Fits a label model with gold, then calibrates it on gold it has not seen.

    Each gold record gets its probabilities from a fit without its gold, and the calibrator is
    learned from those. Without gold, or with fewer than 20 covered records of it, nothing is
    changed. What the fit knows of its gold records stays: calibration follows.

    Parameters
    ----------
    model : BaseLabelModel, optional
        Not fitted itself; a copy of it is. `LabelModel` by default.
    method : {"temperature", "isotonic", "identity", "auto"}
        "auto" takes the one of least log loss in a second cross-validation over the same records.
        With up to 200 gold records that choice costs more than it gains over "temperature"
        (docs/label-model-experiments.md).
    n_folds : int
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    model_ : BaseLabelModel
        Fitted with all gold.
    calibrator_ : Calibrator
    method_ : str
        Which calibrator it is.
    losses_ : dict of str to float
        Cross-validated log loss of each method in nats; empty where there was no choice.

    Notes
    -----
    Source: the scheme is scikit-learn's `CalibratedClassifierCV(ensemble=False)`. It is a model
    around a model and none of `MODELS`: each fold of gold is a fit of its own, so its fit is not
    one chain of sums over patterns (`staged`). `to_json` and `from_json` take it.
    """

    model_: BaseLabelModel
    calibrator_: Calibrator
    method_: str
    losses_: dict[str, float]

    def __init__(
        self,
        model: BaseLabelModel | None = None,
        method: str = "temperature",
        n_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        super().__init__(None if model is None else model.n_classes)
        self.model = model
        self.method = method
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, votes: Votes, gold: Gold | None = None) -> Self:
        """Fit to votes as every model does, with the number of classes of `model`."""
        self.n_classes = None if self.model is None else self.model.n_classes
        return super().fit(votes, gold)

    def _fit(self, table: PatternTable) -> None:
        if self.method != "auto" and self.method not in CALIBRATORS:
            raise VotesError(f"method={self.method!r} is none of auto, {', '.join(CALIBRATORS)}")
        base = LabelModel(table.n_classes) if self.model is None else self.model
        self.model_ = clone(base).fit(table)
        self._take_over(self.model_)
        self.calibrator_, self.method_, self.losses_ = Identity(), "identity", {}
        covered_gold = table.take((table.gold >= 0) & (table.n_votes > 0))
        if covered_gold.n_records < MIN_GOLD_TO_CALIBRATE:
            return
        probs, truth = self._unseen(base, table)
        if self.method == "auto":
            self.losses_, self.method_ = self._choose(probs, truth)
        else:
            self.method_ = self.method
        self.calibrator_ = CALIBRATORS[self.method_]().fit(probs, truth)

    def _unseen(self, base: BaseLabelModel, table: PatternTable) -> tuple[FloatArray, IntArray]:
        """Probabilities of each covered gold record by a fit without its gold, and its class."""
        probs, truth = [], []
        for train, held_out in gold_folds(table, self.n_folds, self.random_state):
            covered = held_out.take(held_out.n_votes > 0)
            found = fitted_copy(base, train).predict_proba(covered)
            probs.append(np.repeat(found, covered.counts, axis=0))
            truth.append(np.repeat(covered.gold, covered.counts).astype(np.int64))
        return np.concatenate(probs), np.concatenate(truth)

    def _choose(self, probs: FloatArray, truth: IntArray) -> tuple[dict[str, float], str]:
        """Cross-validated losses, and the method of the least."""
        order = np.random.default_rng(self.random_state).permutation(len(truth))
        fold = np.empty(len(truth), dtype=np.int64)
        fold[order] = np.arange(len(truth)) % self.n_folds
        losses = {name: np.empty(len(truth)) for name in CALIBRATORS}
        for held in range(self.n_folds):
            train, test = fold != held, fold == held
            for name, calibrator in CALIBRATORS.items():
                corrected = calibrator().fit(probs[train], truth[train]).transform(probs[test])
                losses[name][test] = record_losses(corrected, truth[test])
        means = {name: float(values.mean()) for name, values in losses.items()}
        return means, min(means, key=means.__getitem__)

    def calibration_to_plain(self) -> Plain:
        """What the fit adds to that of `model_`, as plain data for `to_json`."""
        return {
            "params": {name: getattr(self, name) for name in OWN_PARAMS},
            "method": self.method_,
            "losses": self.losses_,
            "calibrator": {name: to_plain(value) for name, value in vars(self.calibrator_).items()},
        }

    @classmethod
    def from_plain(cls, model: BaseLabelModel, plain: Plain) -> Self:
        """Fitted model around a fitted model, from what `calibration_to_plain` returned."""
        calibrated = cls(clone(model), **plain["params"])
        calibrated.model_ = model
        calibrated.method_, calibrated.losses_ = plain["method"], plain["losses"]
        calibrated.calibrator_ = CALIBRATORS[calibrated.method_]()
        for name, value in plain["calibrator"].items():
            setattr(calibrated.calibrator_, name, value_from_plain(value))
        calibrated._take_over(model)
        return calibrated

    def _take_over(self, model: BaseLabelModel) -> None:
        """Set what the fitted model and the calibrated one have alike."""
        for name in FITTED:
            setattr(self, name, getattr(model, name))

    def _posteriors(self, table: PatternTable) -> FloatArray:
        result = self.calibrator_.transform(self.model_.predict_proba(table))
        result[table.n_votes == 0] = self.uncovered_balance_
        return result
