"""Simulated audits: how often the stated interval holds, and how narrow it is.

Run as ``python -m benchmarks.audit [SET ...]``; prints the table of docs/howto/audit.md. Labels are
those of the default label model on votes of real functions and workers, or those of a classifier
that 300 judgements taught (``debian taught``); people are gold.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.datasets import all_records, crowd, data_folder
from benchmarks.suggest import indexed, judged_sets
from labelmill.teach.training import train_classifier
from labelmodel import LabelModel
from labelmodel.metrics import wilson_interval
from pipelines.audits.design import allocate, draw_rows, make_design
from pipelines.audits.shares import count_strata, share_interval

SETS = (
    "debian taught",
    "youtube taught",
    "yelp7600 taught",
    "trec taught",
    "trec",
    "semeval",
    "youtube",
    "dog",
    "tennis",
    "rna_titles",
    "spouse",
    "hausa",
    "yelp7600",
)
SIZES = (100, 200, 400)
AUDITS = 500
TAUGHT = " taught"
JUDGED = 300
"""Judgements that teach a classifier."""


@cache
def published(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return confidence, whether the label is right, label and gold of all records of a set."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("no data sets: set LABELMILL_DATA to their folder")
    if name.endswith(TAUGHT):
        return classified(folder, name.removesuffix(TAUGHT))
    if name == "dog":
        trial = crowd(folder, name)
        votes, gold, k = trial.votes, trial.gold, trial.n_classes
    else:
        votes, gold, k = all_records(folder, name)
    votes, gold = votes[gold >= 0], gold[gold >= 0]
    probs = LabelModel(k).fit(votes).predict_proba(votes)
    label = probs.argmax(axis=1)
    return probs.max(axis=1), label == gold, label, gold


def classified(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the same of texts, by a classifier, without the records that taught it."""
    corpus = indexed(folder, name)
    (judged,) = judged_sets(corpus, (JUDGED,), seed=0)
    heads = train_classifier(
        corpus.features.take(judged), corpus.gold[judged], corpus.n_classes
    ).heads
    probs = heads.probabilities(corpus.features)
    rest = np.setdiff1d(np.arange(len(probs)), judged)
    label, gold = probs.argmax(axis=1)[rest], corpus.gold[rest]
    return probs.max(axis=1)[rest], label == gold, label, gold


def simulate(name: str, n: int, *, audits: int = AUDITS) -> dict[str, float]:
    """Audit a set many times; return how often intervals held, and their mean widths."""
    confidence, right, label, gold = published(name)
    truth = right.mean()
    rng = np.random.default_rng(n)
    held = width = simple_held = simple_width = 0.0
    per_class = {"held": 0, "n": 0}
    for _ in range(audits):
        order = rng.integers(2**63, size=len(right)).astype(np.uint64)
        design = make_design(confidence, order)
        drawn = allocate(design, n)
        rows = draw_rows(design, drawn, rng.integers(2**63, size=len(right)).astype(np.uint64))
        strata = partial(count_strata, design.sizes, design.stratum[rows])
        found = share_interval(strata(np.ones(n), right[rows]))
        held += found.low <= truth <= found.high
        width += found.high - found.low
        plain = rng.choice(len(right), n, replace=False)
        low, high = wilson_interval(float(right[plain].sum()), n)
        simple_held += low <= truth <= high
        simple_width += high - low
        for k in np.unique(gold).tolist():
            for domain, of_truth in ((label, False), (gold, True)):
                inside = domain[rows] == k
                found = share_interval(strata(inside, inside & right[rows]), domain_found=of_truth)
                if found.value is not None and found.n >= 10:
                    actual = right[domain == k].mean()
                    per_class["n"] += 1
                    per_class["held"] += found.low <= actual <= found.high
    return {
        "accuracy": truth,
        "held": held / audits,
        "width": width / audits,
        "simple_held": simple_held / audits,
        "simple_width": simple_width / audits,
        "class_held": per_class["held"] / max(per_class["n"], 1),
    }


def main() -> None:
    """Print the table."""
    print(
        "| set | accuracy | audited | held | width | of a simple random sample | per class held |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or SETS:
        for n in SIZES:
            f = simulate(name, n)
            print(
                f"| {name} | {f['accuracy']:.3f} | {n} | {f['held']:.3f} | {f['width']:.3f} | "
                f"{f['simple_width']:.3f} ({f['simple_held']:.3f}), "
                f"{1 - f['width'] / f['simple_width']:.0%} narrower | {f['class_held']:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
