"""Functions made of others."""

from __future__ import annotations

from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill import keywords, labeling_function
from labelmill.apply import apply_functions
from labelmill.columns import needed_columns
from labelmill.combining import all_of, any_of, at_least, none_of, not_
from labelmill.errors import LabelingFunctionError
from labelmill.fingerprint import fingerprint
from labelmill.labeling import Matcher
from labelmill.records import ID
from labelmill.votes import LFInfo, LFTable

A, B, C = (keywords(word, label="ham", words=[word]) for word in "abc")


def votes_of(*lfs, texts):
    table = LFTable(tuple(LFInfo(lf.name, "") for lf in lfs), ("ham", "spam"))
    batch = pa.RecordBatch.from_pydict({ID: [str(n) for n in range(len(texts))], "text": texts})
    return apply_functions(batch, lfs, table)


def held(lf, texts):
    """Return the texts that `lf` votes on, run as part of a job and one by one."""
    applied = votes_of(lf, texts=texts)
    voted = [t for t, v in zip(texts, applied.votes["lfs"].to_pylist(), strict=True) if v]
    assert voted == [text for text in texts if lf(SimpleNamespace(text=text)) == "spam"]
    return voted


TEXTS = ["", "a", "b", "c", "a b", "a c", "b c", "a b c"]
CASES = {
    "all": (all_of("f", label="spam", of=[A, B]), ["a b", "a b c"]),
    "all with not": (all_of("f", label="spam", of=[A, not_(B)]), ["a", "a c"]),
    "any": (any_of("f", label="spam", of=[A, B]), ["a", "b", "a b", "a c", "b c", "a b c"]),
    "none": (none_of("f", label="spam", of=[A, B]), ["", "c"]),
    "none of not": (none_of("f", label="spam", of=[not_(A)]), TEXTS[1:2] + TEXTS[4:6] + TEXTS[7:]),
    "two of three": (at_least(2, "f", label="spam", of=[A, B, C]), TEXTS[4:]),
    "nested": (
        all_of("f", label="spam", of=[C, any_of("g", label=0, of=[A, not_(B)])]),
        ["c", "a c", "a b c"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_combination_votes_where_enough_parts_hold(case):
    lf, expected = CASES[case]
    assert held(lf, TEXTS) == expected


@given(st.lists(st.sampled_from(TEXTS), max_size=20), st.integers(1, 3))
def test_at_least_n_counts_parts(texts, n):
    expected = [text for text in texts if len(text.split()) >= n]
    assert held(at_least(n, "f", label="spam", of=[A, B, C]), texts) == expected


def test_parts_may_be_named_and_are_run_once():
    calls = []

    @labeling_function()
    def seen(x):
        calls.append(x.text)
        return 0 if "a" in x.text else None

    first = all_of("first", label="spam", of=["seen", B])
    second = any_of("second", label="spam", of=[seen, "first"])
    applied = votes_of(second, first, seen, texts=["a", "b", "a b"])
    assert calls == ["a", "b", "a b"]
    assert applied.votes["lfs"].to_pylist() == [[0, 2], [], [0, 1, 2]]
    assert applied.outcomes.votes == (2, 1, 2)


def test_where_a_part_fails_the_combination_fails():
    @labeling_function()
    def bad(x):
        return 1 // (len(x.text) - 1) and None

    applied = votes_of(any_of("f", label=1, of=[bad, A]), texts=["a", "bb", "a b"])
    assert applied.outcomes.votes == (1,)
    assert applied.outcomes.faults == (1,)
    (fault,) = applied.faults
    assert (fault.lf, fault.id, fault.outcome) == ("f", "0", "fault")
    assert "'bad'" in fault.message


def test_votes_of_parts_that_are_no_functions_of_the_job_are_not_published():
    applied = votes_of(all_of("f", label=1, of=[A, B]), texts=["a", "a b"])
    assert applied.votes["lfs"].to_pylist() == [[], [0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: all_of("f", label=1, of=[]), "at least one function"),
        (lambda: all_of("f", label=1, of="ab"), "list"),
        (lambda: all_of("f", label=1, of=[3]), "3 is no labeling function"),
        (lambda: at_least(3, "f", label=1, of=[A, B]), "between 1 and its 2 parts"),
        (lambda: at_least(0, "f", label=1, of=[A, B]), "between 1"),
        (lambda: votes_of(all_of("f", label=1, of=["g"]), texts=[]), "'g', which is no function"),
        (lambda: votes_of(all_of("f", label=1, of=["f"]), texts=[]), "circle"),
        (lambda: votes_of(all_of("f", label="eggs", of=[A]), texts=[]), "'eggs'"),
        (lambda: all_of("f", label=1, of=["g"])(SimpleNamespace()), "only a job can look up"),
    ],
)
def test_wrong_combinations_are_refused(make, message):
    with pytest.raises(LabelingFunctionError, match=message):
        make()


def test_columns_and_fingerprints_are_those_of_the_parts():
    other = keywords("other", label=0, words=["x"], field="title")
    combined = all_of("f", label=1, of=[A, not_(other)])
    assert needed_columns([combined], []) == ["text", "title"]
    edited = Matcher(**{**vars(other), "pattern": "y"})
    prints = {
        fingerprint(lf)
        for lf in (
            combined,
            all_of("f", label=1, of=[A, not_(edited)]),
            all_of("f", label=1, of=[A, other]),
            all_of("f", label=0, of=[A, not_(other)]),
            any_of("f", label=1, of=[A, not_(other)]),
        )
    }
    assert len(prints) == 5
