"""What copied sources do to the default label model: prints the tables of docs/labelmodel.md.

Run it as `python -m benchmarks.copies` from the root of the repository. The second table copies
sources of the real data sets, which are found as `benchmarks.datasets` says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks.datasets import CROWD_SETS, LF_SETS, data_folder, load_crowd, load_lf
from benchmarks.quality import Scores, default_scores, scores
from labelmodel import LabelModel

SEEDS = range(3)
Case = tuple[np.ndarray, np.ndarray, int]


def noisy_copies(
    rng: np.random.Generator, source: np.ndarray, copies: int, noise: float, k: int
) -> np.ndarray:
    """Return int[n, copies] that repeat a source but for a share of its votes, drawn anew."""
    columns = np.repeat(source[:, None], copies, axis=1)
    changed = (columns >= 0) & (rng.random(columns.shape) < noise)
    columns[changed] = rng.integers(-1, k, changed.sum())
    return columns


def outnumbered(noise: float = 0.0, seed: int = 0, copies: int = 10, n: int = 3000) -> Case:
    """Three sources of accuracy .85, and copies of one that is right on .6."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 2, n)
    right = rng.random((n, 4)) < np.array([0.85, 0.85, 0.85, 0.6])
    votes = np.where(right, gold[:, None], 1 - gold[:, None])
    return np.hstack([votes[:, :3], noisy_copies(rng, votes[:, 3], copies, noise, 2)]), gold, 2


def outnumbered_functions(
    noise: float = 0.0, seed: int = 0, copies: int = 10, n: int = 3000
) -> Case:
    """One good function for each of three classes, and copies of one that fires at random."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 3, n)
    votes = np.full((n, 4), -1)
    for lf in range(3):
        votes[rng.random(n) < np.where(gold == lf, 0.5, 0.06), lf] = lf
    votes[rng.random(n) < 0.28, 3] = 0
    votes = np.hstack([votes[:, :3], noisy_copies(rng, votes[:, 3], copies, noise, 3)])
    covered = (votes >= 0).any(axis=1)
    return votes[covered], gold[covered], 3


def copied_crowd(noise: float = 0.0, seed: int = 0, copies: int = 8, n: int = 600) -> Case:
    """Twenty annotators of accuracy .6 to .93, five on each task; others share poor answers."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 3, n)
    right = rng.random((n, 20)) < rng.uniform(0.4, 0.9, 20)
    votes = np.where(right, gold[:, None], rng.integers(0, 3, (n, 20)))
    votes[rng.random((n, 20)).argsort(axis=1) >= 5] = -1
    shared = np.where(rng.random(n) < 0.4, gold, rng.integers(0, 3, n))
    shared[rng.random(n) < 0.5] = -1
    return np.hstack([votes, noisy_copies(rng, shared, copies, noise, 3)]), gold, 3


def copied_crowd_apart(noise: float = 0.0, seed: int = 0, copies: int = 8, n: int = 600) -> Case:
    """The annotators of `copied_crowd`, but each copy was asked a half of the tasks of its own."""
    rng = np.random.default_rng(seed)
    votes, gold, k = copied_crowd(0.0, seed, 0, n)
    shared = np.where(rng.random(n) < 0.4, gold, rng.integers(0, k, n))
    shared = noisy_copies(rng, shared, copies, noise, k)
    shared[rng.random(shared.shape) < 0.5] = -1
    return np.hstack([votes, shared]), gold, k


def believing_scores(votes: np.ndarray, gold: np.ndarray, n_classes: int) -> Scores:
    """Score the default model that takes every source as its own."""
    model = LabelModel(n_classes, dependence=None).fit(votes)
    return scores(model.predict_proba(votes), gold)


def copied_sets(name: str, folder: Path) -> Iterator[Case]:
    """Yield a real set with nine copies of a source, for each of its three busiest sources."""
    votes, gold, k = (load_lf if name in LF_SETS else load_crowd)(folder, name)
    dense = votes.toarray().astype(np.int64) - 1 if sparse.issparse(votes) else votes
    rng = np.random.default_rng(0)
    for source in np.argsort(-(dense >= 0).sum(axis=0), kind="stable")[:3]:
        for noise in (0.0, 0.02):
            copies = noisy_copies(rng, dense[:, source], 9, noise, k)
            yield np.hstack([dense, copies]), gold, k


def report_on_sets(folder: Path) -> Iterator[str]:
    yield "| set | as it is | off | on |"
    yield "|---|---|---|---|"
    for name in (*LF_SETS, *CROWD_SETS):
        plain = (load_lf if name in LF_SETS else load_crowd)(folder, name)
        found = np.mean(
            [
                (believing_scores(*case), default_scores(*case))
                for case in copied_sets(name, folder)
            ],
            axis=0,
        )
        rows = (default_scores(*plain), *found)
        cells = [f"{acc:.3f} / {loss:.3f}" for acc, loss, _ in rows]
        yield f"| {name} | " + " | ".join(cells) + " |"


def report() -> Iterator[str]:
    yield "| case | noise | off | on | one copy |"
    yield "|---|---|---|---|---|"
    for case in (outnumbered, outnumbered_functions, copied_crowd, copied_crowd_apart):
        for noise in (0.0, 0.02):
            found = [
                (
                    believing_scores(*case(noise, seed)),
                    default_scores(*case(noise, seed)),
                    default_scores(*case(0.0, seed, copies=1)),
                )
                for seed in SEEDS
            ]
            cells = [f"{acc:.3f} / {loss:.3f}" for acc, loss, _ in np.mean(found, axis=0)]
            yield f"| {case.__name__} | {noise:g} | " + " | ".join(cells) + " |"


def main() -> int:
    for line in report():
        sys.stdout.write(line + "\n")
    folder = data_folder()
    if folder is not None:
        for line in report_on_sets(folder):
            sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
