"""Why a record has its label: terms per labeling function that add up to the posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, LabelArray, LFArray
from labelmodel.blocks import effective_votes, votes_of
from labelmodel.crowd_regime import dependence_divisor
from labelmodel.default_stages import posteriors
from labelmodel.lf_regime import tempering
from labelmodel.patterns import PatternTable, count_patterns, count_patterns_with_inverse
from labelmodel.staged import StagedModel
from labelmodel.state import Parameters

_TINY = np.finfo(np.float64).tiny
"""In place of a probability of zero, which has no logarithm."""


@dataclass(frozen=True)
class VoteLogOdds:
    """Terms of a posterior in log space; each is centred to mean zero over the classes.

    `softmax(total)` is the posterior. For two classes, entry 1 minus entry 0 of a term is its
    log-odds in nats.

    Attributes
    ----------
    prior : float64[k]
        Class balance; without votes the uncovered balance.
    lfs : int32[v]
        Labeling functions that voted.
    labels : int16[v]
        What they voted for.
    votes : float64[v, k]
        What each vote adds, after division by the dependence between votes; a copied source's
        vote counts by its weight. Where majority vote answers in the model's place, the votes
        for a class share the logarithm of its share evenly.
    abstain : float64[k]
        What all functions that did not vote add together; zero where only annotators answered.
    adjustment : float64[k]
        What the last step adds: where annotators answered the share of majority vote in the
        answer, with gold the judged records of the same votes; zero otherwise.
    posterior : float64[k]
        The model's answer.
    """

    prior: FloatArray
    lfs: LFArray
    labels: LabelArray
    votes: FloatArray
    abstain: FloatArray
    adjustment: FloatArray
    posterior: FloatArray

    @property
    def total(self) -> FloatArray:
        """Sum of all terms, float64[k]."""
        result: FloatArray = self.prior + self.votes.sum(axis=0) + self.abstain + self.adjustment
        return result

    def rows(
        self, lf_names: Sequence[str], class_names: Sequence[str]
    ) -> list[dict[str, str | float]]:
        """One row for each term, as plain data whose columns add up to `total`.

        Parameters
        ----------
        lf_names : sequence of str
            Name of each LF in the order of their numbers.
        class_names : sequence of str

        Returns
        -------
        list of dict
            `term` ("prior", the name of an LF, "abstain", "adjustment"), `vote` (the class the
            LF voted for, empty for other terms), and for each class its log-odds against the
            geometric mean of all classes, in nats. The last row, `term` "total", is their sum.
        """
        voted = [lf_names[lf] for lf in self.lfs]
        votes = [class_names[label] for label in self.labels]
        names = ["prior", *voted, "abstain", "adjustment", "total"]
        terms = np.vstack([self.prior, self.votes, self.abstain, self.adjustment, self.total])
        return [
            {"term": name, "vote": vote, **dict(zip(class_names, term.tolist(), strict=True))}
            for name, vote, term in zip(names, ["", *votes, "", "", ""], terms, strict=True)
        ]


def vote_log_odds(params: Parameters, lfs: AnyArray, labels: AnyArray) -> VoteLogOdds:
    """Take the posterior of one row of votes apart.

    Parameters
    ----------
    params : Parameters
        `LabelModel.parameters_`.
    lfs, labels : int[v]
        The votes, LFs ascending; none for a record that nothing voted on.

    Raises
    ------
    VotesError
        Votes out of range or LFs not ascending.
    """
    row = count_patterns(
        np.array([0, len(lfs)]),
        np.asarray(lfs),
        np.asarray(labels),
        n_lfs=params.n_lfs,
        n_classes=params.n_classes,
    )
    posterior = posteriors(row, params)[0]
    if not len(row.lfs):
        none = np.zeros((0, params.n_classes))
        return _terms(row, np.log(posterior), none, 0.0 * posterior, posterior)
    if params.fallback is not None:
        zero = 0.0 * posterior
        return _terms(row, zero, _vote_share_terms(posterior, row.labels), zero, posterior)
    prior, abstain = 0.0 * posterior, 0.0 * posterior
    votes = np.zeros((len(row.lfs), params.n_classes))
    functions = params.are_functions
    mine = functions[row.lfs]
    if params.lf is not None and mine.any():
        of_lfs = votes_of(row, functions)
        scale = float(tempering(effective_votes(of_lfs, params.source_weights))[0])
        votes[mine] = scale * params.lf.log_votes_of(of_lfs.lfs, of_lfs.labels)
        abstain = scale * np.delete(params.lf.log_abstain, of_lfs.lfs, axis=0).sum(axis=0)
        prior = scale * params.lf.log_class_balance
    if params.crowd is not None and not mine.all():
        answers = votes_of(row, ~functions)
        n_votes = effective_votes(answers, params.source_weights)
        scale = 1.0 / float(dependence_divisor(n_votes, params.crowd)[0])
        votes[~mine] = scale * params.crowd.log_votes_of(answers.lfs, answers.labels)
        prior = scale * params.crowd.log_class_balance
    return _terms(row, prior, votes, abstain, posterior)


def _vote_share_terms(shares: FloatArray, labels: LabelArray) -> FloatArray:
    """Terms of votes that count alike: the logarithm of each share, divided among its votes.

    `shares` are float64[k], the result float64[v, k]; a class of no votes stands at `_TINY`.
    """
    logs = np.log(np.maximum(shares, _TINY) / _TINY)
    terms = np.zeros((len(labels), len(shares)))
    rows = np.arange(len(labels))
    terms[rows, labels] = logs[labels] / np.bincount(labels, minlength=len(shares))[labels]
    return terms


def explain_votes(model: StagedModel[Any], lfs: AnyArray, labels: AnyArray) -> VoteLogOdds:
    """Take the posterior of one row of votes apart, whatever the model.

    The default model's terms are those of its own sum (`vote_log_odds`). Of any other model, a
    vote's term is what the logarithm of the posterior loses without it, and `prior` the class
    balance: where votes are independent given the class, as in Dawid and Skene's model, that is
    the vote's log-likelihood. What the terms leave over is in `adjustment`.

    Parameters
    ----------
    model : StagedModel
        A fitted model.
    lfs, labels : int[v]
        The votes, LFs ascending; none for a record that nothing voted on.

    Raises
    ------
    NotFittedError
        Before `fit`.
    VotesError
        Votes out of range or LFs not ascending.
    """
    model._check_fitted()
    if isinstance(model.state_, Parameters):
        return vote_log_odds(model.state_, lfs, labels)
    lfs, labels = np.asarray(lfs), np.asarray(labels)
    others = ~np.eye(len(lfs), dtype=bool)
    table, inverse = count_patterns_with_inverse(
        np.concatenate([[0], len(lfs) + (len(lfs) - 1) * np.arange(len(lfs) + 1)]),
        np.concatenate([lfs, *(lfs[kept] for kept in others)]),
        np.concatenate([labels, *(labels[kept] for kept in others)]),
        n_lfs=model.n_lfs_,
        n_classes=model.n_classes_,
    )
    posterior, *without = model.predict_proba(table)[inverse]
    log = np.log(np.maximum(posterior, _TINY))
    votes = np.zeros((len(lfs), len(log)))
    for position, rest in enumerate(without):
        votes[position] = log - np.log(np.maximum(rest, _TINY))
    prior = np.log(np.maximum(model.class_balance_, _TINY)) if len(lfs) else log
    row = table.take(inverse[:1])
    return _terms(row, prior, votes, 0.0 * posterior, posterior)


def _terms(
    row: PatternTable,
    prior: FloatArray,
    votes: FloatArray,
    abstain: FloatArray,
    posterior: FloatArray,
) -> VoteLogOdds:
    # A vote share of zero (majority vote as fallback) has no logarithm.
    target = np.log(np.maximum(posterior, _TINY))
    explained = prior + votes.sum(axis=0) + abstain
    adjustment = _centred(target) - _centred(explained)
    adjustment[np.abs(adjustment) < 1e-9] = 0.0
    return VoteLogOdds(
        prior=_centred(prior),
        lfs=row.lfs,
        labels=row.labels,
        votes=votes - votes.mean(axis=1, keepdims=True),
        abstain=_centred(abstain),
        adjustment=adjustment,
        posterior=posterior,
    )


def _centred(term: FloatArray) -> FloatArray:
    result: FloatArray = term - term.mean()
    return result
