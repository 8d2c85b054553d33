"""Other packages on the same votes, each in an environment of its own and in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.datasets import Trial

HERE = Path(__file__).resolve().parent
SIDES = {"crowdkit": "crowdkit_side.py", "snorkel": "snorkel_models_side.py"}


@cache
def side_python(package: str) -> str:
    """Return the Python of the package's environment, made on first use (minutes)."""
    script = HERE.parent / "scripts" / "side_environment.py"
    command = [sys.executable, str(script), package]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def answers(package: str, trials: Sequence[Trial]) -> list[dict[str, np.ndarray]]:
    """Return for each trial the probabilities float64[n, k] by the name of the model."""
    with tempfile.TemporaryDirectory() as name:
        votes, found = Path(name) / "votes", Path(name) / "found"
        votes.mkdir()
        found.mkdir()
        files = [str(votes / f"{number}.npz") for number in range(len(trials))]
        for file, trial in zip(files, trials, strict=True):
            np.savez(file, fit=trial.fit, votes=trial.votes, n_classes=trial.n_classes)
        _run(package, {"answer": {"files": files, "to": str(found)}})
        return [dict(np.load(found / Path(file).name)) for file in files]


def seconds(package: str, task: np.ndarray, worker: np.ndarray, label: np.ndarray, steps: int):
    """Return the seconds of as many steps on a long table of votes, without reading it."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "votes.npz"
        np.savez(file, task=task, worker=worker, label=label)
        job = {"seconds": {"files": [str(file)], "steps": steps}}
        return float(json.loads(_run(package, job))[0])


def _run(package: str, job: dict) -> str:
    command = [side_python(package), str(HERE / SIDES[package])]
    done = subprocess.run(
        command, input=json.dumps(job), text=True, check=True, stdout=subprocess.PIPE
    )
    return done.stdout
