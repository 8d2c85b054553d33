"""The shared data sets, as the benchmarks and the tests of quality read them.

They are found through the environment variable LABELMILL_DATA, or in ../shared/data beside the
repository.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from labelmodel import from_long

LF_SETS = ("hausa", "rna_titles", "semeval", "spouse", "tennis", "trec", "yelp7600", "youtube")
CROWD_SETS = ("d_product", "dog", "face", "snow_rte", "spectral_web", "zencrowd_all")

TRAIN = 0


def data_folder() -> Path | None:
    """Return the folder of the data sets, or None where there is none."""
    named = os.environ.get("LABELMILL_DATA")
    beside = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    folder = Path(named) if named else beside
    return folder if folder.is_dir() else None


def load_lf(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return covered votes int[n, m], gold int[n] and the number of classes of an LF set."""
    votes, gold, n_classes = all_records(folder, name)
    covered = (votes >= 0).any(axis=1)
    return votes[covered], gold[covered], n_classes


def load_crowd(folder: Path, name: str) -> tuple[sparse.csr_matrix, np.ndarray, int]:
    """Return votes (sparse, class + 1), gold int[n] and the number of classes of a crowd set.

    Where a worker answered an item several times, the last answer counts.
    """
    with np.load(folder / f"crowd_{name}" / "votes.npz") as file:
        gold = file["gold"]
        votes = from_long(file["item"], file["source"], file["vote"], n_tasks=len(gold))
        return votes, gold, len(file["classes"])


@dataclass(frozen=True)
class Trial:
    """Votes to fit on, and votes to answer with their gold; int[n, m] with -1 for abstain."""

    name: str
    fit: np.ndarray
    votes: np.ndarray
    gold: np.ndarray
    n_classes: int


def merged_lf(folder: Path, name: str) -> Trial:
    """All splits merged, covered records, fit and answered."""
    votes, gold, n_classes = load_lf(folder, name)
    return Trial(name, votes, votes, gold, n_classes)


def held_out_lf(folder: Path, name: str) -> Trial:
    """Fit on the training split, answer all records of the test split, covered or not.

    A set without one of them: fit on all records, or answer the validation split.
    """
    votes, gold, n_classes = all_records(folder, name)
    split = np.load(folder / f"lf_{name}" / "split.npy")
    train, test = split == TRAIN, split == split.max()
    return Trial(name, votes[train] if train.any() else votes, votes[test], gold[test], n_classes)


def crowd(folder: Path, name: str) -> Trial:
    """All records, fit and answered."""
    answers, gold, n_classes = load_crowd(folder, name)
    votes = answers.toarray() - 1
    return Trial(name, votes, votes, gold, n_classes)


def all_records(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return votes int[n, m], gold int[n] and the number of classes, all splits merged."""
    votes = np.load(folder / f"lf_{name}" / "L.npy")
    gold = np.load(folder / f"lf_{name}" / "gold.npy")
    return votes, gold, int(max(votes.max(), gold.max())) + 1
