"""Time, memory and accuracy of Dawid-Skene fits on simulated annotators with two classes.

Run it as `python -m benchmarks.fit`: a million records with 20 sources that each vote on half of
them, and ten million tasks with 10 of 1,000 annotators each (9 GB). With `--crowd-kit PYTHON`,
an interpreter that has crowd-kit, the first is fitted by crowd-kit's DawidSkene as well.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from scipy import sparse

from labelmodel import ConvergenceWarning, DawidSkene, count_patterns

ROUNDS = 20


def simulate(tasks, annotators, per_task, seed=0):
    """Return indptr, annotators and labels of the votes, the truth, and its best guess.

    Sensitivity and specificity of each annotator are uniform in .4 to .95. The best guess is the
    more probable class under the true parameters.
    """
    rng = np.random.default_rng(seed)
    truth = rng.random(tasks) < 0.5
    sensitivity, specificity = rng.uniform(0.4, 0.95, (2, annotators))
    # Sorted draws with replacement, spread, are distinct and ascending.
    chosen = np.sort(rng.integers(0, annotators - per_task + 1, (tasks, per_task), np.int32))
    chosen += np.arange(per_task, dtype=np.int32)
    lfs, indptr = chosen.ravel(), np.arange(tasks + 1) * per_task
    true = np.repeat(truth, per_task)
    right = rng.random(len(lfs)) < np.where(true, sensitivity[lfs], specificity[lfs])
    labels = (true == right).astype(np.int16)
    odds = np.where(
        labels == 1,
        np.log(sensitivity / (1.0 - specificity))[lfs],
        np.log((1.0 - sensitivity) / specificity)[lfs],
    )
    return indptr, lfs, labels, truth, np.add.reduceat(odds, indptr[:-1]) > 0.0


def fit(name, tasks, annotators, per_task):
    """Time a fit and print its row; returns its votes and seconds."""
    indptr, lfs, labels, truth, best = simulate(tasks, annotators, per_task)
    start = time.perf_counter()
    table = count_patterns(indptr, lfs, labels, n_lfs=annotators, n_classes=2)
    counted = time.perf_counter() - start
    model = DawidSkene(2, max_iter=ROUNDS, tol=-np.inf)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(table)
    fitted = time.perf_counter() - start
    sampled = min(tasks, 200_000)
    votes = slice(0, int(indptr[sampled]))
    matrix = sparse.csr_matrix(
        (labels[votes].astype(np.int32) + 1, lfs[votes], indptr[: sampled + 1]),
        shape=(sampled, annotators),
    )
    guess = model.predict_proba(matrix)[:, 1] > 0.5
    found, possible = np.mean(guess == truth[:sampled]), np.mean(best[:sampled] == truth[:sampled])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"| {name} | {counted:.1f} s | {fitted:.1f} s | {len(lfs) * ROUNDS / fitted:.3g} "
        f"| {memory:.1f} GB | {found:.4f} | {possible:.4f} |",
        flush=True,
    )
    return indptr, lfs, labels, counted + fitted


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crowd-kit", metavar="PYTHON", help="interpreter that has crowd-kit")
    options = parser.parse_args()
    print("| votes | patterns | 20 rounds | votes x rounds / s | memory | accuracy | best |")
    print("|---|---|---|---|---|---|---|")
    indptr, lfs, labels, seconds = fit("1M x 10 of 20", 1_000_000, 20, 10)
    if options.crowd_kit:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "votes.npz"
            tasks = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
            np.savez(path, task=tasks, worker=lfs, label=labels)
            side = Path(__file__).with_name("crowdkit_side.py")
            done = subprocess.run(
                [options.crowd_kit, str(side), str(path), str(ROUNDS)],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        theirs = float(done.stdout)
        print(f"\ncrowd-kit: {theirs:.1f} s, {theirs / seconds:.1f} times as long\n", flush=True)
    fit("10M x 10 of 1,000", 10_000_000, 1000, 10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
