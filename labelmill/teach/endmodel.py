"""The end model: a classifier that learned from judgements, from functions' votes and from itself.

It answers for records that no function covers; on covered ones the label model's posterior is
multiplied with the classifier's (`multiplied`).
"""

from __future__ import annotations

import numpy as np

from labelmill.teach.classifier import Head
from labelmill.teach.extra import one_thread
from labelmill.teach.features import Features, Floats
from labelmill.teach.tokens import Bools, Ints
from labelmill.teach.training import soft_regression

JUDGED_WEIGHT = 4.0
MOST_COVERED = 5000
END_C = 1.0
SHARPNESS = 0.7
"""Exponent of a product of posteriors that is published: votes and words tell partly the same."""


def multiplied(voted: Floats, read: Floats, sharpness: float = 1.0) -> Floats:
    """Return the product of two posteriors to a power, each row adding up to 1.

    Args:
        voted: The label model's, float64, shape (n, k).
        read: The classifier's, float64, shape (n, k).
        sharpness: The power.
    """
    product = np.maximum(voted, 1e-12) * np.maximum(read, 1e-12)
    product = product**sharpness
    result: Floats = product / product.sum(axis=1, keepdims=True)
    return result


@one_thread()
def train_end_model(
    features: Features,
    labels: Ints,
    covered: Bools,
    voted: Floats,
    read: Floats,
    *,
    seed: int = 0,
) -> Head:
    """Train the end model, over the directions that texts share, on a sample of records.

    Args:
        features: Of the sample, n records.
        labels: Judged classes, int64, shape (n,), -1 where not judged.
        covered: Records with votes, bool, shape (n,).
        voted: The label model's posterior, float64, shape (n, k).
        read: The classifier's, float64, shape (n, k).
        seed: Seed of the choice of records.

    Raises:
        JobSpecError: The extra `teach` is not installed.
    """
    k = read.shape[1]
    rng = np.random.default_rng(seed)
    judged = labels >= 0
    with_votes = rng.permutation(np.flatnonzero(covered & ~judged))
    without = rng.permutation(np.flatnonzero(~covered & ~judged))
    taken = with_votes[:MOST_COVERED]
    share = len(taken) / max(len(with_votes), 1) if len(with_votes) else 1.0
    others = without[: min(round(share * len(without)), MOST_COVERED)]
    rows = np.concatenate([np.flatnonzero(judged), taken, others])
    targets = np.concatenate(
        [np.eye(k)[labels[judged]], multiplied(voted[taken], read[taken]), read[others]]
    )
    weights = np.ones(len(rows))
    weights[: int(judged.sum())] = JUDGED_WEIGHT
    return soft_regression(features.shared[rows], targets, weights, END_C)
