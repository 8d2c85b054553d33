"""What every label model shares: the estimator protocol, vote formats, and tie breaking."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np

from labelmodel.arrays import AnyArray, FloatArray, IntArray
from labelmodel.errors import LabelModelWarning, NotFittedError, VotesError
from labelmodel.estimator import Estimator, clone
from labelmodel.frames import from_frame, gold_of, is_frame
from labelmodel.patterns import PatternTable
from labelmodel.votes import Votes, from_dense_with_inverse

TIE_TOLERANCE = 1e-6

# Any: tasks and labels of a long table are whatever they are in it.
Gold: TypeAlias = AnyArray | Mapping[Any, Any]


class LabelModelProtocol(Protocol):
    """What labelmill asks of a label model, after scikit-learn's conventions."""

    def fit(self, votes: Votes, gold: Gold | None = None) -> Self:
        """Learn from votes."""

    def predict_proba(self, votes: Votes) -> FloatArray:
        """Probability of each class."""

    def predict(self, votes: Votes) -> AnyArray:
        """Most probable class."""


class BaseLabelModel(Estimator, ABC):
    """Turns any form of votes into patterns for `_fit` and `_posteriors` of a subclass.

    Parameters
    ----------
    n_classes : int, optional
        Taken from the votes and gold by default.
    class_balance : float[k], optional
        Probability of each class, normalised to sum to one; by default the model learns it
        or, where it does not learn, takes all classes as equally probable.

    Attributes
    ----------
    n_classes_, n_lfs_ : int
        Present after `fit`.
    class_balance_ : float64[k]
        Probability of each class before any vote is seen.
    uncovered_balance_ : float64[k]
        Answer for a record without votes: the class balance, unless the model says otherwise.
    classes_ : array[k]
        Label that each class stands for: 0..k-1, or the labels of a long table, ascending.
    workers_ : array[m]
        Source that each column stands for: 0..m-1, or the workers of a long table, ascending.
    """

    n_classes_: int
    n_lfs_: int
    class_balance_: FloatArray
    uncovered_balance_: FloatArray
    classes_: AnyArray
    workers_: AnyArray

    def __init__(
        self, n_classes: int | None = None, class_balance: FloatArray | str | None = None
    ) -> None:
        self.n_classes = n_classes
        self.class_balance = class_balance

    def fit(self, votes: Votes, gold: Gold | None = None) -> Self:
        """Fit to votes.

        Parameters
        ----------
        votes : PatternTable, int[n, m] with -1 for abstain, scipy sparse [n, m] of class + 1, \
                or a long table with columns `task`, `worker` and `label` (`frames.from_frame`)
        gold : int[n] or mapping, optional
            Hand labels of a random sample, -1 for unknown; beside a long table, label by task,
            missing for unknown: a dict or a pandas Series. Its labels are classes, voted or not.
            A PatternTable brings its own.

        Returns
        -------
        self

        Raises
        ------
        VotesError
            Votes, gold or class balance out of range, fewer than two classes, or gold beside a
            PatternTable.
        """
        workers = classes = None
        if is_frame(votes):
            long = from_frame(votes, gold=gold)
            workers, classes = long.workers, long.classes
            if self.n_classes not in (None, len(classes)):
                raise VotesError(
                    f"n_classes={self.n_classes}, but the table has the labels {classes.tolist()}"
                )
            table = self._table(long.matrix, gold_of(long.tasks, classes, gold), len(classes))
        else:
            table = self._table(votes, gold, self.n_classes)
        self.n_classes_, self.n_lfs_ = table.n_classes, table.n_lfs
        self._fit(table)
        self.workers_ = np.arange(table.n_lfs) if workers is None else workers
        self.classes_ = np.arange(table.n_classes) if classes is None else classes
        return self

    def predict_proba(self, votes: Votes) -> FloatArray:
        """Probability of each class.

        Parameters
        ----------
        votes : as for `fit`

        Returns
        -------
        float64[P, k] for the patterns of a table, float64[n, k] for the rows of a matrix or \
                the tasks of a long table in ascending order
            Rows sum to one; a row without votes is exactly `uncovered_balance_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        VotesError
            Votes of other LFs or classes than those of `fit`.
        """
        self._check_fitted()
        if isinstance(votes, PatternTable):
            return self._posteriors(self._checked(votes))
        if is_frame(votes):
            votes = from_frame(votes, workers=self.workers_, classes=self.classes_).matrix
        table, inverse = from_dense_with_inverse(votes, n_classes=self.n_classes_)
        result: FloatArray = self._posteriors(self._checked(table))[inverse]
        return result

    def predict(self, votes: Votes) -> AnyArray:
        """Most probable class: int64[P] or int64[n], or of a long table entries of `classes_` [n].

        Tasks of a long table ascend, as in `predict_proba`. Ties within 1e-6 go to the class of
        the larger class balance, then to the first.
        """
        winners = break_ties(self.predict_proba(votes), self.class_balance_)
        return self.classes_[winners] if is_frame(votes) else winners

    def _table(self, votes: Votes, gold: Gold | None, n_classes: int | None) -> PatternTable:
        if isinstance(votes, PatternTable):
            if gold is not None:
                raise VotesError(
                    "a PatternTable carries its gold; count the patterns with gold=..."
                )
            if n_classes not in (None, votes.n_classes):
                raise VotesError(f"{n_classes=}, but the table has {votes.n_classes}")
            table = votes
        else:
            if isinstance(gold, Mapping):
                raise VotesError("gold beside a matrix must be an array with an entry per row")
            table, _ = from_dense_with_inverse(votes, n_classes=n_classes, gold=gold)
        if table.n_classes < 2:
            raise VotesError(
                f"a label model needs two classes or more, found {table.n_classes}; "
                "give n_classes where the votes do not show all of them"
            )
        return table

    def _checked(self, table: PatternTable) -> PatternTable:
        if (table.n_lfs, table.n_classes) != (self.n_lfs_, self.n_classes_):
            raise VotesError(
                f"votes of {table.n_lfs} LFs x {table.n_classes} classes, but the model was "
                f"fitted on {self.n_lfs_} x {self.n_classes_}"
            )
        return table

    def _check_fitted(self) -> None:
        if not hasattr(self, "class_balance_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(votes) first")

    @abstractmethod
    def _fit(self, table: PatternTable) -> None:
        """Set the fitted attributes from patterns of at least two classes."""

    @abstractmethod
    def _posteriors(self, table: PatternTable) -> FloatArray:
        """Posterior of each pattern, float64[P, k]."""


ModelT = TypeVar("ModelT", bound=BaseLabelModel)


def fitted_copy(model: ModelT, table: PatternTable) -> ModelT:
    """Return a clone fitted to a table, without the warnings that the model itself would give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelModelWarning)
        return clone(model).fit(table)


def break_ties(probabilities: FloatArray, class_balance: FloatArray) -> IntArray:
    """Most probable class of each row; ties by class balance, then by class order.

    Parameters
    ----------
    probabilities : float64[n, k]
    class_balance : float64[k]

    Returns
    -------
    int64[n]
    """
    if not len(probabilities):
        return np.zeros(0, dtype=np.int64)
    top = probabilities.max(axis=1, keepdims=True)
    tied = probabilities >= top - TIE_TOLERANCE
    winners: IntArray = np.argmax(np.where(tied, class_balance, -1.0), axis=1)
    return winners.astype(np.int64, copy=False)
