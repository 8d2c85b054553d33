"""Last stage of a fit: how good each function looks, and whether the model can be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelmodel.arrays import IntArray
from labelmodel.state import Parameters, Statistics

LOST_SHARE = 0.1

NEVER_PREDICTED = "classes that majority vote gives are never predicted: "
"""How the warning begins that goes on with class indices, for callers that know the names."""


NEVER_VOTED = "labeling functions never voted"
"""How the warning ends that begins with their number, for callers that left some out."""


def report_on(statistics: Statistics, params: Parameters) -> Parameters:
    """Finish a fit: LF precision, warnings and, where needed, the fallback to majority vote.

    Parameters
    ----------
    statistics : Statistics
        Of stage "report".
    params : Parameters

    Returns
    -------
    finished : Parameters
        Of stage "done". The model falls back when a posterior is not finite, or when without
        gold it answers one class for every record and leaves the other classes less than a
        tenth of the probability that majority vote gives them.
    """
    sums = statistics.sums
    votes = sums["votes"]
    precision = np.full(params.n_lfs, np.nan)
    voted = votes > 0
    precision[voted] = sums["right"][voted] / votes[voted]
    warnings = list(params.warnings)
    fallback = params.fallback
    missing = np.flatnonzero((sums["majority_mass"] > 0) & (sums["predicted"] == 0))
    if len(missing):
        named = ", ".join(str(label) for label in missing)
        warnings.append(f"{NEVER_PREDICTED}{named}")
    if fallback is None and sums["not_finite"][0]:
        fallback = f"{int(sums['not_finite'][0])} records have no finite posterior"
    # One class may be the right answer, and a gold sample can say so.
    if fallback is None and not len(params.gold) and _collapsed(statistics):
        fallback = "the model answers one class for every record"
    if fallback is not None:
        warnings.append(f"majority vote answers in place of the model: {fallback}")
    return replace(
        params,
        stage="done",
        lf_precision=precision,
        warnings=tuple(warnings),
        fallback=fallback,
    )


def _collapsed(statistics: Statistics) -> bool:
    predicted, mass = statistics.sums["predicted"], statistics.sums["class_mass"]
    majority = statistics.sums["majority_mass"]
    if np.count_nonzero(predicted) > 1:
        return False
    others: IntArray = np.flatnonzero(predicted == 0)
    return bool(mass[others].sum() < LOST_SHARE * majority[others].sum())
