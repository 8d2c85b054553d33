"""Gates: what stops a version, what an operator may accept, and the divergence of labels."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.gates import GATES, check_gates, refused
from labelmill.gates_result import Candidate
from labelmill.jobspec import JobSpec
from labelmill.manifest import Manifest
from labelmill.shifts import jensen_shannon, rate_shift
from labelmill.votes import LFInfo
from labelmodel.metrics import wilson_interval


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
    counts["votes"] = [rows // 2, rows // 5]
    return {**counts, "class_counts": [rows // 2, rows - rows // 2], **changes}


LFS = (LFInfo("a", "fa"), LFInfo("b", "fb"))


def summary_of(quarantined=(), fallback=None, right=90, n=100):
    low, high = wilson_interval(right, n)
    score = {"accuracy": right / n, "accuracy_low": low, "accuracy_high": high, "n": n}
    return {
        "lfs": [{"name": lf.name, "quarantined": lf.name in quarantined} for lf in LFS],
        "model": {"fallback": fallback},
        "gold": {"eval_records": n, "model": {"all": score}},
        "slices": [{"name": "long", "records": 50, "covered": 20}],
    }


def check(counts, parent=None, accept=(), lfs=LFS, summary=None, audited=None, **changes):
    candidate = Candidate(lfs, counts, summary or summary_of())
    return check_gates(job_of(**changes), candidate, parent, accept, audited)


def parent_of(counts, class_names=("ham", "spam"), **summary):
    return Manifest(
        version=3,
        parent=None,
        parent_digest=None,
        name="n",
        class_names=class_names,
        lfs=tuple(asdict(lf) for lf in LFS),
        inputs_digest="i",
        spec={},
        shards=(),
        files=(),
        model_digest="m",
        counts=counts,
        summary=summary_of(**summary),
        gates=(),
    )


def stopped(counts, parent=None, accept=(), **options):
    return [gate.name for gate in refused(check(counts, parent, accept, **options))]


def test_good_version_passes_every_gate():
    results = check(counts_of(), parent_of(counts_of()), audited=0.8)
    assert [result.name for result in results] == list(GATES)
    assert all(result.passed and not result.accepted for result in results)
    json.dumps([result.to_dict() for result in results], allow_nan=False)


def test_first_version_is_compared_with_nothing():
    assert [r.name for r in check(counts_of())] == list(GATES[:6])


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


@pytest.mark.parametrize(
    ("names", "before", "now", "shift"),
    [
        (("ham",), [100], [100, 0], 0),  # a class was added that nothing has
        (("ham",), [100], [50, 50], 0.311),
        (("ham", "eggs", "spam"), [50, 0, 50], [50, 50], 0),  # one was removed that nothing had
        (("ham", "eggs"), [50, 50], [50, 50], 0.5),  # one was renamed, or replaced
        (("spam", "ham"), [90, 10], [10, 90], 0),  # they are in another order
        (("eggs",), [100], [50, 50], 1),
    ],
)
def test_shift_is_measured_class_by_class_by_name(names, before, now, shift):
    parent = parent_of(counts_of(class_counts=before), class_names=names)
    found = {gate.name: gate for gate in check(counts_of(class_counts=now), parent)}
    assert found["label_shift"].value == pytest.approx(shift, abs=0.001)
    assert found["label_shift"].passed == (shift <= 0.1)


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
    results = check(counts, parent, ["row_loss", "label_shift", "coverage"])
    assert [r.name for r in results if r.accepted] == ["row_loss", "label_shift"]


def test_message_tells_numbers_and_remedy():
    (gate,) = refused(check(counts_of(10), parent_of(counts_of(1000))))
    assert "10 records, 99.0% fewer than the 1,000 of version 3" in gate.message
    assert "--accept row_loss" in gate.message


def test_function_that_falls_silent_stops_unless_it_was_edited():
    before, now = counts_of(10_000), counts_of(10_000, votes=[5_000, 100])
    assert stopped(now, parent_of(before)) == ["vote_shift"]
    edited = (LFS[0], LFInfo("b", "other"))
    assert stopped(now, parent_of(before), lfs=edited) == []
    assert stopped(now, parent_of(before), gates={"max_vote_shift": 1.0}) == []


def test_function_that_begins_to_fail_counts_as_silent():
    counts = counts_of(10_000)
    failing = summary_of(quarantined=["b"])
    assert stopped(counts, parent_of(counts), summary=failing) == ["vote_shift"]
    assert stopped(counts, parent_of(counts, quarantined=["b"]), summary=failing) == []


def test_too_many_failing_functions_stop():
    gates = {"max_failing_functions": 0.5}
    failing = summary_of(quarantined=["a", "b"])
    assert stopped(counts_of(), summary=failing, gates=gates) == ["failing_functions"]
    assert stopped(counts_of(), summary=summary_of(quarantined=["a"]), gates=gates) == []
    assert stopped(counts_of(), summary=failing) == []


@pytest.mark.parametrize(("right", "names"), [(70, []), (60, ["gold_accuracy"])])
def test_accuracy_stops_when_its_whole_interval_is_too_low(right, names):
    summary = summary_of(right=right)
    assert stopped(counts_of(), summary=summary, gates={"min_gold_accuracy": 0.75}) == names


@pytest.mark.parametrize(("right", "names"), [(85, []), (75, ["gold_loss"])])
def test_drop_of_accuracy_beyond_its_interval_stops(right, names):
    parent = parent_of(counts_of(), right=90)
    assert stopped(counts_of(), parent, summary=summary_of(right=right)) == names


def test_model_that_was_trusted_and_is_no_longer_stops():
    collapsed = summary_of(fallback="collapsed")
    assert stopped(counts_of(), summary=collapsed) == []
    assert stopped(counts_of(), parent_of(counts_of()), summary=collapsed) == ["model_fallback"]
    assert stopped(counts_of(), parent_of(counts_of(), fallback="x"), summary=collapsed) == []
    allowed = {"allow_fallback": True}
    assert stopped(counts_of(), parent_of(counts_of()), summary=collapsed, gates=allowed) == []


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_vote_shift_is_symmetric_and_between_zero_and_one(a, b):
    assert 0.0 <= rate_shift(a, 1000, b, 1000) <= 1.0
    assert rate_shift(a, 1000, b, 1000) == rate_shift(b, 1000, a, 1000)
    assert rate_shift(a, 1000, a, 1000) == 0.0


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


def test_audit_of_the_current_version_counts_by_the_least_that_it_says():
    limits = {"gates": {"min_audit_accuracy": 0.8}}
    parent = parent_of(counts_of())
    assert stopped(counts_of(), parent, audited=0.79, **limits) == ["audit_accuracy"]
    assert not stopped(counts_of(), parent, ["audit_accuracy"], audited=0.79, **limits)
    assert not stopped(counts_of(), parent, audited=0.8, **limits)
    assert not stopped(counts_of(), parent, **limits)  # nobody audited it
