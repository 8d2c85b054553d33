from __future__ import annotations

import numpy as np
import pytest

from benchmarks.datasets import CROWD_SETS, LF_SETS, data_folder, load_crowd, load_lf
from benchmarks.quality import default_scores, gold_scores, majority_scores

FOLDER = data_folder()
# One draw of 50 records moves the mean accuracy by .008 (one standard deviation); 30 draws
# bring that to .0015, a third of the tolerance.
DRAWS = 30
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(FOLDER is None, reason="no data sets: set LABELMILL_DATA to their folder"),
]

MAJORITY_ACCURACY = dict(
    zip(LF_SETS, (0.496, 0.787, 0.789, 0.628, 0.885, 0.544, 0.728, 0.852), strict=True)
)
DEFAULT_ACCURACY = dict(
    zip(LF_SETS, (0.508, 0.890, 0.842, 0.657, 0.889, 0.594, 0.747, 0.883), strict=True)
)
CROWD_ACCURACY = dict(
    zip(CROWD_SETS, (0.9317, 0.8426, 0.6490, 0.9275, 0.8383, 0.8015), strict=True)
)


@pytest.mark.parametrize("name", LF_SETS)
def test_labeling_functions_score_as_published(name):
    votes, gold, k = load_lf(FOLDER, name)
    assert majority_scores(votes, gold, k)[0] == pytest.approx(MAJORITY_ACCURACY[name], abs=1e-3)
    assert default_scores(votes, gold, k)[0] == pytest.approx(DEFAULT_ACCURACY[name], abs=3e-3)


@pytest.mark.parametrize("name", CROWD_SETS)
def test_crowds_score_as_published(name):
    votes, gold, k = load_crowd(FOLDER, name)
    assert default_scores(votes, gold, k)[0] == pytest.approx(CROWD_ACCURACY[name], abs=3e-3)


def test_mean_over_labeling_function_sets():
    means = np.mean([default_scores(*load_lf(FOLDER, name)) for name in LF_SETS], axis=0)
    assert means[0] == pytest.approx(0.7513, abs=3e-3)
    assert means[1] == pytest.approx(0.720, abs=0.01)
    assert means[2] == pytest.approx(0.128, abs=0.01)


def test_mean_over_crowds():
    means = np.mean([default_scores(*load_crowd(FOLDER, name)) for name in CROWD_SETS], axis=0)
    assert means[0] == pytest.approx(0.8318, abs=3e-3)
    assert means[1] == pytest.approx(0.515, abs=0.01)


@pytest.mark.parametrize(
    ("size", "accuracy", "loss"), [(50, 0.766, 0.643), (100, 0.772, 0.622), (200, 0.777, 0.593)]
)
def test_gold_improves_the_mean_as_published(size, accuracy, loss):
    means = np.mean(
        [gold_scores(*load_lf(FOLDER, name), size, range(DRAWS)) for name in LF_SETS], axis=0
    )
    assert means[0] == pytest.approx(accuracy, abs=0.005)
    assert means[1] == pytest.approx(loss, abs=0.01)
