"""Quality of the label models on real votes: prints the tables of docs/labelmodel.md.

Run it as `python -m benchmarks.quality` from the root of the repository. The data sets are
found through the environment variable LABELMILL_DATA, or in ../shared/data beside the
repository. Accuracy is of covered records with ties shared, all splits merged.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse

from labelmodel import (
    MODELS,
    BaseLabelModel,
    DawidSkene,
    LabelModel,
    MajorityVote,
    accuracy,
    ece,
    from_long,
    log_loss,
)

LF_SETS = ("hausa", "rna_titles", "semeval", "spouse", "tennis", "trec", "yelp7600", "youtube")
CROWD_SETS = ("d_product", "dog", "face", "snow_rte", "spectral_web", "zencrowd_all")
GOLD_SIZES = (50, 100, 200)
DRAWS = 100

Scores = tuple[float, float, float]


def data_folder() -> Path | None:
    """Return the folder of the data sets, or None where there is none."""
    named = os.environ.get("LABELMILL_DATA")
    beside = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    folder = Path(named) if named else beside
    return folder if folder.is_dir() else None


def load_lf(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return covered votes int[n, m], gold int[n] and the number of classes of an LF set."""
    votes = np.load(folder / f"lf_{name}" / "L.npy")
    gold = np.load(folder / f"lf_{name}" / "gold.npy")
    n_classes = int(max(votes.max(), gold.max())) + 1
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


def scores(probabilities: np.ndarray, gold: np.ndarray) -> Scores:
    return (
        accuracy(probabilities, gold),
        log_loss(probabilities, gold),
        ece(probabilities, gold),
    )


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


def _rows(names: Iterable[str], table: list[list[Scores]]) -> Iterator[str]:
    means = np.mean(np.array(table), axis=0).tolist()
    for name, row in zip((*names, "**mean**"), [*table, means], strict=True):
        cells = [f"{acc:.4f} / {loss:.3f} / {error:.3f}" for acc, loss, error in row]
        yield f"| {name} | " + " | ".join(cells) + " |"


def report(folder: Path) -> Iterator[str]:
    lf_table = []
    for name in LF_SETS:
        votes, gold, k = load_lf(folder, name)
        row = [majority_scores(votes, gold, k), default_scores(votes, gold, k)]
        row += [gold_scores(votes, gold, k, size, range(DRAWS)) for size in GOLD_SIZES]
        lf_table.append(row)
    heads = "".join(f" + {size} gold |" for size in GOLD_SIZES)
    yield f"Accuracy / log loss / ECE; with gold the mean of {DRAWS} draws, scored on the rest.\n"
    yield f"| labeling functions | majority vote | default |{heads}"
    yield "|---|---|---|" + "---|" * len(GOLD_SIZES)
    yield from _rows(LF_SETS, lf_table)
    crowd_table = []
    for name in CROWD_SETS:
        answers, gold, k = load_crowd(folder, name)
        crowd_table.append([majority_scores(answers, gold, k), default_scores(answers, gold, k)])
    yield "\n| crowd | majority vote | default |"
    yield "|---|---|---|"
    yield from _rows(CROWD_SETS, crowd_table)
    yield "\n| model, mean of the sets | labeling functions | crowds |"
    yield "|---|---|---|"
    for name, model in MODELS.items():
        yield _model_row(f"`{name}`", folder, model)
    symbol = partial(DawidSkene, abstain="symbol")
    yield _model_row("`dawid_skene`, abstain as symbol", folder, symbol)


def _model_row(title: str, folder: Path, model: Callable[[int], BaseLabelModel]) -> str:
    """Mean scores of a model over the sets of labeling functions, and over the crowds."""
    cells = []
    for names, load in ((LF_SETS, load_lf), (CROWD_SETS, load_crowd)):
        found = []
        for name in names:
            votes, gold, n_classes = load(folder, name)
            found.append(scores(model(n_classes).fit(votes).predict_proba(votes), gold))
        cells.append("{:.4f} / {:.3f} / {:.3f}".format(*np.mean(found, axis=0)))
    return f"| {title} | " + " | ".join(cells) + " |"


def main() -> int:
    folder = data_folder()
    if folder is None:
        sys.stderr.write(
            "no data sets: set LABELMILL_DATA to the folder that holds lf_* and crowd_*\n"
        )
        return 1
    for line in report(folder):
        sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
