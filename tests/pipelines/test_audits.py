"""Answers to an audit: agreement, disputes, what is estimated from them, and how it is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from labelmill.audits.agreement import cohen_kappa, krippendorff_alpha
from labelmill.audits.answered import Answered, add_answers
from labelmill.audits.draws import (
    Draw,
    DrawnRecord,
    DrawStratum,
    find_stored_sheet,
    list_draws,
    read_draw,
    store_draw,
)
from labelmill.audits.results import (
    all_results,
    audited_versions,
    latest_audit,
    read_answered,
    store_result,
)
from labelmill.errors import AlreadyExistsError, CorruptFileError, JobSpecError
from labelmill.judging.answers import Answers
from labelmill.judging.sheet import Sheet, SheetRecord
from labelmill.store import Store
from pipelines.audits.estimating import estimate
from pipelines.audits.truth import truth_of


def drawn(n: int = 40, version: int = 1, by: str = "") -> Draw:
    strata = (
        DrawStratum("old" if by else "", 300, n // 2, 0.5, 0.7),
        DrawStratum("new" if by else "", 100, n // 2, 0.7, 1.0),
    )
    records = tuple(
        DrawnRecord(f"r{i}", int(i >= n // 2), ["ham", "spam"][i % 2], 0.6) for i in range(n)
    )
    return Draw(
        version, "d" * 64, "m" * 64, "mail", ("ham", "spam"), 0, by, strata, records, ("ann", "bo"),
        0.5, ("text",), False, {}, "2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def sheet_for(draw: Draw, auditor: str, ids, **about) -> Sheet:
    about = {"draw": draw.id, "auditor": auditor, "version": draw.version, **about}
    records = tuple(SheetRecord(i, "audit", {"text": "secret"}) for i in ids)
    return Sheet("audit", draw.job, draw.classes, records, about)


def answers(draw, auditor, labels, *, judge=None, unsure=(), minutes=None, **about) -> Answers:
    sheet = sheet_for(draw, auditor, [*labels, *unsure], **about)
    who = auditor if judge is None else judge
    return Answers(sheet, who, minutes, labels, frozenset(unsure), frozenset())


def right(draw: Draw, *wrong: str) -> dict[str, str]:
    other = {"ham": "spam", "spam": "ham"}
    return {r.id: other[r.predicted] if r.id in wrong else r.predicted for r in draw.records}


# The example of K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section C.
KRIPPENDORFF = [
    "1 1 . 1", "2 2 3 2", "3 3 3 3", "3 3 3 3", "2 2 2 2", "1 2 3 4", "4 4 4 4", "1 1 2 1",
    "2 2 2 2", ". 5 5 5", ". . 1 1", ". . 3 .",
]  # fmt: skip


def test_alpha_is_that_of_the_published_example():
    votes = [[-1 if v == "." else int(v) for v in row.split()] for row in KRIPPENDORFF]
    assert krippendorff_alpha(np.array(votes)) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_nothing_to_compare_is_unknown():
    assert krippendorff_alpha(np.array([[0, -1], [-1, 1]])) is None
    assert krippendorff_alpha(np.array([[1, 1], [1, 1]])) is None


def test_kappa_is_agreement_beyond_chance():
    a = np.array([0] * 25 + [1] * 25 + [1])
    b = np.array([0] * 20 + [1] * 5 + [0] * 10 + [1] * 15 + [-1])
    assert cohen_kappa(a, b) == pytest.approx(0.4)
    assert cohen_kappa(a, np.full(51, -1)) is None
    assert cohen_kappa(np.zeros(3, int), np.zeros(3, int)) is None


def test_accuracy_weighs_strata_by_what_they_stand_for():
    draw = drawn()
    wrong = [f"r{i}" for i in range(10)]  # half of the stratum that stands for 300
    result, _ = estimate(draw, Answered(labels={"ann": right(draw, *wrong)}))
    assert result.accuracy == pytest.approx(0.75 * 0.5 + 0.25)
    assert result.low < result.accuracy < result.high
    assert (result.n, result.drawn, result.population) == (40, 40, 400)
    assert result.awaited == ("bo",)
    ham = result.per_class[0]
    assert ham.precision == pytest.approx(0.625)
    assert ham.labeled == 20
    assert ham.precision_low < 0.625 < ham.precision_high


def test_disagreements_count_in_parts_until_they_are_settled():
    draw = drawn()
    told = {"ann": right(draw), "bo": right(draw, "r0", "r1")}
    result, truth = estimate(draw, Answered(labels=told))
    assert (result.twice, result.differed, result.disputed) == (40, 2, 2)
    assert truth.disputed.tolist() == [0, 1]
    assert truth.settled[:3].tolist() == [-1, -1, 0]
    assert truth.probs[0].sum() == pytest.approx(1)
    settled, truth = estimate(draw, Answered(labels=told, adjudicated={"r0": "ham", "r1": "spam"}))
    assert (settled.differed, settled.disputed, settled.accuracy) == (2, 0, 1.0)
    assert result.accuracy < 1.0
    assert settled.alpha == result.alpha == pytest.approx(0.9, abs=0.01)
    assert [c["wrong"] for c in settled.checks] == [0, 2]
    assert settled.pairs[0]["records"] == 40


def test_adjudicated_class_wins_over_unanimous_and_majority():
    draw = drawn()
    told = {"ann": right(draw, "r0"), "bo": right(draw, "r0"), "cy": right(draw)}
    truth = truth_of(draw, Answered(labels=told))
    assert truth.probs[0, 1] > 0.5  # two of three say spam
    truth = truth_of(draw, Answered(labels=told, adjudicated={"r0": "ham"}))
    assert truth.probs[0].tolist() == [1.0, 0.0]


def test_somebody_who_is_mostly_right_weighs_more():
    draw = drawn()
    wrong = [f"r{i}" for i in range(1, 18)]
    told = {"ann": right(draw), "bo": right(draw, "r0", *wrong)}
    settled = {record: right(draw)[record] for record in wrong}
    truth = truth_of(draw, Answered(labels=told, adjudicated=settled))
    assert truth.disputed.tolist() == [0]
    assert truth.probs[0, 0] > 0.9


def test_unanswered_records_are_left_out_and_counted():
    draw = drawn()
    kept = dict(list(right(draw).items())[:30])
    result, _ = estimate(draw, Answered(labels={"ann": kept}, unsure={"ann": ["r38", "r39"]}))
    assert (result.n, result.unsure) == (30, 2)
    only_first = dict(list(kept.items())[:20])
    result, _ = estimate(draw, Answered(labels={"ann": only_first}))
    assert (result.n, result.population) == (20, 400)
    with pytest.raises(JobSpecError, match="nothing can be estimated"):
        estimate(draw, Answered(unsure={"ann": ["r0"]}))


def test_slices_have_their_own_accuracy():
    draw = drawn(by="age")
    result, _ = estimate(draw, Answered(labels={"ann": right(draw, "r0", "r1", "r2", "r3", "r4")}))
    old, new = result.slices
    assert (old.name, old.records, old.n, old.accuracy) == ("old", 300, 20, pytest.approx(0.75))
    assert (new.name, new.accuracy) == ("new", 1.0)
    assert old.high < new.high


def test_answers_add_up_over_files():
    draw = drawn()
    told = Answered()
    told = add_answers(told, answers(draw, "ann", {"r0": "ham"}, minutes=3, unsure=["r9"]), "a")
    told = add_answers(told, answers(draw, "ann", {"r9": "spam"}), "a2")
    told = add_answers(told, answers(draw, "bo", {"r0": "spam"}, minutes=4), "b")
    third = answers(draw, "", {"r0": "ham"}, judge="Cy", adjudicates=True)
    told = add_answers(told, third, "c")
    assert told.labels == {"ann": {"r0": "ham", "r9": "spam"}, "bo": {"r0": "spam"}}
    assert told.unsure["ann"] == []
    assert told.adjudicated == {"r0": "ham"}
    assert (told.total_minutes, told.spent) == (7, 4)


def test_sheet_of_somebody_else_is_refused():
    draw = drawn()
    with pytest.raises(JobSpecError, match=r"f: sheet \w+ was drawn for 'ann', and 'Zoe' answered"):
        add_answers(Answered(), answers(draw, "ann", {"r0": "ham"}, judge="Zoe"), "f")
    told = add_answers(Answered(), answers(draw, "ann", {"r0": "ham"}, judge=" Ann"), "f")
    assert list(told.labels) == ["ann"]


def test_other_class_than_before_needs_replace():
    draw = drawn()
    told = add_answers(Answered(), answers(draw, "ann", {"r0": "ham"}), "f")
    again = answers(draw, "ann", {"r0": "spam"})
    with pytest.raises(JobSpecError, match="'r0' is 'spam' here and 'ham' in ann's answers"):
        add_answers(told, again, "f")
    assert add_answers(told, again, "f", replaces=True).labels["ann"]["r0"] == "spam"


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "out")


def test_draw_comes_back_and_holds_no_text(store, tmp_path):
    draw = drawn()
    sheet = sheet_for(draw, "ann", ["r0", "r1"])
    store_draw(store, draw, {"ann": sheet})
    assert read_draw(store, draw.id) == draw
    found = find_stored_sheet(store, sheet.id)
    assert found.id == sheet.id
    assert [r.id for r in found.records] == ["r0", "r1"]
    assert list_draws(store) == list_draws(store, 1) == [draw.id]
    for path in (tmp_path / "out").rglob("*.json"):
        assert "secret" not in path.read_text()
    with pytest.raises(JobSpecError, match="no audit with a sheet 'nope'"):
        find_stored_sheet(store, "nope")


def test_changed_draw_is_noticed(store):
    draw = drawn()
    store_draw(store, draw, {})
    path = f"{draw.folder}/draw.json"
    store.put(path, store.get(path).replace(b'"size": 300', b'"size": 900'))
    with pytest.raises(CorruptFileError, match="was changed after it was drawn"):
        read_draw(store, draw.id)
    store.put(path, b"{}")
    with pytest.raises(CorruptFileError, match="is no draw of an audit"):
        read_draw(store, draw.id)


def test_results_are_kept_and_the_last_one_counts(store):
    draw, later = drawn(), drawn(20, version=2)
    assert latest_audit(store, 1) is None
    first = Answered(labels={"ann": right(draw, "r0")}, minutes={"s": 5.0}, saw=[])
    second = replace(first, adjudicated={"r0": "ham"})
    for number, told in enumerate((first, second)):
        store_result(store, draw, estimate(draw, told)[0], told, number)
    told = Answered(labels={"ann": right(later)})
    store_result(store, later, estimate(later, told)[0], told, 0)
    found = latest_audit(store, 1)
    assert found is not None
    assert found == estimate(draw, second)[0]
    assert (found.accuracy, found.minutes, found.read_at[:2]) == (1.0, 5.0, "20")
    assert read_answered(store, draw) == (second, 2)
    assert sorted(audited_versions(store)) == [1, 2]
    assert len(all_results(store)) == 2


def test_two_who_read_at_once_do_not_overwrite_each_other(store):
    draw = drawn()
    for label in ("r0", "r1"):
        told = Answered(labels={"ann": right(draw, label)})
        if label == "r0":
            store_result(store, draw, estimate(draw, told)[0], told, 0)
            continue
        with pytest.raises(JobSpecError, match="at the same time; read these again") as caught:
            store_result(store, draw, estimate(draw, told)[0], told, 0)
    assert isinstance(caught.value.__cause__, AlreadyExistsError)


@pytest.mark.parametrize("damage", [b"{", b"{}", json.dumps({"format": 9}).encode()])
def test_damaged_result_is_named_but_stops_no_list(store, damage):
    draw = drawn()
    store.put(f"{draw.folder}/result-0001.json", damage)
    with pytest.raises(CorruptFileError, match=r"result-0001.json is no result of an audit"):
        latest_audit(store, 1)
    assert audited_versions(store) == {}
