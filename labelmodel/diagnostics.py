"""Last stage of a fit: how good each function looks, and whether the model can be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelmodel.collapse import collapse_of
from labelmodel.fixedpoint import to_float
from labelmodel.notices import Notice
from labelmodel.state import Parameters, Statistics


def report_on(statistics: Statistics, params: Parameters) -> Parameters:
    """Finish a fit: LF precision, notices and, where needed, the fallback to majority vote.

    Parameters
    ----------
    statistics : Statistics
        Of stage "report".
    params : Parameters

    Returns
    -------
    finished : Parameters
        Of stage "done". The model falls back when a posterior is not finite, or when it
        collapsed to one class (`collapse.collapse_of`).
    """
    sums = statistics.sums
    votes = sums["votes"]
    precision = np.full(params.n_lfs, np.nan)
    voted = votes > 0
    precision[voted] = sums["right"][voted] / votes[voted]
    notices = list(params.notices)
    missing = np.flatnonzero((sums["majority_mass"] > 0) & (sums["predicted"] == 0))
    if len(missing):
        text = "classes that majority vote gives are never predicted: {names}"
        notices.append(Notice("lost_class", text, classes=tuple(missing.tolist())))
    fallback = params.fallback or _fallback(statistics, params)
    if fallback is not None:
        text = f"majority vote answers in place of the model: {fallback}"
        notices.append(Notice("fallback", text))
    return replace(
        params,
        stage="done",
        lf_precision=precision,
        notices=tuple(notices),
        fallback=fallback,
    )


def _fallback(statistics: Statistics, params: Parameters) -> str | None:
    """Why majority vote has to answer; None where it need not."""
    sums = statistics.sums
    if sums["not_finite"][0]:
        return f"{int(sums['not_finite'][0])} records have no finite posterior"
    gold = np.bincount(params.gold.gold, params.gold.counts, minlength=params.n_classes)
    found = collapse_of(
        sums["predicted"],
        to_float(sums["class_mass"]),
        to_float(sums["majority_mass"]),
        gold.astype(np.int64),
    )
    return "the model answers one class for every record" if found.collapsed else None
