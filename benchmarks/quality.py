"""Quality of all label models on real votes: prints the tables of docs/labelmodel.md.

Run it as `python -m benchmarks.quality` from the root of the repository (`datasets` says where the
votes are found). Every model of `labelmodel.MODELS` stands beside those of crowd-kit and of
Snorkel, which run in environments of their own; `--ours` leaves those out. Ties share a right
answer.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.datasets import (
    CROWD_SETS,
    LF_SETS,
    Trial,
    crowd,
    data_folder,
    held_out_lf,
    load_lf,
    merged_lf,
)
from benchmarks.others import answers
from labelmodel import (
    MODELS,
    DawidSkene,
    LabelModel,
    LabelModelWarning,
    MajorityVote,
    VotesError,
    accuracy,
    ece,
    log_loss,
)
from labelmodel.base import TIE_TOLERANCE

GOLD_SIZES = (50, 100, 200)
DRAWS = 100

VARIANTS = {**MODELS, "dawid_skene, abstain as symbol": partial(DawidSkene, abstain="symbol")}

Scores = tuple[float, float, float]
Answers = dict[str, np.ndarray]


def scores(probabilities: np.ndarray, gold: np.ndarray) -> Scores:
    return (
        accuracy(probabilities, gold),
        log_loss(probabilities, gold),
        ece(probabilities, gold),
    )


def f1(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """F1 of class 1 of two; a tie counts half for either class."""
    known = gold >= 0
    probs, positive = probabilities[known], gold[known] == 1
    tied = probs >= probs.max(axis=1, keepdims=True) - TIE_TOLERANCE
    called = tied[:, 1] / tied.sum(axis=1)
    return float(2.0 * called[positive].sum() / (called.sum() + positive.sum()))


def majority_scores(votes: object, gold: np.ndarray, n_classes: int) -> Scores:
    return scores(MajorityVote(n_classes).fit(votes).predict_proba(votes), gold)


def default_scores(votes: object, gold: np.ndarray, n_classes: int) -> Scores:
    return scores(LabelModel(n_classes).fit(votes).predict_proba(votes), gold)


def gold_scores(
    votes: np.ndarray, gold: np.ndarray, n_classes: int, size: int, draws: Iterable[int]
) -> Scores:
    """Mean scores with `size` random gold records in the fit, scored on all the others."""
    known = np.flatnonzero(gold >= 0)
    found = []
    for draw in draws:
        given = np.full(len(gold), -1)
        chosen = np.random.default_rng(draw).choice(known, size=size, replace=False)
        given[chosen] = gold[chosen]
        rest = np.where(given >= 0, -1, gold)
        model = LabelModel(n_classes).fit(votes, gold=given)
        found.append(scores(model.predict_proba(votes), rest))
    return tuple(np.mean(found, axis=0).tolist())


def our_answers(trial: Trial) -> Answers:
    """Return the probabilities of every model that takes as many classes."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelModelWarning)
        for name, model in VARIANTS.items():
            try:
                fitted = model(trial.n_classes).fit(trial.fit)
            except VotesError:
                continue
            found[name] = fitted.predict_proba(trial.votes)
    return found


def all_answers(trials: Sequence[Trial], packages: Iterable[str]) -> list[Answers]:
    found = [our_answers(trial) for trial in trials]
    for package in packages:
        for ours, theirs in zip(found, answers(package, trials), strict=True):
            ours.update({f"{package}: {name}": probs for name, probs in theirs.items()})
    return found


def _cell(probabilities: np.ndarray | None, trial: Trial) -> str:
    if probabilities is None:
        return "n/a"
    right, loss, error = scores(probabilities, trial.gold)
    shown = f"{right:.3f} / {loss:.2f} / {error:.2f}"
    return shown + (f" / {f1(probabilities, trial.gold):.3f}" if trial.n_classes == 2 else "")


def _mean(found: Sequence[np.ndarray | None], trials: Sequence[Trial]) -> str:
    """Mean of the three scores, of models that answer every set."""
    if any(probabilities is None for probabilities in found):
        return "n/a"
    rows = [scores(probs, trial.gold) for probs, trial in zip(found, trials, strict=True)]
    return " / ".join(f"{value:.3f}" for value in np.mean(rows, axis=0))


def side_by_side(title: str, trials: Sequence[Trial], packages: Iterable[str]) -> Iterator[str]:
    """Print a table of models by sets."""
    found = all_answers(trials, packages)
    yield f"\n| {title} | " + " | ".join(trial.name for trial in trials) + " | **mean** |"
    yield "|---" * (len(trials) + 2) + "|"
    for model in dict.fromkeys(name for row in found for name in row):
        probs = [row.get(model) for row in found]
        cells = [_cell(p, trial) for p, trial in zip(probs, trials, strict=True)]
        yield f"| {model} | " + " | ".join(cells) + f" | {_mean(probs, trials)} |"


def with_gold(folder: Path, draws: int) -> Iterator[str]:
    """Print what gold in the fit adds to the default: the mean of draws, scored on the rest."""
    heads = " | ".join(f"+ {size} gold" for size in GOLD_SIZES)
    yield f"\n| labeling functions | majority vote | default | {heads} |"
    yield "|---" * (len(GOLD_SIZES) + 3) + "|"
    rows = []
    for name in LF_SETS:
        votes, gold, k = load_lf(folder, name)
        row = [majority_scores(votes, gold, k), default_scores(votes, gold, k)]
        row += [gold_scores(votes, gold, k, size, range(draws)) for size in GOLD_SIZES]
        rows.append(row)
        yield f"| {name} | {_row(rows[-1])} |"
    yield f"| **mean** | {_row(np.mean(np.array(rows), axis=0).tolist())} |"


def _row(row: Iterable[Scores]) -> str:
    return " | ".join(f"{right:.4f} / {loss:.3f} / {error:.3f}" for right, loss, error in row)


def report(folder: Path, packages: Sequence[str], draws: int) -> Iterator[str]:
    yield "Accuracy / log loss / ECE, and for two classes / F1 of the second."
    protocols: list[tuple[str, Callable[[Path, str], Trial], Sequence[str], Sequence[str]]] = [
        ("functions, covered records, splits merged", merged_lf, LF_SETS, packages),
        # crowd-kit's models answer only the records that they were fitted to.
        (
            "functions, test split, all records",
            held_out_lf,
            LF_SETS,
            [package for package in packages if package != "crowdkit"],
        ),
        ("crowds", crowd, CROWD_SETS, packages),
    ]
    for title, load, names, others in protocols:
        yield from side_by_side(title, [load(folder, name) for name in names], others)
    yield from with_gold(folder, draws)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", action="store_true", help="leave crowd-kit and Snorkel out")
    parser.add_argument("--draws", type=int, default=DRAWS, help="random samples of gold")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        sys.stderr.write(
            "no data sets: set LABELMILL_DATA to the folder that holds lf_* and crowd_*\n"
        )
        return 1
    warnings.simplefilter("ignore", LabelModelWarning)
    packages = () if options.ours else ("crowdkit", "snorkel")
    for line in report(folder, packages, options.draws):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
