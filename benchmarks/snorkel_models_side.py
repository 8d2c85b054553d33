"""Snorkel's label model for the benchmarks; runs in an environment of its own.

Takes the same tasks as crowdkit_side.py, on stdin in JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from snorkel.labeling.model import LabelModel


def fitted(votes: np.ndarray, k: int, n_epochs: int) -> LabelModel:
    model = LabelModel(cardinality=k, verbose=False)
    model.fit(votes, n_epochs=n_epochs, log_freq=n_epochs, seed=0, progress_bar=False)
    return model


def answer(file: str, to: str) -> None:
    with np.load(file) as task:
        model = fitted(task["fit"].astype(int), int(task["n_classes"]), n_epochs=100)
        found = model.predict_proba(task["votes"].astype(int))
    np.savez(Path(to) / Path(file).name, LabelModel=found)


def seconds(file: str, steps: int) -> float:
    with np.load(file) as task:
        votes = np.full((int(task["task"].max()) + 1, int(task["worker"].max()) + 1), -1)
        votes[task["task"], task["worker"]] = task["label"]
    started = time.perf_counter()
    fitted(votes, int(votes.max()) + 1, n_epochs=steps)
    return time.perf_counter() - started


def main() -> None:
    job = json.loads(sys.stdin.read())
    if "answer" in job:
        for file in job["answer"]["files"]:
            answer(file, job["answer"]["to"])
    if "seconds" in job:
        found = [seconds(file, job["seconds"]["steps"]) for file in job["seconds"]["files"]]
        sys.stdout.write(json.dumps(found))


main()
