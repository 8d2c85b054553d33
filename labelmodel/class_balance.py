"""Class balances of models that do not learn them: given, from gold, or uniform."""

from __future__ import annotations

import numpy as np

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.errors import VotesError
from labelmodel.validation import checked_balance


def given_or_uniform(class_balance: FloatArray | str | None, n_classes: int) -> FloatArray:
    """Class balance that sums to one, float64[k]; uniform where none is given.

    Raises
    ------
    VotesError
        Not one positive number a class.
    """
    if class_balance is None:
        return np.full(n_classes, 1.0 / n_classes)
    balance = checked_balance(class_balance, n_classes)
    if not (balance > 0.0).all():
        raise VotesError(f"class_balance must be positive for every class, got {balance}")
    return balance


def shares_of_gold(gold: IntArray) -> FloatArray:
    """Class shares of gold counts, float64[k]; one more of each where a class has none.

    Raises
    ------
    VotesError
        No gold.
    """
    if not gold.any():
        raise VotesError('class_balance="gold" needs records with gold')
    counts = gold + (gold.min() == 0)
    shares: FloatArray = counts / counts.sum()
    return shares
