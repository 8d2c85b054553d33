"""Runs in Snorkel's environment: fits its LabelModel to the cases on stdin, answers on stdout."""

import json
import sys

import numpy as np
from snorkel.labeling.model import LabelModel


def fit(case):
    votes = np.array(case["votes"])
    options = dict(case["options"])
    gold = np.array(case["gold"]) if "gold" in case else None
    model = LabelModel(cardinality=case["n_classes"], verbose=False)
    model.fit(votes, Y_dev=gold, progress_bar=False, **options)
    cprobs = model.get_conditional_probs()
    return {
        "mu": np.round(cprobs[:, 1:, :], 7).tolist(),
        "probabilities": np.round(model.predict_proba(votes), 7).tolist(),
        "weights": np.round(model.get_weights(), 7).tolist(),
    }


sys.stdout.write(json.dumps([fit(case) for case in json.load(sys.stdin)]))
