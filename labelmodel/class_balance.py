"""Class balances that a caller gives or that gold shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.errors import VotesError


def given_or_uniform(
    class_balance: Sequence[float] | FloatArray | None, n_classes: int
) -> FloatArray:
    """Class balance that sums to one, float64[k]; uniform where none is given.

    Raises
    ------
    VotesError
        Not one positive number a class.
    """
    if class_balance is None:
        return np.full(n_classes, 1.0 / n_classes)
    balance = np.asarray(class_balance, dtype=np.float64)
    if balance.shape != (n_classes,) or not (np.isfinite(balance) & (balance > 0.0)).all():
        raise VotesError(f"class_balance must be {n_classes} positive numbers, got {balance}")
    shares: FloatArray = balance / balance.sum()
    return shares


def shares_of_gold(gold: IntArray) -> FloatArray:
    """Class shares of gold counts, float64[k]; one more of each where a class has none."""
    counts = gold + (gold.min() == 0)
    shares: FloatArray = counts / counts.sum()
    return shares
