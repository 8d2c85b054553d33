"""Whether a model answers one class where the votes name several: decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelmodel.arrays import FloatArray, IntArray

MIN_MINORITY_MASS = 0.1
BORNE_OUT = 20.0


@dataclass(frozen=True)
class Collapse:
    """What becomes of the classes that a model never answers.

    Attributes
    ----------
    answered : int
        Classes that are the answer to some record.
    majority, kept : float
        Share of the records that majority vote gives the other classes, and share of the
        probability that the model gives them.
    ratio : float
        `kept` by `majority`; 1 where majority vote gives them nothing.
    collapsed : bool
        One class is answered, the ratio is below .1, and gold does not bear it out.
    """

    answered: int
    majority: float
    kept: float
    ratio: float
    collapsed: bool


def collapse_of(
    answered: FloatArray | IntArray,
    class_mass: FloatArray,
    majority_mass: FloatArray,
    gold: IntArray,
) -> Collapse:
    """Hold a model's answers against majority vote and the gold of the fit.

    Parameters
    ----------
    answered : number[k]
        Records that each class is the answer to; above 0 or not is what counts.
    class_mass, majority_mass : float64[k]
        Probability that the model, and majority vote with ties shared, give each class, over
        the same records.
    gold : int64[k]
        Random judged records with votes, by class. One class may be the right answer: it is
        borne out where the gold is 20 times as probable under the model's shares of the classes
        never answered as under those of majority vote. Where majority vote gives them s that
        takes log(20) / log(1 / (1 - s)) records of the one class: 14 for a fifth, 5 for a half.
    """
    never = np.asarray(answered) == 0
    records = max(float(majority_mass.sum()), 1e-300)
    majority = float(majority_mass[never].sum()) / records
    kept = float(class_mass[never].sum()) / records
    ratio = kept / majority if majority > 0.0 else 1.0
    n_answered = int(np.count_nonzero(~never))
    suspicious = n_answered == 1 and ratio < MIN_MINORITY_MASS
    others, one = int(gold[never].sum()), int(gold[~never].sum())
    return Collapse(
        n_answered,
        majority,
        kept,
        ratio,
        suspicious and not _borne_out(kept, majority, others, one),
    )


def _borne_out(kept: float, majority: float, others: int, one: int) -> bool:
    """Whether gold speaks for the model's share of the other classes against majority vote's."""
    low, high = (min(max(share, 1e-12), 1.0 - 1e-12) for share in (kept, majority))
    ratio = others * np.log(low / high) + one * np.log((1.0 - low) / (1.0 - high))
    return bool(ratio >= np.log(BORNE_OUT))
