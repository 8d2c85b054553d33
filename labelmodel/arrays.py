"""Array types and the few ragged-row and row-wise operations that the whole package shares.

Row-wise operations loop over the classes, not over the rows, so that each row's result has the
same bits whatever other rows stand beside it in the block.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
LabelArray: TypeAlias = npt.NDArray[np.int16]
LFArray: TypeAlias = npt.NDArray[np.int32]
HashArray: TypeAlias = npt.NDArray[np.uint64]
IndexArray: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
AnyArray: TypeAlias = npt.NDArray[Any]  # what callers hand in: any numeric dtype
NumberT = TypeVar("NumberT", np.float64, np.int64)


def ragged_positions(starts: IntArray, lengths: IntArray) -> IntArray:
    """Positions of the entries of rows that begin at `starts`, one row after the other.

    Parameters
    ----------
    starts, lengths : int64[n]
        First entry and number of entries of each row.

    Returns
    -------
    int64[lengths.sum()]
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total, dtype=np.int64)


def bin_sums(bins: IntArray, values: FloatArray | IntArray, n_bins: int) -> FloatArray:
    """Sum of the values that fall in each bin, added in their order; float64[n_bins]."""
    result: FloatArray = np.bincount(bins, weights=values, minlength=n_bins).astype(np.float64)
    return result


def row_max(values: FloatArray) -> FloatArray:
    """Largest entry of each row; float64[n, k] -> float64[n]."""
    result: FloatArray = values[:, 0].copy()
    for column in range(1, values.shape[1]):
        np.maximum(result, values[:, column], out=result)
    return result


def row_sum(values: npt.NDArray[NumberT]) -> npt.NDArray[NumberT]:
    """Sum of each row, added from the first class on; [n, k] -> [n]."""
    result = values[:, 0].copy()
    for column in range(1, values.shape[1]):
        result += values[:, column]
    return result


def softmax(scores: FloatArray) -> FloatArray:
    """Normalised exponentials of each row; float64[n, k] -> float64[n, k]."""
    return softmax_and_log_sum(scores)[0]


def softmax_and_log_sum(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Normalised exponentials of each row, and the logarithm of what normalised them.

    Parameters
    ----------
    scores : float64[n, k]
        At least one of each row is finite; the others may be minus infinity.

    Returns
    -------
    float64[n, k], float64[n]
    """
    largest = row_max(scores)
    result = np.exp(scores - largest[:, None])
    total = row_sum(result)
    result /= total[:, None]
    return result, largest + np.log(total)
