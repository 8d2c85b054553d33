from __future__ import annotations

import numpy as np
import pytest
from vote_strategies import simulated_lfs

from benchmarks.calibration import DRAWS, calibrated_scores
from benchmarks.datasets import LF_SETS, data_folder, load_lf
from labelmodel import (
    LabelModel,
    NotFittedError,
    VotesError,
    from_dense,
    from_json,
    log_loss,
    to_json,
)
from labelmodel.arrays import softmax
from labelmodel.calibrated import CalibratedModel
from labelmodel.calibration import CALIBRATORS, IsotonicCalibration, TemperatureScaling
from labelmodel.folds import gold_folds
from labelmodel.reliability import reliability_curve, score_intervals


def drawn(temperature, n=4000, k=3, seed=0):
    """Probabilities, and classes drawn from them at another temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, k))
    truth = np.array([rng.choice(k, p=p) for p in softmax(logits / temperature)])
    return softmax(logits), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_found(temperature):
    probs, truth = drawn(temperature)
    scaling = TemperatureScaling().fit(probs, truth)
    assert scaling.temperature_ == pytest.approx(temperature, rel=0.1)
    assert (scaling.transform(probs).argmax(axis=1) == probs.argmax(axis=1)).all()


@pytest.mark.parametrize("method", CALIBRATORS)
def test_calibrators_take_counts_and_give_probabilities(method):
    probs, truth = drawn(2.0, n=300)
    counts = np.arange(300) % 3 + 1
    weighted = CALIBRATORS[method]().fit(probs, truth, counts).transform(probs)
    repeated = CALIBRATORS[method]().fit(np.repeat(probs, counts, axis=0), np.repeat(truth, counts))
    assert np.allclose(weighted, repeated.transform(probs), atol=1e-5)
    assert np.allclose(weighted.sum(axis=1), 1.0)
    assert (weighted >= 0).all()


def test_isotonic_steps_mend_what_no_temperature_can():
    rng = np.random.default_rng(0)
    claimed = rng.uniform(0, 1, 5000)
    truth = (rng.random(5000) < 0.2 + 0.5 * claimed).astype(int)
    probs = np.column_stack([1 - claimed, claimed])
    mended = IsotonicCalibration().fit(probs, truth).transform(probs)
    assert (
        log_loss(mended, truth)
        < log_loss(TemperatureScaling().fit(probs, truth).transform(probs), truth) - 0.005
    )
    assert mended.min() > 0
    assert (np.diff(mended[np.argsort(claimed), 1]) >= 0).all()


def test_folds_hold_out_gold_and_keep_votes():
    votes, gold = simulated_lfs(n=300)
    table = from_dense(votes, n_classes=3, gold=np.where(np.arange(300) < 60, gold, -1))
    held_records = 0
    for train, held_out in gold_folds(table, 5, random_state=3):
        assert train.n_records == table.n_records
        assert (train.gold >= 0) @ train.counts + held_out.n_records == 60
        assert (held_out.gold >= 0).all()
        held_records += held_out.n_records
    assert held_records == 60
    with pytest.raises(VotesError, match="two gold records"):
        next(gold_folds(from_dense(votes, n_classes=3)))


def test_calibration_needs_gold_and_leaves_unjudged_fits_alone():
    votes, gold = simulated_lfs(n=300)
    plain = LabelModel(3).fit(votes)
    calibrated = CalibratedModel(LabelModel(3)).fit(votes)
    assert calibrated.method_ == "identity"
    assert np.array_equal(calibrated.predict_proba(votes), plain.predict_proba(votes))
    few = np.where(np.arange(300) < 10, gold, -1)
    assert CalibratedModel(LabelModel(3)).fit(votes, gold=few).method_ == "identity"


@pytest.mark.parametrize("method", [*CALIBRATORS, "auto"])
def test_calibrated_models_keep_the_contract(method):
    votes, gold = simulated_lfs(n=400)
    given = np.where(np.arange(400) < 100, gold, -1)
    model = CalibratedModel(LabelModel(3), method=method).fit(votes, gold=given)
    probs = model.predict_proba(votes)
    silent = (votes < 0).all(axis=1)
    assert (probs[silent] == model.uncovered_balance_).all()
    assert np.allclose(probs.sum(axis=1), 1.0)
    assert np.array_equal(model.predict_proba(votes[::-1]), probs[::-1])
    assert set(model.losses_) == (set(CALIBRATORS) if method == "auto" else set())


@pytest.mark.parametrize("method", CALIBRATORS)
def test_a_calibrated_model_comes_back_from_json_with_the_same_bits(method):
    votes, gold = simulated_lfs(n=400)
    given = np.where(np.arange(400) < 100, gold, -1)
    model = CalibratedModel(LabelModel(3), method=method).fit(votes, gold=given)
    lf_names = [f"lf{j}" for j in range(votes.shape[1])]
    text = to_json(model, lf_names, ["a", "b", "c"])
    again = from_json(text)
    assert np.array_equal(again.predict_proba(votes), model.predict_proba(votes))
    assert (again.method, again.method_) == (method, method)
    assert to_json(again, lf_names, ["a", "b", "c"]) == text


def test_gold_for_scoring_does_not_calibrate():
    votes, gold = simulated_lfs(n=400)
    given = np.where(np.arange(400) < 100, gold, -1)
    blind = CalibratedModel().fit(from_dense(votes, n_classes=3, gold=given))
    scored = CalibratedModel().fit(from_dense(votes, n_classes=3, gold=given, eval_gold=gold))
    assert np.array_equal(blind.predict_proba(votes), scored.predict_proba(votes))


def test_unknown_methods_and_unfitted_models_say_so():
    with pytest.raises(VotesError, match="platt"):
        CalibratedModel(method="platt").fit(simulated_lfs(n=50)[0])
    with pytest.raises(NotFittedError):
        CalibratedModel().predict_proba(np.array([[0, 1]]))


def test_reliability_of_honest_probabilities_lies_on_the_diagonal():
    probs, truth = drawn(1.0)
    for binning in ("width", "mass"):
        curve = reliability_curve(probs, truth, binning=binning)
        assert curve.records.sum() == len(truth)
        inside = (curve.low <= curve.confidence) & (curve.confidence <= curve.high)
        assert inside.mean() >= 0.8
    assert curve.records.min() == pytest.approx(400, abs=1)


def test_reliability_counts_records_not_rows():
    probs, truth = drawn(1.5, n=200)
    counts = np.arange(200) % 4 + 1
    weighted = reliability_curve(probs, truth, counts)
    repeated = reliability_curve(np.repeat(probs, counts, axis=0), np.repeat(truth, counts))
    assert np.allclose(weighted.accuracy, repeated.accuracy)
    assert np.allclose(weighted.low, repeated.low)
    with pytest.raises(VotesError, match="n_bins"):
        reliability_curve(probs, truth, n_bins=0)


def test_intervals_hold_the_score_and_narrow_with_records():
    probs, truth = drawn(1.5)
    many, few = score_intervals(probs, truth), score_intervals(probs[:100], truth[:100])
    for name in ("accuracy", "log_loss", "brier"):
        assert many[name].low < many[name].value < many[name].high
        assert many[name].high - many[name].low < few[name].high - few[name].low
    assert score_intervals(probs, truth, random_state=1) == score_intervals(
        probs, truth, random_state=1
    )


@pytest.mark.data
@pytest.mark.skipif(data_folder() is None, reason="no data sets: set LABELMILL_DATA")
@pytest.mark.parametrize("size", [50, 100, 200])
def test_temperature_improves_log_loss_on_average(size):
    found = [
        calibrated_scores(*load_lf(data_folder(), name), size, draw)
        for name in LF_SETS
        for draw in DRAWS
    ]
    plain, calibrated = np.mean(found, axis=0)
    assert calibrated[0] == pytest.approx(plain[0])
    assert calibrated[1] < plain[1] - 0.004


def test_a_model_set_later_brings_its_number_of_classes():
    votes = np.array([[0, 1], [1, 1], [0, 0]])
    model = CalibratedModel().set_params(model=LabelModel(3)).fit(votes)
    assert model.n_classes_ == 3
    model.set_params(model=LabelModel()).fit(votes)
    assert model.n_classes_ == 2
