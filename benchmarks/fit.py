"""Speed of fits: seconds beside crowd-kit and Snorkel in one run, and a crowd of 10M tasks.

Run it as `python -m benchmarks.fit` from the root of the repository; it prints the tables of
docs/labelmodel.md. Everything of labelmill runs on one core. `--scale` makes both sizes smaller,
`--only` runs one of them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.others import seconds
from labelmodel import PatternTable, SnorkelLabelModel, count_patterns
from labelmodel.staged import fit_blocks

STEPS = 20
FUNCTION_RECORDS, FUNCTIONS, CLASSES = 1_000_000, 20, 4
MULTI_CLASS = 3
CROWD_TASKS, ANNOTATORS, ASKED = 10_000_000, 1_000, 10
TASKS_PER_BLOCK = 1 << 16


def function_votes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes of labeling functions as they are: record, function and class of each.

    A function votes for one class, three of them for any; it covers 1 to 40 % of the records,
    spread evenly in the logarithm, with a precision of .55 to .95. One record in four is easy:
    there, functions of its class are four times as likely to vote.
    """
    rng = np.random.default_rng(seed)
    gold = rng.choice(CLASSES, size=n, p=[0.5, 0.25, 0.15, 0.1])
    easy = np.where(rng.random(n) < 0.25, 4.0, 1.0)
    coverage = np.exp(rng.uniform(np.log(0.01), np.log(0.4), FUNCTIONS))
    precision = rng.uniform(0.55, 0.95, FUNCTIONS)
    rows, functions, labels = [], [], []
    for function in range(FUNCTIONS):
        own = function % CLASSES
        right = precision[function]
        if function < FUNCTIONS - MULTI_CLASS:
            fits = gold == own
            rate = np.where(fits, easy * right / (easy * fits).mean(), (1 - right) / (~fits).mean())
            fired = np.flatnonzero(rng.random(n) < coverage[function] * rate)
            answered = np.full(len(fired), own)
        else:
            fired = np.flatnonzero(rng.random(n) < coverage[function] * easy / easy.mean())
            knows = rng.random(len(fired)) < right
            answered = np.where(knows, gold[fired], rng.integers(0, CLASSES, len(fired)))
        rows.append(fired)
        functions.append(np.full(len(fired), function))
        labels.append(answered)
    record = np.concatenate(rows)
    order = np.argsort(record, kind="stable")
    return record[order], np.concatenate(functions)[order], np.concatenate(labels)[order]


def table_of(record: np.ndarray, lfs: np.ndarray, labels: np.ndarray, n: int) -> PatternTable:
    indptr = np.concatenate([[0], np.cumsum(np.bincount(record, minlength=n))])
    return count_patterns(indptr, lfs, labels, n_lfs=FUNCTIONS, n_classes=CLASSES)


def beside_others(scale: float) -> Iterator[str]:
    """Time as many steps on the same votes, from the votes to the parameters."""
    from labelmodel import DawidSkene

    n = int(FUNCTION_RECORDS * scale)
    record, lfs, labels = function_votes(n)
    started = time.perf_counter()
    table = table_of(record, lfs, labels, n)
    counting = time.perf_counter() - started
    models = {
        "DawidSkene": DawidSkene(CLASSES, abstain="missing", max_iter=STEPS, tol=-np.inf),
        "SnorkelLabelModel": SnorkelLabelModel(CLASSES, n_epochs=STEPS),
    }
    ours = {}
    for name, model in models.items():
        started = time.perf_counter()
        model.fit(table)
        ours[name] = counting + time.perf_counter() - started
    theirs = {
        "crowd-kit DawidSkene": seconds("crowdkit", record, lfs, labels, STEPS),
        "Snorkel LabelModel": seconds("snorkel", record, lfs, labels, STEPS),
    }
    yield (
        f"{n:,} records x {FUNCTIONS} functions, {len(record):,} votes, {len(table):,} patterns, "
        f"{STEPS} steps; counting the patterns ({counting:.2f} s) is in every time of ours.\n"
    )
    yield "| | seconds | " + " | ".join(f"{name} takes" for name in theirs) + " |"
    yield "|---|---|---|---|"
    for name, taken in ours.items():
        ratios = " | ".join(f"{other / taken:.0f} x" for other in theirs.values())
        yield f"| {name} | {taken:.2f} | {ratios} |"
    for name, taken in theirs.items():
        yield f"| {name} | {taken:.1f} | | |"


