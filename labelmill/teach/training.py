"""Training the classifier on judged records, and the end model on what is known of all."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from labelmill.teach.classifier import Head, Heads, tempered
from labelmill.teach.extra import needs_teach, one_thread
from labelmill.teach.features import Features, Floats
from labelmill.teach.tokens import Ints

FOLDS = 4
MIXES = (0.0, 0.5)
TEMPERATURES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0)
SHARED_C = 5.0
TFIDF_C = 30.0
"""Inverse strengths of the penalty."""

_STEPS = 300
_RANK = 1e-10


@dataclass(frozen=True)
class Trained:
    """A trained classifier.

    Attributes:
        heads: What answers.
        log_loss: Of records that were left out of training, in nats.
        accuracy: Share of these that it gets right.
    """

    heads: Heads
    log_loss: float
    accuracy: float


@one_thread()
def train_classifier(features: Features, labels: Ints, n_classes: int, *, seed: int = 0) -> Trained:
    """Train on judged records; mixture and temperature come from cross-validation.

    Args:
        features: Of the judged records, n of them.
        labels: Their classes, int64, shape (n,).
        n_classes: Number of classes.
        seed: Seed of the folds.

    Raises:
        JobSpecError: The extra `teach` is not installed.
    """
    span = _Span.of(features.tfidf)
    left_out = np.zeros((len(MIXES), len(labels), n_classes))
    for fold in _folds(labels, seed):
        kept = np.flatnonzero(~fold)
        shared = _regression(features.shared[kept], labels[kept], n_classes, SHARED_C)
        tfidf = _regression(span.rows[kept], labels[kept], n_classes, TFIDF_C)
        both = shared.probabilities(features.shared[fold]), tfidf.probabilities(span.rows[fold])
        for n, mix in enumerate(MIXES):
            left_out[n, fold] = (1 - mix) * both[0] + mix * both[1]
    losses = [[_loss(tempered(probs, t), labels) for t in TEMPERATURES] for probs in left_out]
    best, warmth = np.unravel_index(np.argmin(losses), (len(MIXES), len(TEMPERATURES)))
    shared = _regression(features.shared, labels, n_classes, SHARED_C)
    tfidf_head = None
    if MIXES[best]:
        inner = _regression(span.rows, labels, n_classes, TFIDF_C)
        tfidf_head = Head(span.widened(inner.weights), inner.intercept)
    heads = Heads(shared, tfidf_head, MIXES[best], TEMPERATURES[warmth])
    right = left_out[best].argmax(axis=1) == labels
    return Trained(heads, float(losses[best][warmth]), float(right.mean()))


@dataclass(frozen=True)
class _Span:
    """Sparse rows within the space that they span: a penalised fit in it is the fit in all of it.

    Attributes:
        rows: The rows, float64, shape (n, rank).
        basis: float64, shape (n, rank); ``tfidf.T @ basis`` are the axes.
        tfidf: The sparse rows.
    """

    rows: Floats
    basis: Floats
    tfidf: sparse.csr_array

    @classmethod
    def of(cls, tfidf: sparse.csr_array) -> _Span:
        values, vectors = np.linalg.eigh((tfidf @ tfidf.T).toarray())
        kept = values > _RANK * max(values[-1], _RANK)
        root = np.sqrt(values[kept])
        return cls(vectors[:, kept] * root, vectors[:, kept] / root, tfidf)

    def widened(self, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return weights of the sparse features."""
        wide = self.tfidf.T @ (self.basis @ weights.astype(np.float64))
        return np.asarray(wide, dtype=np.float32)


def _folds(labels: Ints, seed: int) -> Sequence[npt.NDArray[np.bool_]]:
    """Return masks of records to leave out, each class spread over them."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold_of = np.empty(len(labels), dtype=np.int64)
    fold_of[order] = np.arange(len(labels)) % FOLDS
    masks = [fold_of == fold for fold in range(FOLDS)]
    return [mask for mask in masks if mask.any() and len(np.unique(labels[~mask])) > 1]


def _regression(
    rows: Any, labels: Ints, n_classes: int, c: float, weights: Floats | None = None
) -> Head:
    """Fit a logistic regression; `rows` are dense or sparse."""
    with needs_teach():
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415  an extra
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  an extra
    coefficients = np.zeros((rows.shape[1], n_classes), dtype=np.float32)
    intercept = np.full(n_classes, -np.inf, dtype=np.float32)
    seen = np.unique(labels)
    if len(seen) == 1:
        intercept[seen] = 0.0
        return Head(coefficients, intercept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=c, max_iter=_STEPS).fit(rows, labels, sample_weight=weights)
    if len(seen) == 2:  # one score: of the second class
        half = model.coef_[0] / 2
        coefficients[:, seen] = np.stack([-half, half], axis=1)
        intercept[seen] = [-model.intercept_[0] / 2, model.intercept_[0] / 2]
    else:
        coefficients[:, seen] = model.coef_.T
        intercept[seen] = model.intercept_
    return Head(coefficients, intercept)


def _loss(probs: Floats, labels: Ints) -> float:
    return float(-np.log(probs[np.arange(len(labels)), labels]).mean())


_FAINT = 0.02
"""Targets below this are left out."""


def soft_regression(rows: Floats, targets: Floats, weights: Floats, c: float) -> Head:
    """Fit a logistic regression to probabilities.

    Args:
        rows: Features, float64, shape (n, d).
        targets: P(class), float64, shape (n, k).
        weights: Of the records, float64, shape (n,).
        c: Inverse strength of the penalty.

    Raises:
        JobSpecError: The extra `teach` is not installed.
    """
    at, classes = np.nonzero(targets > _FAINT)
    strength = targets[at, classes] * weights[at]
    return _regression(rows[at], classes, targets.shape[1], c, strength)
