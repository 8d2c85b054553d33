"""Choosing among label models by cross-validated log loss on gold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from labelmodel.arrays import FloatArray
from labelmodel.base import BaseLabelModel, fitted_copy
from labelmodel.errors import VotesError
from labelmodel.folds import gold_folds
from labelmodel.metrics import record_losses
from labelmodel.patterns import PatternTable


@dataclass(frozen=True)
class CandidateScore:
    """Cross-validated log loss of one model.

    Attributes
    ----------
    log_loss : float
        Mean over gold records in nats.
    standard_error : float
        Of that mean.
    lead : float
        By how much the default's loss is larger.
    lead_error : float
        Standard error of `lead`, from the differences record by record.
    """

    log_loss: float
    standard_error: float
    lead: float
    lead_error: float


@dataclass(frozen=True)
class Selection:
    """Outcome of `select_model`.

    Attributes
    ----------
    chosen : str
        Name of the model to use.
    default : str
    scores : dict of str to CandidateScore
    reason : str
        Why it was chosen, in a sentence.
    """

    chosen: str
    default: str
    scores: dict[str, CandidateScore]
    reason: str


def select_model(
    models: Mapping[str, BaseLabelModel],
    table: PatternTable,
    *,
    default: str | None = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> Selection:
    """Choose among label models by cross-validation over gold records.

    Parameters
    ----------
    models : mapping of str to BaseLabelModel
        Candidates by name; copies of them are fitted.
    table : PatternTable
        With gold for the fit. Every fit sees the votes of all records, and the gold of those
        outside the fold that is scored.
    default : str, optional
        Name of the model that is kept unless another is clearly better; the first by default.
    n_folds : int
    random_state : int
        Seed of the folds; all models get the same.

    Returns
    -------
    Selection
        The default is kept unless the best model leads it by more than one standard error of
        the paired difference.

    Raises
    ------
    VotesError
        No models, a default that is not among them, or fewer than two covered gold records.

    Notes
    -----
    Source: Breiman et al., "Classification and regression trees", 1984, section 3.4.3, the
    one-standard-error rule, with the default in the place of the simplest model.
    """
    if not models:
        raise VotesError("select_model needs at least one model")
    standard = next(iter(models)) if default is None else default
    if standard not in models:
        raise VotesError(f"default={standard!r} is none of {', '.join(models)}")
    losses = _held_out_losses(models, table, n_folds, random_state)
    scores = {name: _score(losses[name], losses[standard]) for name in models}
    best = min(scores, key=lambda name: (scores[name].log_loss, name != standard))
    lead, error = scores[best].lead, scores[best].lead_error
    if best == standard:
        return Selection(standard, standard, scores, f"no model has a lower loss than {standard}")
    found = f"{best} leads {standard} by {lead:.4f} nats, standard error {error:.4f}"
    if lead > error:
        return Selection(best, standard, scores, found)
    return Selection(standard, standard, scores, f"{found}: not enough to leave the default")


def _held_out_losses(
    models: Mapping[str, BaseLabelModel], table: PatternTable, n_folds: int, random_state: int
) -> dict[str, FloatArray]:
    """Loss of each covered gold record under each model, records in one order."""
    losses: dict[str, list[FloatArray]] = {name: [] for name in models}
    judged = table.take((table.gold >= 0) & (table.n_votes > 0))
    if judged.n_records < 2:
        raise VotesError(f"selection needs two covered gold records, got {judged.n_records}")
    for train, held_out in gold_folds(table, n_folds, random_state):
        covered = held_out.take(held_out.n_votes > 0)
        truth = covered.gold.astype(np.int64)
        for name, model in models.items():
            found = record_losses(fitted_copy(model, train).predict_proba(covered), truth)
            losses[name].append(np.repeat(found, covered.counts))
    return {name: np.concatenate(parts) for name, parts in losses.items()}


def _score(losses: FloatArray, default: FloatArray) -> CandidateScore:
    lead = default - losses
    root = np.sqrt(len(losses))
    return CandidateScore(
        log_loss=float(losses.mean()),
        standard_error=float(losses.std(ddof=1) / root),
        lead=float(lead.mean()),
        lead_error=float(lead.std(ddof=1) / root),
    )
