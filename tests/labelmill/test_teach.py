"""The classifier, the choice of functions and of records to judge."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from labelmill.errors import CorruptFileError, JobSpecError
from labelmill.teach.choosing import (
    OPINION_UNIT,
    Scores,
    Sums,
    choose,
    same_records,
    score_candidates,
    sums_of,
)
from labelmill.teach.classifier import TextClassifier
from labelmill.teach.drawing import draw_uncertain
from labelmill.teach.endmodel import multiplied, train_end_model
from labelmill.teach.features import feature_space
from labelmill.teach.index import index_texts, index_with
from labelmill.teach.storing import from_bytes, to_bytes
from labelmill.teach.training import train_classifier

ANIMALS = ["cat", "dog", "horse", "cow", "sheep"]
TOOLS = ["hammer", "saw", "drill", "wrench", "pliers"]


def corpus(n: int = 400):
    """Texts about animals (0) and tools (1), in sentences that both share."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, n)
    words = [(ANIMALS, TOOLS)[label][rng.integers(5)] for label in gold]
    texts = [f"{rng.choice(['the', 'a', 'my'])} {w} is {rng.choice(['old', 'new'])}" for w in words]
    return pa.array(texts), gold.astype(np.int64)


@pytest.fixture(scope="module")
def taught():
    texts, gold = corpus()
    index = index_texts(texts)
    space = feature_space(index)
    features = space.of(index.has)
    judged = np.arange(60)
    trained = train_classifier(features.take(judged), gold[judged], 2)
    return texts, gold, index, space, features, trained


def test_classifier_learns_what_judgements_show(taught):
    _, gold, _, _, features, trained = taught
    said = trained.heads.probabilities(features)[60:]
    assert (said.argmax(axis=1) == gold[60:]).mean() > 0.95
    assert trained.accuracy > 0.9


@pytest.mark.parametrize("size", [1, 7, 64])
def test_answers_do_not_depend_on_the_records_they_come_with(taught, size):
    texts, _, index, space, features, trained = taught
    classifier = TextClassifier(index.keys, space, trained.heads)
    whole = trained.heads.probabilities(features)
    parts = [
        classifier.probabilities(index_with(texts.slice(n, size), index.keys))
        for n in range(0, len(texts), size)
    ]
    assert np.array_equal(np.concatenate(parts), whole)


def test_stored_classifier_is_the_same_bytes_and_answers_the_same(taught):
    _, gold, index, space, features, trained = taught
    read = trained.heads.probabilities(features)
    labels = np.where(np.arange(len(gold)) < 60, gold, -1)
    end = train_end_model(features, labels, np.zeros(len(gold), dtype=bool), read, read)
    classifier = TextClassifier(index.keys, space, trained.heads, end, {"judged": 60.0})
    data = to_bytes(classifier)
    back = from_bytes(data, "f")
    assert to_bytes(back) == data
    assert np.array_equal(back.probabilities(index.has), classifier.probabilities(index.has))
    assert back.about == {"judged": 60.0}
    with pytest.raises(CorruptFileError, match="not a classifier"):
        from_bytes(data[:-100], "f")


def test_classes_that_nobody_judged_keep_some_probability(taught):
    _, gold, _, _, features, _ = taught
    trained = train_classifier(features.take(np.arange(60)), gold[:60], 3)
    probs = trained.heads.probabilities(features)
    assert (probs[:, 2] > 0).all()
    assert np.allclose(probs.sum(axis=1), 1)


def test_missing_extra_is_named(taught, monkeypatch):
    _, gold, _, _, features, _ = taught
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(JobSpecError, match=r"labelmill\[teach\]"):
        train_classifier(features.take(np.arange(60)), gold[:60], 2)


