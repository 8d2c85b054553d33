"""Whether a fitted model can be trusted, with the check that needs further fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelmodel.answers import answer_counts
from labelmodel.base import BaseLabelModel, fitted_copy
from labelmodel.blocks import covered_patterns
from labelmodel.checks import Check, Diagnosis, checks_of, vote_on_gold
from labelmodel.majority import MajorityVote
from labelmodel.patterns import PatternTable

MAX_MOVED = 0.05


def diagnose(model: BaseLabelModel, table: PatternTable, random_state: int = 0) -> Diagnosis:
    """Check a fitted model on the records it was fitted to.

    Parameters
    ----------
    model : BaseLabelModel
        Fitted. It is fitted anew, as a copy, on two random halves of the records.
    table : PatternTable
        What it was fitted to. `eval_gold` is used to compare with majority vote.
    random_state : int
        Seed of the halves.

    Returns
    -------
    Diagnosis

    Raises
    ------
    NotFittedError
        Before `fit`.
    VotesError
        A table of other LFs or classes than the model, or without any vote.
    """
    covered = covered_patterns(table)
    found = checks_of(answer_counts(model, table), vote_on_gold(model, table))
    if found["finite"].verdict == "fail":
        return found
    return Diagnosis((*found.checks, _instability(model, covered, random_state)))


def trusted_model(
    model: BaseLabelModel, table: PatternTable, diagnosis: Diagnosis
) -> BaseLabelModel:
    """Return the model, or majority vote fitted to the table where the diagnosis falls back."""
    if diagnosis.fallback is None:
        return model
    return MajorityVote(table.n_classes).fit(table)


def _instability(model: BaseLabelModel, table: PatternTable, random_state: int) -> Check:
    """Share of the labels that differ between fits to two halves of the records."""
    first = np.random.default_rng(random_state).binomial(table.counts, 0.5)
    labels = []
    for counts in (first, table.counts - first):
        kept = np.flatnonzero(counts > 0)
        half = replace(table.take(kept), counts=counts[kept])
        labels.append(fitted_copy(model, half).predict(table))
    moved = float(table.counts @ (labels[0] != labels[1])) / table.n_records
    return Check(
        "instability",
        moved,
        MAX_MOVED,
        "warn" if moved > MAX_MOVED else "pass",
        f"fits to two halves of the records give unlike labels to {moved:.1%} of them",
    )
