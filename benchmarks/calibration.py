"""What calibration on gold does to the default label model: prints the table of docs/labelmodel.md.

Run it as `python -m benchmarks.calibration` from the root of the repository; the data sets are
found as `benchmarks.datasets` says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.datasets import LF_SETS, data_folder, load_lf
from benchmarks.quality import GOLD_SIZES, Scores, scores
from labelmodel import CalibratedModel, LabelModel

DRAWS = range(10)


def calibrated_scores(
    votes: np.ndarray, gold: np.ndarray, n_classes: int, size: int, draw: int
) -> tuple[Scores, Scores]:
    """Score the default and the calibrated default, with `size` random gold records in the fit."""
    known = np.flatnonzero(gold >= 0)
    chosen = np.random.default_rng(draw).choice(known, size=size, replace=False)
    given, rest = np.full(len(gold), -1), gold.copy()
    given[chosen], rest[chosen] = gold[chosen], -1
    model = CalibratedModel(LabelModel(n_classes)).fit(votes, gold=given)
    plain = model.model_.predict_proba(votes)
    return scores(plain, rest), scores(model.predict_proba(votes), rest)


def report(folder: Path) -> Iterator[str]:
    yield "| gold | log loss / ECE, default | calibrated |"
    yield "|---|---|---|"
    for size in GOLD_SIZES:
        found = [
            calibrated_scores(*load_lf(folder, name), size, draw)
            for name in LF_SETS
            for draw in DRAWS
        ]
        cells = [f"{loss:.3f} / {error:.3f}" for _, loss, error in np.mean(found, axis=0)]
        yield f"| {size} | " + " | ".join(cells) + " |"


def main() -> int:
    folder = data_folder()
    if folder is None:
        sys.stderr.write("no data sets: set LABELMILL_DATA to the folder that holds lf_*\n")
        return 1
    for line in report(folder):
        sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