def test_sums_of_parts_add_up_to_the_same_bits(taught):
    _, gold, index, _, features, trained = taught
    probs = trained.heads.probabilities(features)
    labels = np.where(np.arange(len(gold)) % 7 == 0, gold, -1)
    whole = sums_of(index.has, probs, labels)
    total = Sums.zero(index.has.shape[1], 2)
    for start in range(0, len(gold), 33):
        part = slice(start, start + 33)
        total = total + sums_of(index.has[part], probs[part], labels[part])
    for name in ("frequency", "judged", "opinion", "rows"):
        assert np.array_equal(getattr(total, name), getattr(whole, name))


def sums(judged, opinion, frequency) -> Sums:
    fixed = np.rint(np.asarray(opinion) / OPINION_UNIT).astype(np.int64)
    return Sums(np.asarray(frequency), np.asarray(judged), fixed, 1000)


def test_opinion_is_the_prior_and_judged_hits_are_the_evidence():
    few = sums([[0, 0], [0, 0]], [[95.0, 5.0], [60.0, 40.0]], [100, 100])
    scores = score_candidates(few)
    assert scores.label.tolist() == [0, 0]
    assert scores.least[0] > 0.8 > scores.least[1]
    against = score_candidates(sums([[0, 30], [0, 0]], [[66.5, 3.5], [60.0, 40.0]], [100, 100]))
    assert against.label[0] == 1
    low, high = against.interval(0)
    assert low < 30.35 / 40 < high


def matrix(rows_of, n):
    has = np.zeros((n, len(rows_of)), dtype=np.float32)
    for column, rows in enumerate(rows_of):
        has[rows, column] = 1
    return sparse.csr_array(has)


def flat(least) -> Scores:
    n = len(least)
    return Scores(np.zeros(n, dtype=np.int64), np.asarray(least), np.ones(n), np.ones(n))


def test_functions_that_repeat_others_are_not_chosen():
    has = matrix([range(0, 100), range(0, 95), range(100, 120)], 200)
    nothing = np.zeros(200, dtype=bool)
    chosen = choose(has, flat([0.9, 0.9, 0.7]), nothing)
    assert [(c.candidate, c.new) for c in chosen] == [(0, 100), (2, 20)]
    covered = nothing.copy()
    covered[:100] = True
    assert [c.candidate for c in choose(has, flat([0.9, 0.9, 0.7]), covered)] == [2]
    struck = np.array([False, False, True])
    assert [c.candidate for c in choose(has, flat([0.9, 0.9, 0.7]), nothing, struck=struck)] == [0]


def test_penalty_decides_about_a_function_that_adds_little():
    has = matrix([range(0, 100), range(0, 105)], 200)
    for penalty, expected in ((0.0, 2), (0.1, 1)):
        chosen = choose(has, flat([0.9, 0.6]), np.zeros(200, dtype=bool), penalty=penalty)
        assert len(chosen) == expected


def test_candidates_of_the_same_records_are_one_group():
    groups = same_records(matrix([[1, 2], [2, 3], [1, 2]], 5))
    assert groups[0] == groups[2] != groups[1]


def test_uncertain_records_are_drawn_and_differ(taught):
    _, gold, _, _, features, _ = taught
    pool = np.arange(60, 400)
    probs = np.full((len(pool), 2), [0.99, 0.01])
    unsure = np.flatnonzero(gold[pool] == 0)
    probs[unsure] = 0.5
    drawn = draw_uncertain(probs, features.shared[pool], pool, 10, judged=0)
    assert len(set(drawn.tolist())) == 10
    assert np.isin(drawn, pool).all()
    assert np.isin(drawn, pool[unsure]).mean() >= 0.8


def test_product_of_posteriors_is_sharper_than_either_and_tempered_less():
    voted, read = np.array([[0.8, 0.2]]), np.array([[0.7, 0.3]])
    product, tempered = multiplied(voted, read), multiplied(voted, read, 0.7)
    assert product[0, 0] == pytest.approx(0.56 / 0.62)
    assert 0.8 < tempered[0, 0] < product[0, 0]
