"""Probabilities as integers, so that sums of them are exact and have no order.

Floating-point addition is not associative: the same posteriors summed in other blocks give
other bits, and EM carries the difference into the published labels. Posteriors enter every
statistic as multiples of 2**-24 instead. A sum of counts times such integers stays below 2**63
for up to 5e11 records, which is the limit on the records of one fit.
"""

from __future__ import annotations

import numpy as np

from labelmodel.arrays import FloatArray, IntArray, row_sum
from labelmodel.errors import VotesError

FRACTION_BITS = 24
ONE = 1 << FRACTION_BITS
MAX_RECORDS = 500_000_000_000
MAX_SUMMAND = 2.0**23


def quantize(probabilities: FloatArray) -> IntArray:
    """Round rows of probabilities to multiples of 2**-24 that still sum to exactly one.

    Parameters
    ----------
    probabilities : float64[n, k]
        Each row sums to one within rounding.

    Returns
    -------
    int64[n, k]
        Each row sums to exactly 2**24: what rounding leaves over goes to the largest entry
        (the first of equals), an error of at most k / 2 units there and half a unit elsewhere.
        Where that would make it negative, as of thousands of equal probabilities, entries are
        rounded down and the largest remainders up, an error of less than a unit each.
    """
    scaled: IntArray = np.rint(probabilities * ONE).astype(np.int64)
    remainder = ONE - row_sum(scaled)
    uneven = np.flatnonzero(remainder)
    largest = np.argmax(probabilities[uneven], axis=1)
    scaled[uneven, largest] += remainder[uneven]
    for row in uneven[scaled[uneven, largest] < 0]:
        scaled[row] = _largest_remainders(probabilities[row])
    return scaled


def _largest_remainders(probabilities: FloatArray) -> IntArray:
    """Round one row down, and as many of its largest remainders up as make it whole."""
    exact = probabilities * ONE
    scaled: IntArray = np.floor(exact).astype(np.int64)
    order = np.argsort(scaled - exact, kind="stable")
    scaled[order[: max(ONE - int(scaled.sum()), 0)]] += 1
    return scaled


def to_float(sums: IntArray) -> FloatArray:
    """Integer sums of quantised probabilities as float64 of the same shape."""
    return sums.astype(np.float64) / ONE


def exact_sum(values: FloatArray, counts: IntArray) -> IntArray:
    """Sum of values in fixed point, each taken as often as its count.

    Parameters
    ----------
    values : float64[n]
        Taken as at least -2**23 and at most 2**23.
    counts : int64[n]

    Returns
    -------
    int64[2]
        Whole part and, in units of 2**-24, fraction; such sums add.
    """
    bounded = np.clip(values, -MAX_SUMMAND, MAX_SUMMAND)
    whole = np.floor(bounded)
    fraction = np.rint((bounded - whole) * ONE)
    parts = np.stack([whole, fraction]).astype(np.int64)
    total: IntArray = parts @ counts
    return total


def exact_sum_to_float(total: IntArray) -> float:
    """Value of an `exact_sum`."""
    return float(total[0]) + float(total[1]) / ONE


def check_record_count(records: int) -> None:
    """Raise `VotesError` where sums over this many records could leave 64 bits."""
    if records > MAX_RECORDS:
        raise VotesError(
            f"{records} records exceed the limit of {MAX_RECORDS} up to which statistics in "
            "64-bit fixed point are exact; fit on a sample of the records"
        )
