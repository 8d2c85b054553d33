"""What to answer on records without votes: functions left out at random, and the test splits.

Run as ``python -m benchmarks.uncovered``; prints the numbers that docs/labelmodel.md quotes.
"""

from __future__ import annotations

import warnings

import numpy as np

from benchmarks.datasets import LF_SETS, all_records, data_folder, held_out_lf
from labelmodel import LabelModel

DRAWS = 12
LEAST = 20


def answers(balance: np.ndarray) -> dict[str, np.ndarray]:
    """Return ways to answer, float64[k] each."""
    even = np.full(len(balance), 1.0 / len(balance))
    return {
        "class balance p": balance,
        "every class alike": even,
        "proportional to 1/p": (1.0 / balance) / (1.0 / balance).sum(),
    }


def score(answer: np.ndarray, gold: np.ndarray) -> tuple[float, float]:
    """Return accuracy with ties shared, and log loss, of one answer for all records."""
    top = answer >= answer.max() - 1e-6
    return float((top / top.sum())[gold].mean()), float(-np.log(answer[gold]).mean())


def main() -> None:
    """Print both tables."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("no data: set LABELMILL_DATA to the folder of the data sets")
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    print("half of the functions left out: accuracy / log loss on records without votes")
    for name in LF_SETS:
        votes, gold, n_classes = all_records(folder, name)
        found: dict[str, list[tuple[float, float]]] = {}
        for _ in range(DRAWS):
            kept = rng.permutation(votes.shape[1])[: max(2, votes.shape[1] // 2)]
            uncovered = (votes[:, kept] < 0).all(axis=1) & (gold >= 0)
            if uncovered.sum() < LEAST:
                continue
            balance = LabelModel(n_classes).fit(votes[:, kept]).class_balance_
            for way, answer in answers(balance).items():
                found.setdefault(way, []).append(score(answer, gold[uncovered]))
        for way, scores in found.items():
            accuracy, loss = np.mean(scores, axis=0)
            print(f"{name:12} {way:20} {accuracy:.3f} / {loss:.3f}")
    print("test splits, all records: accuracy with p, and with every class alike")
    for name in LF_SETS:
        trial = held_out_lf(folder, name)
        model = LabelModel(trial.n_classes).fit(trial.fit)
        probs = model.predict_proba(trial.votes)
        uncovered = (trial.votes < 0).all(axis=1)
        scores = []
        for answer in list(answers(model.class_balance_).values())[:2]:
            probs[uncovered] = answer
            top = probs >= probs.max(axis=1, keepdims=True) - 1e-6
            right = (top / top.sum(axis=1, keepdims=True))[np.arange(len(top)), trial.gold]
            scores.append(right.mean())
        print(f"{name:12} {scores[0]:.3f} {scores[1]:.3f}")


if __name__ == "__main__":
    main()
