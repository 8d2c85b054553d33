"""The Snorkel half of the benchmarks; runs in an environment of its own, writes one JSON file."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from snorkel.labeling import LabelingFunction, PandasLFApplier
from snorkel.labeling.model import LabelModel


def regexes(patterns: list[str]) -> list[LabelingFunction]:
    """Return functions that search an expression."""

    def make(n: int, pattern: str) -> LabelingFunction:
        search = re.compile(pattern).search
        return LabelingFunction(f"lf{n}", lambda x: 0 if search(x.text) else -1)

    return [make(n, pattern) for n, pattern in enumerate(patterns)]


def trivial(bodies: list[str]) -> list[LabelingFunction]:
    """Return functions of `x` with these bodies, which the benchmark wrote."""
    return [LabelingFunction(f"lf{n}", eval(f"lambda x: {b}")) for n, b in enumerate(bodies)]


def apply(texts_file: str, lfs: list[LabelingFunction]) -> dict[str, float]:
    """Time PandasLFApplier."""
    frame = pd.read_parquet(texts_file)
    applier = PandasLFApplier(lfs)
    started = time.perf_counter()
    votes = applier.apply(frame, progress_bar=False)
    return {"seconds": time.perf_counter() - started, "votes": int((votes >= 0).sum())}


def fit(folder: str) -> list[list[float]]:
    """Fit Snorkel's label model as its tutorials do; probabilities of covered records."""
    votes = np.load(Path(folder) / "L.npy").astype(int)
    classes = len(json.loads((Path(folder) / "meta.json").read_text())["classes"])
    covered = (votes >= 0).any(axis=1)
    model = LabelModel(cardinality=classes, verbose=False)
    model.fit(votes[covered], n_epochs=500, log_freq=500, seed=0, progress_bar=False)
    probs: list[list[float]] = model.predict_proba(votes[covered]).tolist()
    return probs


def main() -> None:
    task = json.loads(sys.stdin.read())
    result = {}
    if "texts" in task:
        result["apply"] = apply(task["texts"], regexes(task["patterns"]))
        result["trivial"] = apply(task["texts"], trivial(task["bodies"]))
    result["fit"] = {name: fit(folder) for name, folder in task["sets"].items()}
    Path(task["result"]).write_text(json.dumps(result))


main()
