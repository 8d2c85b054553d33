from __future__ import annotations

import json

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs, simulated_mixture

from labelmodel import LabelModel, NotFittedError, ParametersError, from_json, to_json
from labelmodel.parameters import names

CLASSES = ["a", "b", "ü"]


def written(simulate=simulated_lfs, gold_every=7):
    votes, gold = simulate(n=200)
    given_gold = np.where(np.arange(200) % gold_every == 0, gold, -1)
    model = LabelModel(3).fit(votes, gold=given_gold)
    return votes, model, to_json(model, [f"lf{j}" for j in range(votes.shape[1])], CLASSES)


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd, simulated_mixture])
def test_a_model_comes_back_with_the_same_bits(simulate):
    votes, model, text = written(simulate)
    again = from_json(text)
    assert np.array_equal(again.predict_proba(votes), model.predict_proba(votes))
    assert np.array_equal(again.lf_accuracy_, model.lf_accuracy_, equal_nan=True)
    assert (again.regime_, again.warnings_) == (model.regime_, model.warnings_)
    lf_names, class_names = names(text)
    assert class_names == CLASSES
    assert to_json(again, lf_names, class_names) == text


def test_the_text_is_canonical():
    text = written()[2]
    document = json.loads(text)
    assert json.dumps(document, sort_keys=True, separators=(",", ":")) == text
    assert len(document["digest"]) == 64


def test_a_changed_document_is_refused():
    document = json.loads(written()[2])
    document["state"]["rho"] = 0.5
    with pytest.raises(ParametersError, match="digest"):
        from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"format": "labelmodel", "version": 99}', "version 99"),
        ('{"format": "labelmodel", "version": 3}', "digest"),
    ],
)
def test_other_documents_are_refused(text, message):
    with pytest.raises(ParametersError, match=message):
        from_json(text)


def test_names_must_fit_the_model():
    model = written()[1]
    with pytest.raises(ParametersError, match="1 LF names"):
        to_json(model, ["x"], CLASSES)
    with pytest.raises(NotFittedError):
        to_json(LabelModel(), [], [])
