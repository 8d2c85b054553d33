"""A classifier of texts: linear models over the features of a record, as plain arrays.

Training is in `training`; answering needs neither it nor its packages, so that workers can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from labelmill.hashing import Hashes
from labelmill.teach.features import Features, FeatureSpace, Floats

LEAST_PROBABILITY = 1e-4
"""Every class keeps at least this, the ones that nobody judged too."""


@dataclass(frozen=True)
class Head:
    """A multinomial logistic regression.

    Attributes:
        weights: float32, shape (features, k).
        intercept: float32, shape (k,); `-inf` for classes that were not seen.
    """

    weights: npt.NDArray[np.float32]
    intercept: npt.NDArray[np.float32]

    def probabilities(self, features: sparse.csr_array | Floats) -> Floats:
        """Return P(class), float64, shape (n, k)."""
        if sparse.issparse(features):
            scores = np.asarray(features @ self.weights.astype(np.float64))
        else:
            # One direction after the other: how BLAS sums depends on how many rows there are.
            scores = np.zeros((len(features), self.weights.shape[1]))
            for direction, weights in enumerate(self.weights.astype(np.float64)):
                scores += features[:, direction, None] * weights
        return softmax(scores + self.intercept.astype(np.float64))


@dataclass(frozen=True)
class Heads:
    """Two heads mixed, and made as sure of themselves as they are right.

    Attributes:
        shared: Over the directions that texts share.
        tfidf: Over TF-IDF; None when `mix` is 0.
        mix: Weight of the latter.
        temperature: Exponent 1/temperature of the mixture.
    """

    shared: Head
    tfidf: Head | None
    mix: float
    temperature: float

    def probabilities(self, features: Features) -> Floats:
        """Return P(class), float64, shape (n, k)."""
        probs = self.shared.probabilities(features.shared)
        if self.tfidf is not None and self.mix:
            probs = (1 - self.mix) * probs + self.mix * self.tfidf.probabilities(features.tfidf)
        return tempered(probs, self.temperature)


@dataclass(frozen=True)
class TextClassifier:
    """A classifier with its vocabulary.

    Attributes:
        keys: Candidates that it knows, uint64, shape (f,); ascending.
        space: Their features.
        heads: What answers.
        end: The end model, over the directions that texts share, where there is one.
        about: What is known of the training, numbers by name.
    """

    keys: Hashes
    space: FeatureSpace
    heads: Heads
    end: Head | None = None
    about: Mapping[str, float] = field(default_factory=dict)

    def probabilities(self, has: sparse.csr_array) -> Floats:
        """Return P(class) of records that have these candidates, float64, shape (n, k)."""
        return self.heads.probabilities(self.space.of(has))


def softmax(scores: Floats) -> Floats:
    """Return probabilities of scores, row by row."""
    top = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - top)
    result: Floats = weights / weights.sum(axis=1, keepdims=True)
    return result


def tempered(probs: Floats, temperature: float) -> Floats:
    """Return probabilities to the power 1/temperature, none below `LEAST_PROBABILITY`."""
    powered = np.maximum(probs, LEAST_PROBABILITY) ** (1.0 / temperature)
    powered = powered / powered.sum(axis=1, keepdims=True)
    powered = np.maximum(powered, LEAST_PROBABILITY)
    result: Floats = powered / powered.sum(axis=1, keepdims=True)
    return result
