"""Checks of sparse votes, gold and counts as callers hand them in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, IntArray, LabelArray
from labelmodel.errors import VotesError

MAX_CLASSES = 32_767


def whole_numbers(name: str, values: AnyArray, *, unknown: int | None = None) -> IntArray:
    """Whole numbers as int64, of any numeric dtype.

    Parameters
    ----------
    name : str
        What they are, for messages.
    values : array
    unknown : int, optional
        What NaN and None stand for; refused by default.
    """
    array = np.asarray(values)
    if array.dtype == object and unknown is not None:
        array = np.array([np.nan if value is None else value for value in array.ravel()])
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    if array.dtype.kind != "f":
        raise VotesError(f"{name} must be whole numbers, not {array.dtype}")
    if unknown is not None:
        array = np.where(np.isnan(array), unknown, array)
    odd = ~np.isfinite(array) | (array != np.rint(array))
    if odd.any():
        raise VotesError(f"{name} must be whole numbers, found {array[odd][0]}")
    return array.astype(np.int64)


def checked_indptr(indptr: AnyArray, lfs: AnyArray, labels: AnyArray) -> IntArray:
    """Row pointers as int64[n + 1], after a check that they fit the votes."""
    pointers = np.asarray(indptr).astype(np.int64)
    if pointers.ndim != 1 or len(pointers) == 0 or pointers[0] != 0:
        raise VotesError("indptr must be one-dimensional and start with 0")
    if np.any(np.diff(pointers) < 0):
        raise VotesError("indptr must not descend")
    if lfs.shape != labels.shape or lfs.shape != (int(pointers[-1]),):
        raise VotesError(
            f"indptr ends at {pointers[-1]} votes, but lfs has shape {lfs.shape} and labels "
            f"{labels.shape}"
        )
    return pointers


def check_votes(
    indptr: IntArray, lfs: AnyArray, labels: AnyArray, *, n_lfs: int, n_classes: int
) -> None:
    """Raise `VotesError` for LFs or classes out of range, or LFs that do not ascend."""
    if n_lfs < 0 or not 1 <= n_classes <= MAX_CLASSES:
        raise VotesError(f"{n_lfs=}, {n_classes=}: need n_lfs >= 0 and 1..{MAX_CLASSES} classes")
    if not len(lfs):
        return
    for name, values, limit in (("LF", lfs, n_lfs), ("class", labels, n_classes)):
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= limit:
            raise VotesError(
                f"{name} {low if low < 0 else high} is outside 0..{limit - 1}; "
                "abstains are left out of sparse votes"
            )
    ascending = np.diff(lfs.astype(np.int64)) > 0
    row_starts = indptr[1:-1]
    ascending[row_starts[(row_starts > 0) & (row_starts < len(lfs))] - 1] = True
    if not ascending.all():
        entry = int(np.argmin(ascending)) + 1
        row = int(np.searchsorted(indptr, entry, side="right")) - 1
        raise VotesError(
            f"LFs of row {row} are not strictly ascending at LF {int(lfs[entry])}; "
            "sort them and keep one vote per LF"
        )


def checked_gold(name: str, gold: AnyArray | None, n: int, n_classes: int) -> LabelArray:
    """Hand labels as int16[n], -1 where there are none, as NaN and None say too."""
    if gold is None:
        return np.full(n, -1, dtype=np.int16)
    values = whole_numbers(name, gold, unknown=-1)
    if values.shape != (n,):
        raise VotesError(f"{name} has shape {values.shape} for {n} rows")
    if n and (values.min() < -1 or values.max() >= n_classes):
        raise VotesError(
            f"{name} has values in {values.min()}..{values.max()}, but must be -1 (unknown) or a "
            f"class in 0..{n_classes - 1}"
        )
    return values.astype(np.int16)


def checked_counts(counts: AnyArray | None, n: int) -> IntArray:
    """Records per row as int64[n], 1 by default."""
    if counts is None:
        return np.ones(n, dtype=np.int64)
    values = whole_numbers("counts", counts)
    if values.shape != (n,):
        raise VotesError(f"counts has shape {values.shape} for {n} rows")
    if n and values.min() < 1:
        raise VotesError(f"counts must be at least 1, found {values.min()}")
    return values


def check_at_least_zero(**parameters: float) -> None:
    """Raise `VotesError` for a parameter that is negative, infinite or no number."""
    for name, value in parameters.items():
        if not (_is_number(value) and 0 <= value < np.inf):
            raise VotesError(f"{name}={value!r} must be zero or more")


def check_above_zero(**parameters: float) -> None:
    """Raise `VotesError` for a parameter that is zero, negative, infinite or no number."""
    for name, value in parameters.items():
        if not (_is_number(value) and 0 < value < np.inf):
            raise VotesError(f"{name}={value!r} must be above zero")


def check_seed(random_state: object) -> None:
    """Raise `VotesError` for what is no seed."""
    if not (isinstance(random_state, int | np.integer) and 0 <= random_state < 2**32):
        raise VotesError(f"{random_state=} must be a whole number from 0 to 2**32 - 1")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def checked_precisions(prec_init: AnyArray | Sequence[float] | float, n_lfs: int) -> FloatArray:
    """One precision for each LF as float64[m], from one number or m; NaN where it is unknown."""
    precision = np.asarray(prec_init, dtype=np.float64)
    if precision.shape not in ((), (n_lfs,)):
        raise VotesError(
            f"prec_init has shape {precision.shape}; give one number, or one for each of "
            f"the {n_lfs} LFs"
        )
    if not (np.isnan(precision) | ((precision > 0.0) & (precision < 1.0))).all():
        raise VotesError(f"prec_init must be between 0 and 1, got {prec_init!r}")
    return np.broadcast_to(precision, (n_lfs,))


def checked_balance(class_balance: AnyArray | str, n_classes: int) -> FloatArray:
    """Class balance as float64[k] that sums to one."""
    if isinstance(class_balance, str):
        raise VotesError(f"{class_balance=} is not one that this model knows; give the numbers")
    balance = np.asarray(class_balance, dtype=np.float64)
    if balance.shape != (n_classes,) or not (
        np.isfinite(balance).all() and (balance >= 0.0).all() and balance.sum() > 0.0
    ):
        raise VotesError(f"class_balance must be {n_classes} non-negative numbers, got {balance}")
    normalised: FloatArray = balance / balance.sum()
    return normalised
