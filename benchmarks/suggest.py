"""Teaching with few judgements: what suggested functions and the classifier reach, and their cost.

Run as ``python -m benchmarks.suggest [SET ...]``; prints the tables of docs/howto/teach.md. People
are simulated by gold, every judgement counts, accuracies are of records that were not judged.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.datasets import data_folder
from labelmill.teach.choosing import choose, score_candidates, sums_of
from labelmill.teach.drawing import POOL, draw_uncertain
from labelmill.teach.endmodel import multiplied, train_end_model
from labelmill.teach.features import Features, feature_space
from labelmill.teach.index import Index, index_texts
from labelmill.teach.training import train_classifier
from labelmodel import LabelModel

SECTIONS = [
    *("libs", "python", "doc", "perl", "utils", "net", "science", "sound"),
    *("games", "graphics", "devel", "admin", "web", "text", "fonts"),
]
BUDGETS = {
    "debian": (50, 100, 200, 300, 500),
    "trec": (50, 100, 200, 300, 500),
    "youtube": (50, 100, 200, 300, 500),
    "yelp7600": (100, 300),
}
SEEDS = 3
ROUND = 50


@dataclass(frozen=True)
class Corpus:
    """Texts with their classes, indexed."""

    index: Index
    features: Features
    gold: np.ndarray
    n_classes: int


def load(folder: Path, name: str) -> tuple[pa.Array, np.ndarray, int]:
    """Return texts, classes int64[n] and the number of classes."""
    if name == "debian":
        table = pq.read_table(folder / "text_debian" / "texts.parquet", columns=["text", "gold"])
        table = table.filter(pc.is_in(table["gold"], pa.array(SECTIONS)))
        gold = pc.index_in(table["gold"], pa.array(SECTIONS)).to_numpy().astype(np.int64)
    else:
        table = pq.read_table(folder / f"lf_{name}" / "texts.parquet", columns=["text", "gold"])
        gold = table["gold"].cast(pa.int64()).to_numpy()
    return table["text"].combine_chunks(), gold, int(gold.max()) + 1


def indexed(folder: Path, name: str) -> Corpus:
    """Index a corpus; prints what that took."""
    texts, gold, n_classes = load(folder, name)
    started = time.perf_counter()
    index = index_texts(texts)
    counted = time.perf_counter()
    features = feature_space(index).of(index.has)
    done = time.perf_counter()
    print(
        f"{name}: {len(gold):,} records, {len(index.keys):,} candidates, index "
        f"{counted - started:.1f} s, features {done - counted:.1f} s"
    )
    return Corpus(index, features, gold, n_classes)


def judged_sets(corpus: Corpus, budgets: tuple[int, ...], seed: int) -> Iterator[np.ndarray]:
    """Yield the records judged at each budget: 50 random ones, then rounds of uncertain ones."""
    n = len(corpus.gold)
    rng = np.random.default_rng(seed)
    judged = rng.permutation(n)[:ROUND]
    while True:
        if len(judged) in budgets:
            yield judged
        if len(judged) >= max(budgets):
            return
        heads = train_classifier(
            corpus.features.take(judged), corpus.gold[judged], corpus.n_classes
        ).heads
        rest = np.setdiff1d(np.arange(n), judged)
        pool = rng.choice(rest, min(POOL, len(rest)), replace=False)
        near = corpus.features.take(pool)
        drawn = draw_uncertain(
            heads.probabilities(near), near.shared, pool, ROUND, judged=len(judged), seed=seed
        )
        judged = np.concatenate([judged, drawn])


def measure(corpus: Corpus, judged: np.ndarray, seed: int) -> dict[str, float]:
    """Suggest, accept all, fit the label model, train the end model, and score each."""
    n, gold, k = len(corpus.gold), corpus.gold, corpus.n_classes
    heads = train_classifier(corpus.features.take(judged), gold[judged], k).heads
    read = heads.probabilities(corpus.features)
    labels = np.full(n, -1)
    labels[judged] = gold[judged]
    scores = score_candidates(sums_of(corpus.index.has, read, labels))
    chosen = [c.candidate for c in choose(corpus.index.has, scores, np.zeros(n, dtype=bool))]
    hits = corpus.index.has[:, chosen].toarray() > 0
    votes = np.where(hits, scores.label[chosen].astype(np.int16), np.int16(-1))
    covered = (votes >= 0).any(axis=1)
    voted = LabelModel(k).fit(votes, gold=labels).predict_proba(votes)
    end = train_end_model(corpus.features, labels, covered, voted, read, seed=seed)
    final = end.probabilities(corpus.features.shared)
    final[covered] = multiplied(voted[covered], read[covered])
    rest = labels < 0
    seen = rest & covered

    def accuracy(probs: np.ndarray, rows: np.ndarray) -> float:
        if not rows.any():
            return float("nan")
        return float((probs[rows].argmax(axis=1) == gold[rows]).mean())

    return {
        "functions": len(chosen),
        "coverage": float(covered[rest].mean()),
        "label model": accuracy(voted, seen),
        "times classifier": accuracy(final, seen),
        "classifier, all": accuracy(read, rest),
        "assisted, all": accuracy(final, rest),
    }


def table(folder: Path, name: str) -> None:
    """Print the numbers of a set at every budget, means of three seeds."""
    corpus = indexed(folder, name)
    found: dict[int, list[dict[str, float]]] = {}
    for seed in range(SEEDS):
        for judged in judged_sets(corpus, BUDGETS[name], seed):
            found.setdefault(len(judged), []).append(measure(corpus, judged, seed))
    columns = list(next(iter(found.values()))[0])
    print("| judged | " + " | ".join(columns) + " |")
    for budget, rows in found.items():
        means = [float(np.nanmean([row[column] for row in rows])) for column in columns]
        cells = [f"{means[0]:.0f}", *(f"{mean:.3f}".lstrip("0") for mean in means[1:])]
        print(f"| {budget} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the tables of the sets named, of all by default."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("no data: set LABELMILL_DATA to the folder of the data sets")
    for name in sys.argv[1:] or BUDGETS:
        table(folder, name)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB")


if __name__ == "__main__":
    main()
