"""The crowd-kit half of the benchmarks; runs in an environment of its own.

On stdin a task in JSON. "answer": {"files": [...], "to": folder} fits every model to the votes of
each file and writes their probabilities under the same name. "seconds": {"files": [...],
"steps": n} times as many steps of Dawid-Skene and prints the seconds of each file in JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from crowdkit.aggregation import GLAD, KOS, MACE, DawidSkene, OneCoinDawidSkene, Wawa

# Neither way to probabilities works for all: OneCoinDawidSkene.fit_predict_proba raises, and
# Wawa.fit leaves none.
SOFT = {
    "DawidSkene": lambda data: DawidSkene().fit(data).probas_,
    "OneCoinDawidSkene": lambda data: OneCoinDawidSkene().fit(data).probas_,
    "GLAD": lambda data: GLAD().fit(data).probas_,
    "MACE": lambda data: MACE().fit(data).probas_,
    "Wawa": lambda data: Wawa().fit_predict_proba(data),
}
# MMSR is left out: it takes minutes on a crowd of 176 and fails where some labels never meet.


def frame(votes: np.ndarray) -> pd.DataFrame:
    """Return the long table that crowd-kit reads."""
    tasks, workers = np.nonzero(votes >= 0)
    return pd.DataFrame({"task": tasks, "worker": workers, "label": votes[tasks, workers]})


def probabilities(name: str, data: pd.DataFrame, n: int, k: int) -> np.ndarray:
    """Fit one model; uniform where a task has no votes, one-hot where it gives labels alone."""
    result = np.full((n, k), 1.0 / k)
    if name == "KOS":
        labels = KOS().fit_predict(data)
        result[labels.index] = np.eye(k)[labels.to_numpy()]
        return result
    given = SOFT[name](data).reindex(columns=range(k), fill_value=0.0)
    result[given.index] = given.fillna(0.0).to_numpy()
    return result


def answer(file: str, to: str) -> None:
    with np.load(file) as task:
        votes, k = task["fit"], int(task["n_classes"])
    data = frame(votes)
    found = {}
    for name in (*SOFT, "KOS") if k == 2 else SOFT:
        started = time.perf_counter()
        found[name] = probabilities(name, data, len(votes), k)
        sys.stderr.write(f"{Path(file).stem} {name}: {time.perf_counter() - started:.1f} s\n")
    np.savez(Path(to) / Path(file).name, **found)


def seconds(file: str, steps: int) -> float:
    with np.load(file) as task:
        data = pd.DataFrame({name: task[name] for name in ("task", "worker", "label")})
    started = time.perf_counter()
    DawidSkene(n_iter=steps, tol=-np.inf).fit(data)
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
