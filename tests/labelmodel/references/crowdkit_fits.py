"""Runs in crowd-kit's environment: fits MACE and GLAD to the cases on stdin, answers on stdout.

crowd-kit mixes up workers and labels that do not first appear in sorted order, so the votes of a
case name them in order in their first record.
"""

import json
import sys

import numpy as np
import pandas as pd
from crowdkit.aggregation import GLAD, MACE


def frame(case):
    votes = np.array(case["votes"])
    tasks, workers = np.nonzero(votes >= 0)
    return pd.DataFrame({"task": tasks, "worker": workers, "label": votes[tasks, workers]})


def probabilities(model):
    return np.round(model.probas_.sort_index().to_numpy(), 9).tolist()


def mace(case):
    data = frame(case)
    model = MACE(n_restarts=1, n_iter=case["rounds"], method=case["method"])
    model._initialize(data["worker"].nunique(), data["label"].nunique())
    start = {"behaviour": model.spamming_.tolist(), "strategy": model.thetas_.tolist()}
    model.fit(data)
    return start | {
        "fitted_behaviour": model.spamming_.tolist(),
        "fitted_strategy": model.thetas_.tolist(),
        "probabilities": probabilities(model),
    }


def glad(case):
    model = GLAD(n_iter=300, tol=1e-10, m_step_tol=1e-8, m_step_max_iter=200)
    model.fit(frame(case))
    model._e_step(model._current_data)  # its posteriors are those before the last M step
    return {
        "alpha": model.alphas_.sort_index().tolist(),
        "log_beta": model.betas_.sort_index().tolist(),
        "probabilities": probabilities(model),
    }


ANSWER = {"mace": mace, "glad": glad}
sys.stdout.write(json.dumps([ANSWER[case["model"]](case) for case in json.load(sys.stdin)]))
