"""Votes with the names of everything in them: what converters make, and write back."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from labelmodel.arrays import AnyArray, FloatArray, IntArray, LabelArray
from labelmodel.errors import VotesError
from labelmodel.patterns import PatternTable
from labelmodel.votes import ABSTAIN, from_dense


@dataclass(frozen=True, eq=False)
class VoteSet:
    """Votes of sources on records, by name.

    Attributes
    ----------
    votes : scipy.sparse.csr_matrix of int32[n, m]
        Class + 1 of each vote: what `fit` and `predict_proba` of every model take.
    record_ids, source_names, class_names : tuples of n, m and k distinct values
    gold : int16[n]
        True class, -1 for unknown.
    """

    votes: sparse.csr_matrix
    record_ids: tuple[Hashable, ...]
    source_names: tuple[Hashable, ...]
    class_names: tuple[Hashable, ...]
    gold: LabelArray

    def __post_init__(self) -> None:
        """Raise `VotesError` where names and arrays do not fit together."""
        expected = (len(self.record_ids), len(self.source_names))
        if self.votes.shape != expected or self.gold.shape != expected[:1]:
            raise VotesError(
                f"votes of shape {self.votes.shape} and gold of shape {self.gold.shape} for "
                f"{expected[0]} records and {expected[1]} sources"
            )
        for name in ("record_ids", "source_names", "class_names"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise VotesError(f"{name} are not distinct")
        highest = max(
            int(self.votes.max()) if self.votes.nnz else 0, int(self.gold.max(initial=-1)) + 1
        )
        if highest > len(self.class_names):
            raise VotesError(f"class {highest - 1} of {len(self.class_names)} class names")

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def patterns(self, fit: AnyArray | None = None) -> PatternTable:
        """Count the patterns of the votes, with gold in its two roles.

        Parameters
        ----------
        fit : bool[n], optional
            Records whose gold a fit may use; the gold of all others is for scoring. None by
            default.

        Returns
        -------
        PatternTable
        """
        for_fit = np.zeros(len(self.gold), dtype=np.bool_) if fit is None else np.asarray(fit)
        return from_dense(
            self.votes,
            n_classes=self.n_classes,
            gold=np.where(for_fit, self.gold, ABSTAIN),
            eval_gold=np.where(for_fit, ABSTAIN, self.gold),
        )

    def dense(self) -> IntArray:
        """Votes as Snorkel has them, int64[n, m] with -1 for abstain."""
        return self.votes.toarray().astype(np.int64) - 1

    def long(self) -> dict[str, list[Any]]:
        """Votes as crowd-kit has them: columns `task`, `worker`, `label` for a DataFrame."""
        entries = self.votes.tocoo()
        return {
            "task": [self.record_ids[row] for row in entries.row],
            "worker": [self.source_names[column] for column in entries.col],
            "label": [self.class_names[value - 1] for value in entries.data],
        }

    def labels(self, predictions: IntArray) -> dict[Hashable, Hashable]:
        """Name of the predicted class of each record.

        Parameters
        ----------
        predictions : int64[n]
            What `predict` gives for `votes`.
        """
        return {
            record: self.class_names[label]
            for record, label in zip(self.record_ids, predictions.tolist(), strict=True)
        }

    def probabilities(self, predicted: FloatArray) -> dict[str, list[Any]]:
        """Probabilities as columns for a DataFrame: `task`, and one for each class.

        Parameters
        ----------
        predicted : float64[n, k]
            What `predict_proba` gives for `votes`.
        """
        columns = zip(self.class_names, predicted.T.tolist(), strict=True)
        return {"task": list(self.record_ids), **{str(name): column for name, column in columns}}


def numbered(prefix: str, n: int) -> tuple[str, ...]:
    """Names `prefix0`, `prefix1`, ... for what has none."""
    return tuple(f"{prefix}{number}" for number in range(n))


def positions(names: Sequence[Hashable]) -> dict[Hashable, int]:
    """Position of each name."""
    return {name: position for position, name in enumerate(names)}
