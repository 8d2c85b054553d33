"""Gates: what stops a version, what an operator may accept, and the divergence of labels."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.gates import GATES, check_gates, jensen_shannon, refused
from labelmill.jobspec import JobSpec
from labelmill.manifest import Manifest


def job_of(**changes):
    value = {
        "name": "n",
        "input": {"uri": "x", "id": "id"},
        "labels": ["ham", "spam"],
        "lfs": ["lfs.py"],
        "output": {"uri": "out"},
    }
    return JobSpec.model_validate({**value, **changes})


def counts_of(rows=100, **changes):
    counts = {"rows": rows, "bad_records": 0, "duplicate_ids": 0, "covered": rows}
    return {**counts, "class_counts": [rows // 2, rows - rows // 2], **changes}


def parent_of(counts, class_names=("ham", "spam")):
    return Manifest(
        version=3,
        parent=None,
        parent_digest=None,
        name="n",
        class_names=class_names,
        lfs=(),
        inputs_digest="i",
        spec={},
        shards=(),
        files=(),
        model_digest="m",
        counts=counts,
        summary={},
        gates=(),
    )


def stopped(counts, parent=None, accept=(), **changes):
    return [gate.name for gate in refused(check_gates(job_of(**changes), counts, parent, accept))]


def test_good_version_passes_every_gate():
    results = check_gates(job_of(), counts_of(), parent_of(counts_of()))
    assert [result.name for result in results] == list(GATES)
    assert all(result.passed and not result.accepted for result in results)
    json.dumps([result.to_dict() for result in results], allow_nan=False)


def test_first_version_is_compared_with_nothing():
    assert [r.name for r in check_gates(job_of(), counts_of(), None)] == list(GATES[:3])


@pytest.mark.parametrize(("bad", "names"), [(1, []), (2, ["bad_records"])])
def test_unreadable_records_stop_above_their_share(bad, names):
    assert stopped(counts_of(999, bad_records=bad)) == names


def test_corpus_of_unreadable_records_alone_is_stopped():
    assert stopped(counts_of(0, bad_records=1)) == ["bad_records"]


def test_repeated_ids_stop_only_when_they_are_errors():
    counts = counts_of(duplicate_ids=2)
    assert stopped(counts) == []
    spec = {"uri": "x", "id": "id", "on_duplicate_id": "error"}
    assert stopped(counts, input=spec) == ["duplicate_ids"]


def test_coverage_stops_below_its_least():
    gates = {"min_coverage": 0.5}
    assert stopped(counts_of(covered=50), gates=gates) == []
    assert stopped(counts_of(covered=49), gates=gates) == ["coverage"]


@pytest.mark.parametrize(("rows", "names"), [(200, []), (80, []), (79, ["row_loss"])])
def test_losing_rows_stops_and_gaining_does_not(rows, names):
    assert stopped(counts_of(rows), parent_of(counts_of(100))) == names


@pytest.mark.parametrize(
    ("covered", "names"), [(80, []), (40, []), (39, ["coverage_loss"]), (0, ["coverage_loss"])]
)
def test_functions_that_fall_silent_stop(covered, names):
    parent = parent_of(counts_of(covered=80))
    assert stopped(counts_of(covered=covered), parent) == names


def test_shift_of_labels_stops():
    counts = counts_of(class_counts=[5, 95])
    assert stopped(counts, parent_of(counts_of())) == ["label_shift"]


def test_shift_is_not_measured_between_different_classes():
    parent = parent_of(counts_of(class_counts=[100, 0]), class_names=("ham", "eggs"))
    assert "label_shift" not in [r.name for r in check_gates(job_of(), counts_of(), parent)]


def test_version_without_rows_passes_unless_rows_were_lost():
    empty = counts_of(0)
    assert stopped(empty) == []
    assert stopped(empty, parent_of(empty)) == []
    assert stopped(empty, parent_of(counts_of())) == ["row_loss", "coverage_loss"]
    assert stopped(counts_of(), parent_of(empty)) == []


def test_operator_accepts_gates_by_name():
    counts, parent = counts_of(10, class_counts=[10, 0]), parent_of(counts_of())
    assert stopped(counts, parent) == ["row_loss", "label_shift"]
    assert stopped(counts, parent, accept=["row_loss"]) == ["label_shift"]
    results = check_gates(job_of(), counts, parent, ["row_loss", "label_shift", "coverage"])
    assert [r.name for r in results if r.accepted] == ["row_loss", "label_shift"]


def test_message_tells_numbers_and_remedy():
    (gate,) = refused(check_gates(job_of(), counts_of(10), parent_of(counts_of(1000))))
    assert "10 records, 99.0% fewer than the 1,000 of version 3" in gate.message
    assert "--accept row_loss" in gate.message


HISTOGRAMS = st.integers(1, 6).flatmap(
    lambda k: st.tuples(*[st.lists(st.integers(0, 10**9), min_size=k, max_size=k)] * 2)
)


@given(HISTOGRAMS)
def test_divergence_is_symmetric_and_between_zero_and_one(pair):
    a, b = pair
    assert 0.0 <= jensen_shannon(a, b) <= 1.0
    assert jensen_shannon(a, b) == pytest.approx(jensen_shannon(b, a), abs=1e-12)


@given(HISTOGRAMS, st.integers(1, 1000))
def test_divergence_is_of_shares_not_of_counts(pair, factor):
    a, b = pair
    assert jensen_shannon(a, [factor * n for n in a]) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon([factor * n for n in a], b) == pytest.approx(
        jensen_shannon(a, b), abs=1e-9
    )


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_histograms_without_common_classes_diverge_fully(a, b):
    assert jensen_shannon([a, 0], [0, b]) == pytest.approx(1.0)


def test_empty_histogram_diverges_from_nothing():
    assert jensen_shannon([0, 0], [3, 1]) == 0.0
