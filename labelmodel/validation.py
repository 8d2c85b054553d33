"""Checks of sparse votes, gold and counts as callers hand them in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, IntArray, LabelArray
from labelmodel.errors import VotesError

MAX_CLASSES = 32_767


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
    """Hand labels as int16[n], all -1 where there are none."""
    if gold is None:
        return np.full(n, -1, dtype=np.int16)
    values = np.asarray(gold)
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
    values = np.asarray(counts)
    if values.shape != (n,):
        raise VotesError(f"counts has shape {values.shape} for {n} rows")
    if n and values.min() < 1:
        raise VotesError(f"counts must be at least 1, found {values.min()}")
    return values.astype(np.int64)


def check_at_least_zero(**parameters: float) -> None:
    """Raise `VotesError` for a parameter that is negative or no number."""
    for name, value in parameters.items():
        if not value >= 0:
            raise VotesError(f"{name}={value} must be zero or more")


def checked_precisions(prec_init: AnyArray | Sequence[float] | float, n_lfs: int) -> FloatArray:
    """One precision for each LF as float64[m], from one number or m."""
    precision = np.asarray(prec_init, dtype=np.float64)
    if precision.shape not in ((), (n_lfs,)):
        raise VotesError(
            f"prec_init has shape {precision.shape}; give one number, or one for each of "
            f"the {n_lfs} LFs"
        )
    return np.broadcast_to(precision, (n_lfs,))


def checked_balance(class_balance: AnyArray | str, n_classes: int) -> FloatArray:
    """Class balance as float64[k] that sums to one."""
    if isinstance(class_balance, str):
        raise VotesError(f"{class_balance=} is not one that this model knows; give the numbers")
    balance = np.asarray(class_balance, dtype=np.float64)
    if balance.shape != (n_classes,) or not (balance >= 0.0).all() or not balance.sum() > 0.0:
        raise VotesError(f"class_balance must be {n_classes} non-negative numbers, got {balance}")
    normalised: FloatArray = balance / balance.sum()
    return normalised
