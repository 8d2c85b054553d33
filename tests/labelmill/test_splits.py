"""Splits and samples by hash."""

import numpy as np
import pyarrow as pa
import pytest

from labelmill.errors import JobSpecError
from labelmill.splits import Splits, balanced_shares, sampled

IDS = pa.array([f"record {n}" for n in range(20_000)])


def test_shares_are_about_what_was_asked_for():
    numbers = Splits.parse("train=.7, dev=.1,test=0.2").of(IDS)

    shares = np.bincount(numbers) / len(IDS)
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.015)


def test_a_record_stays_in_its_split_whatever_stands_beside_it():
    splits = Splits.parse("train=.5,test=.3")

    assert splits.of(IDS)[7:9].tolist() == splits.of(IDS.slice(7, 2)).tolist()
    assert set(splits.of(IDS).tolist()) == {0, 1, 2}


def test_shares_of_floats_that_add_up_to_one_leave_nobody_out():
    splits = Splits.parse("a=.1,b=.2,c=.7")  # in floats .9999999999999999

    assert splits.edges[-1] == 1.0


def test_a_sample_is_independent_of_the_split():
    classes = pa.array(["x"] * len(IDS))
    chosen = sampled(IDS, classes, {"x": 0.5})
    train = Splits.parse("train=.5").of(IDS) == 0

    assert np.mean(chosen) == pytest.approx(0.5, abs=0.015)
    assert np.mean(chosen[train]) == pytest.approx(0.5, abs=0.02)


def test_balance_leaves_classes_without_records_as_they_are():
    assert balanced_shares(["a", "b", "c"], [10, 0, 40]) == {"a": 1.0, "b": 1.0, "c": 0.25}


@pytest.mark.parametrize(
    "text", ["", "a", "a=", "a=x", "a=0", "a=1.1", "a=nan", "a=.5,a=.5", "a/b=1"]
)
def test_a_list_that_makes_no_sense_is_refused(text):
    with pytest.raises(JobSpecError, match="split"):
        Splits.parse(text)