class Crowd:
    """Binary tasks asked of annotators with their own sensitivity and specificity."""

    def __init__(self, tasks: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.tasks = tasks
        # right[j, y] = P(j answers y | y)
        self.right = self.rng.uniform(0.4, 0.95, (ANNOTATORS, 2))

    def blocks(self) -> Iterator[PatternTable]:
        """Yield patterns with their class as gold for scoring, which fits do not look at."""
        for start in range(0, self.tasks, TASKS_PER_BLOCK):
            n = min(TASKS_PER_BLOCK, self.tasks - start)
            gold = self.rng.integers(0, 2, n)
            drawn = self.rng.integers(0, ANNOTATORS - ASKED + 1, (n, ASKED))
            asked = (np.sort(drawn, axis=1) + np.arange(ASKED)).ravel()
            true = np.repeat(gold, ASKED)
            right = self.rng.random(n * ASKED) < self.right[asked, true]
            yield count_patterns(
                np.arange(n + 1) * ASKED, asked, np.where(right, true, 1 - true),
                n_lfs=ANNOTATORS, n_classes=2, eval_gold=gold,
            )  # fmt: skip

    def posterior(self, table: PatternTable) -> np.ndarray:
        """Posterior under the true parameters, float64[P, 2]."""
        odds = np.log(
            np.stack([(1 - self.right[:, 1]) / self.right[:, 0],
                      self.right[:, 1] / (1 - self.right[:, 0])], axis=1)
        )  # fmt: skip
        rows = np.repeat(np.arange(len(table)), table.n_votes)
        log_odds = np.bincount(rows, weights=odds[table.lfs, table.labels], minlength=len(table))
        second = 1.0 / (1.0 + np.exp(-log_odds))
        return np.stack([1.0 - second, second], axis=1)


def large_crowd(scale: float) -> Iterator[str]:
    """Fit Dawid-Skene to a large crowd, and compare with the best that votes allow."""
    from labelmodel import DawidSkene

    crowd = Crowd(int(CROWD_TASKS * scale))
    started = time.perf_counter()
    blocks = list(crowd.blocks())
    made = time.perf_counter() - started
    model = DawidSkene(2, abstain="missing", max_iter=STEPS, tol=-np.inf)
    started, on_core = time.perf_counter(), time.process_time()
    state = fit_blocks(model, blocks)
    fitting, on_core = time.perf_counter() - started, time.process_time() - on_core
    started = time.perf_counter()
    correct = best = 0
    for block in blocks:
        gold, counts = block.eval_gold, block.counts
        correct += counts[model.posteriors(block, state).argmax(axis=1) == gold].sum()
        best += counts[crowd.posterior(block).argmax(axis=1) == gold].sum()
    answering = time.perf_counter() - started
    votes = crowd.tasks * ASKED
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    yield (
        f"| tasks x annotators a task | {STEPS} steps | of a core | votes x steps / s and core | "
        "peak memory | accuracy | with the true parameters |"
    )
    yield "|---|---|---|---|---|---|---|"
    yield (
        f"| {crowd.tasks:,} x {ASKED} | {fitting:.0f} s | {on_core:.0f} s | "
        f"{votes * STEPS / on_core / 1e6:.0f}M | "
        f"{peak:.1f} GB | {correct / crowd.tasks:.4f} | {best / crowd.tasks:.4f} |"
    )
    yield f"\nMaking and counting the votes took {made:.0f} s, answering {answering:.0f} s."


SIZES = {"functions": beside_others, "crowd": large_crowd}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the records")
    parser.add_argument("--only", choices=SIZES, help="run one of the two")
    options = parser.parse_args()
    for name, size in SIZES.items():
        if options.only in (None, name):
            for line in size(options.scale):
                sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
