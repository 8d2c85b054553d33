"""Labeling functions and annotators in one job: the default beside one regime for all sources.

Run it as `python -m benchmarks.mixtures`; it prints a table of docs/label-model-experiments.md.
Real votes of one kind get simulated sources of the other kind, of accuracies that are known.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.datasets import CROWD_SETS, LF_SETS, data_folder, load_crowd, load_lf
from benchmarks.quality import scores
from labelmodel import LabelModel, LabelModelWarning

ANNOTATORS, ANSWERS = 40, 3
FUNCTIONS_PER_CLASS = 2

Votes = tuple[np.ndarray, np.ndarray, int, np.ndarray]


def with_annotators(
    votes: np.ndarray, gold: np.ndarray, k: int, asked: float, seed: int = 0
) -> Votes:
    """Add 40 annotators to votes of functions; three answer each of a share of the records.

    Annotators are right with a probability of .55 to .95 of their own, shifted by up to .1 for
    each class, and wrong with a class that they prefer.

    Returns:
        Votes int[n, m + 40], gold, number of classes, and which columns are annotators, bool.
    """
    rng = np.random.default_rng(seed)
    known = gold >= 0
    votes, gold = votes[known], gold[known]
    right = rng.uniform(0.55, 0.95, (ANNOTATORS, 1)) + rng.uniform(-0.1, 0.1, (ANNOTATORS, k))
    right = np.clip(right, 1.0 / k, 0.98)
    leaning = rng.dirichlet(np.full(k, 2.0), ANNOTATORS)
    # Some annotators answer ten times as often as others.
    share = np.exp(rng.uniform(0.0, np.log(10.0), ANNOTATORS))
    answers = np.full((len(votes), ANNOTATORS), -1)
    for record in np.flatnonzero(rng.random(len(votes)) < asked):
        for j in rng.choice(ANNOTATORS, ANSWERS, replace=False, p=share / share.sum()):
            true = gold[record]
            wrong = np.where(np.arange(k) == true, 0.0, leaning[j] + 1e-9)
            knows = rng.random() < right[j, true]
            answers[record, j] = true if knows else rng.choice(k, p=wrong / wrong.sum())
    which = np.arange(votes.shape[1] + ANNOTATORS) >= votes.shape[1]
    return np.hstack([votes, answers]), gold, k, which


def with_functions(votes: np.ndarray, gold: np.ndarray, k: int, seed: int = 0) -> Votes:
    """Add two functions for each class to answers of a crowd.

    A function covers 2 to 30 % of the records with a precision of 1.1 to 3 times what chance
    would give, .95 at most.

    Returns:
        As `with_annotators`.
    """
    rng = np.random.default_rng(seed)
    known = gold >= 0
    votes, gold = votes[known], gold[known]
    balance = np.bincount(gold, minlength=k) / len(gold)
    columns = []
    for function in range(FUNCTIONS_PER_CLASS * k):
        own = function % k
        coverage = np.exp(rng.uniform(np.log(0.02), np.log(0.3)))
        precision = min(max(rng.uniform(1.1, 3.0) * balance[own], 0.4), 0.95)
        rate = np.where(
            gold == own,
            coverage * precision / balance[own],
            coverage * (1.0 - precision) / (1.0 - balance[own]),
        )
        columns.append(np.where(rng.random(len(gold)) < rate, own, -1))
    which = np.arange(votes.shape[1] + len(columns)) < votes.shape[1]
    return np.hstack([votes, np.array(columns).T]), gold, k, which


def mixtures(folder: Path, seed: int = 0) -> Iterator[tuple[str, Votes]]:
    """All mixtures by name."""
    for name in LF_SETS:
        votes, gold, k = load_lf(folder, name)
        for asked in (1.0, 0.3):
            yield f"{name}, {asked:.0%} asked", with_annotators(votes, gold, k, asked, seed)
    for name in CROWD_SETS:
        answers, gold, k = load_crowd(folder, name)
        yield f"{name} + functions", with_functions(answers.toarray() - 1, gold, k, seed)


def told(kinds: Callable[..., np.ndarray | None] | None) -> Callable[[Votes], np.ndarray]:
    """Answers of the default, with another answer to which sources are functions."""

    def answers(mixture: Votes) -> np.ndarray:
        votes, _, k, annotators = mixture
        if kinds is None:
            return LabelModel(k).fit(votes).predict_proba(votes)
        with patch("labelmodel.dependence.functions_among", lambda *_: kinds(annotators)):
            return LabelModel(k).fit(votes).predict_proba(votes)

    return answers


DESIGNS = {
    "one regime": told(lambda _: None),
    "told apart": told(None),
    "kinds known": told(np.logical_not),
}


def report(folder: Path, seeds: int) -> Iterator[str]:
    yield "| | " + " | ".join(DESIGNS) + " |"
    yield "|---" * (len(DESIGNS) + 1) + "|"
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        for name, mixture in mixtures(folder, seed):
            votes, gold, _, _ = mixture
            covered = (votes >= 0).any(axis=1)
            row = [scores(answer(mixture)[covered], gold[covered]) for answer in DESIGNS.values()]
            found.setdefault(name, []).append(np.array(row))
    for name, rows in found.items():
        yield f"| {name} | {_cells(np.mean(rows, axis=0))} |"
    for kind, plus in (("functions and annotators", False), ("crowds and functions", True)):
        chosen = [np.mean(rows, axis=0) for name, rows in found.items() if (" + " in name) == plus]
        yield f"| **mean, {kind}** | {_cells(np.mean(chosen, axis=0))} |"


def _cells(rows: np.ndarray) -> str:
    return " | ".join(f"{right:.3f} / {loss:.3f} / {error:.3f}" for right, loss, error in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="draws of the simulated sources")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        sys.stderr.write("no data sets: set LABELMILL_DATA to the folder with lf_* and crowd_*\n")
        return 1
    warnings.simplefilter("ignore", LabelModelWarning)
    for line in report(folder, options.seeds):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
