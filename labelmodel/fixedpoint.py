"""Probabilities as integers, so that sums of them are exact and have no order.

Floating-point addition is not associative: the same posteriors summed in other blocks give
other bits, and EM carries the difference into the published labels. Posteriors enter every
statistic as multiples of 2**-24 instead. A sum of counts times such integers stays below 2**63
for up to 5e11 records, which is the limit on the records of one fit.
"""

from __future__ import annotations

import numpy as np

from labelmodel.arrays import FloatArray, IntArray
from labelmodel.errors import VotesError

FRACTION_BITS = 24
ONE = 1 << FRACTION_BITS
MAX_RECORDS = 500_000_000_000


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
    """
    scaled: IntArray = np.rint(probabilities * ONE).astype(np.int64)
    remainder = ONE - scaled.sum(axis=1)
    largest = np.argmax(probabilities, axis=1)
    scaled[np.arange(len(scaled)), largest] += remainder
    return scaled


def to_float(sums: IntArray) -> FloatArray:
    """Integer sums of quantised probabilities as float64 of the same shape."""
    return sums.astype(np.float64) / ONE


def check_record_count(records: int) -> None:
    """Raise `VotesError` where sums over this many records could leave 64 bits."""
    if records > MAX_RECORDS:
        raise VotesError(
            f"{records} records exceed the limit of {MAX_RECORDS} up to which statistics in "
            "64-bit fixed point are exact; fit on a sample of the records"
        )
