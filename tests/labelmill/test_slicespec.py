"""Slices in a job file: what is refused and where, what is read, the gate, drift of versions."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from test_gates import LFS, check, counts_of, parent_of

from labelmill.errors import JobSpecError, LabelingFunctionError
from labelmill.job import prepare_job
from labelmill.jobfile import load_job
from labelmill.jobspec import spec_content
from labelmill.slicedrift import slice_drifts
from labelmill.versionchanges import changes_between

HEAD = """\
name: n
input: {uri: x}
labels: [ham, spam]
lfs: [{keywords: {name: money, label: spam, words: [cash]}}]
output: {uri: out}
slices:
"""


def load(folder, *slices):
    (folder / "job.yaml").write_text(HEAD + "".join(f"  {line}\n" for line in slices))
    return load_job(folder / "job.yaml")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a: {}", "slices.a: must be a mapping with keywords, regex, field and op, ..., got {}"),
        ("a:", "slices.a: must be a mapping with keywords, regex, field and op, ..., got nothing"),
        ("a: [x]", "slices.a: must be a mapping with keywords, regex, field and op, ..., got"),
        ("a: money", "slices.a: 'money' would be the name of a function; a slice is told by col"),
        ("a: {all: {of: [money]}}", "slices.a: 'money' would be the name of a function"),
        ("a: {kewords: {words: [x]}}", "unknown key 'kewords'; did you mean 'keywords'?"),
        ("a: {keywords: {wrds: [x]}}", "unknown key 'wrds'; did you mean 'words'?"),
        ("a: {not: {keywords: {wrds: [x]}}}", "unknown key 'wrds'; did you mean 'words'?"),
        ("a: {all: {of: [{regex: {pattern: x, feild: y}}]}}", "unknown key 'feild'; did you me"),
        ("a: {keywords: {words: []}}", "slices.a.keywords.words: needs at least 1, got []"),
        ("a: {any: {of: []}}", "slices.a.any.of: needs at least 1, got []"),
        ("a: {regex: {pattern: '('}}", "slices.a: pattern '(' does not compile"),
        ("a: {field: b, op: is nul}", "slices.a: unknown op 'is nul'; did you mean 'is null'?"),
        ("a: {field: b, op: in, value: 3}", "slices.a: op 'in' takes a list of values, got 3"),
        ("a: {field: b, op: '<', value: 3, label: ham}", "unknown key 'label'; keys here: keyw"),
        ("a: {keywords: {words: [x]}, regex: {pattern: x}}", "a slice has one predicate; put se"),
        ("a: {prompted: {}}", "slices.a: 'prompted' cannot be used here; keys here: keywords"),
        ("'': {keywords: {words: [x]}}", "slices.: must not be empty"),
        ("1: {keywords: {words: [x]}}", "slices.1: must be text, got 1; quote it"),
    ],
)
def test_what_is_no_predicate_is_one_line_with_its_place(tmp_path, line, problem):
    with pytest.raises(JobSpecError) as caught:
        load(tmp_path, line)
    assert str(caught.value).startswith(f"{tmp_path}/job.yaml:7: {problem}")
    assert "\n" not in str(caught.value)


def test_name_given_twice_is_told_with_its_line(tmp_path):
    with pytest.raises(JobSpecError, match=r"job.yaml:8: key 'a' is given twice$"):
        load(tmp_path, "a: {keywords: {words: [x]}}", "a: {keywords: {words: [y]}}")


def test_file_of_words_is_found_beside_the_job_file_and_counts_in_the_fingerprint(tmp_path):
    line = "a: {keywords: {words_file: words.txt}}"
    with pytest.raises(LabelingFunctionError, match="slices: keywords 'a': there is no file"):
        prepare_job(*load(tmp_path, line))
    prints = []
    for word in ("x", "y"):
        (tmp_path / "words.txt").write_text(word)
        prepared = prepare_job(*load(tmp_path, line))
        prints.append(prepared.slices.table.lfs[0].fingerprint)
        assert [file.path for file in prepared.data_files()] == [str(tmp_path / "words.txt")]
    assert prints[0] != prints[1]


def test_job_without_slices_is_what_it_was_before_there_were_any(tmp_path):
    with_slices, _ = load(tmp_path, "a: {keywords: {words: [x]}}")
    without = spec_content(with_slices.model_copy(update={"slices": {}}))
    assert "slices" not in without
    assert spec_content(with_slices) == without | {
        "slices": spec_content(with_slices)["slices"],
    }


def summary(name="long", records=100, covered=50, class_counts=(20, 30), gold=None):
    return {
        "name": name,
        "records": records,
        "covered": covered,
        "class_counts": list(class_counts),
        "undecided": 0,
        "gold": gold,
    }


def version(*slices, classes=("ham", "spam"), **predicates):
    manifest = parent_of(counts_of(), classes)
    spec = {"slices": predicates or {one["name"]: "same" for one in slices}}
    return replace(manifest, summary={**without_slices(), "slices": list(slices)}, spec=spec)


def without_slices():
    lfs = [{"name": lf.name, "quarantined": False} for lf in LFS]
    return {"lfs": lfs, "model": {"fallback": None}, "gold": None}


def test_gate_looks_at_the_slice_that_is_covered_least_and_skips_empty_ones():
    slices = [summary("a", covered=90), summary("b", covered=40), summary("c", records=0)]
    found = {**without_slices(), "slices": slices}

    def gate(least):
        results = check(counts_of(), summary=found, gates={"min_slice_coverage": least})
        return next(r for r in results if r.name == "slice_coverage")

    assert (gate(0.4).passed, gate(0.4).value, gate(0.4).message) == (True, 0.4, "")
    assert not gate(0.41).passed
    assert "40.0% of the 100 records of slice 'b', less than gates.min_slice" in gate(0.41).message
    assert "slice_coverage" not in [r.name for r in check(counts_of(), summary=without_slices())]


def test_drift_compares_slices_with_the_same_predicate():
    gold = {"n": 10, "right": 9, "accuracy": 0.9, "low": 0.6, "high": 1.0}
    before = version(summary(gold=gold), summary("old"), summary("edited"))
    after = version(
        *(summary(name, 200, 150, (150, 0)) for name in ("long", "edited", "new")),
        long="same", edited="other", new="same",
    )  # fmt: skip

    (drift,) = slice_drifts(before, after)

    assert asdict(drift) | {"label_shift": 0} == {
        "name": "long",
        "records_before": 100,
        "records": 200,
        "coverage_before": 0.5,
        "coverage": 0.75,
        "label_shift": 0,
        "accuracy_before": 0.9,
        "accuracy": None,
    }
    assert 0.3 < drift.label_shift < 0.4
    changes = changes_between(before, after)
    names = changes.slices
    assert (names.added, names.removed, names.edited) == (("new",), ("old",), ("edited",))
    assert (changes.settings, changes.slice_drift) == ((), (drift,))


def test_drift_goes_by_the_names_of_classes():
    same = version(summary(class_counts=(30, 20)), classes=("spam", "ham"))
    other = version(summary(), classes=("ham", "junk"))
    assert slice_drifts(version(summary()), same)[0].label_shift == 0
    assert slice_drifts(version(summary()), other)[0].label_shift is None
    assert slice_drifts(version(), version(summary())) == ()
