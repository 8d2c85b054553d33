"""Comparisons of a column with a value, against what plain Python says."""

from __future__ import annotations

import datetime as dt
import operator
import pickle
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.comparing import OPERATORS, compare
from labelmill.errors import LabelingFunctionError
from labelmill.votes import LFInfo, LFTable

ORDER = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
         ">": operator.gt, ">=": operator.ge}  # fmt: skip


def hits(column: Any, op: str, value: Any = None, kind: pa.DataType | None = None) -> list[bool]:
    array = column if isinstance(column, pa.Array) else pa.array(column, kind)
    batch = pa.RecordBatch.from_arrays([array], ["x"])
    lf = compare("f", field="x", op=op, value=value, label="spam")
    lf.check(batch.schema)
    return [vote == "spam" for vote in lf.votes(batch).to_pylist()]


def problem(column: Any, op: str, value: Any = None, kind: pa.DataType | None = None) -> str:
    with pytest.raises(LabelingFunctionError) as error:
        hits(column, op, value, kind)
    return str(error.value)


@pytest.mark.parametrize("op", ORDER)
@given(
    kind=st.sampled_from([pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.float64()]),
    values=st.lists(st.none() | st.integers(0, 100), min_size=1, max_size=6),
    bound=st.integers(-300, 300) | st.floats(-150, 150) | st.decimals(-99, 99, places=2),
)
def test_numbers_compare_as_in_python_whatever_their_types(op, kind, values, bound):
    bound = float(bound) if pa.types.is_floating(kind) else bound
    expected = [v is not None and bool(ORDER[op](v, bound)) for v in values]
    assert hits(values, op, bound, kind) == expected


def test_large_integers_are_not_rounded():
    big = 2**53
    assert hits([big, big + 1], "==", big + 1) == [False, True]
    assert hits([2**64 - 1, 0], ">", 2**63, pa.uint64()) == [True, False]
    assert hits([1, 2], "<", 2**70) == [True, True]
    assert hits([1, 2], ">=", -(2**70)) == [True, True]
    assert hits([1, 2], "==", 2**70) == [False, False]


def test_floats_compare_in_the_columns_precision():
    assert hits([0.1, 0.2], "==", 0.1, pa.float32()) == [True, False]
    assert hits([0.1, 0.5], "<", 0.1, pa.float32()) == [False, False]
    assert hits([1.5, 2.5], "<", 2, pa.float16()) == [True, False]
    assert hits([1.0, 2.0], "<", 1e300, pa.float32()) == [True, True]


def test_decimals_compare_with_any_number():
    column = pa.array([Decimal("1.10"), Decimal("2.50"), None])
    assert hits(column, "==", 1.1) == [True, False, False]
    assert hits(column, ">", Decimal("1.1")) == [False, True, False]
    assert hits(column, "in", [2.5, 7]) == [False, True, False]


@pytest.mark.parametrize("op", [op for op in OPERATORS if "null" not in op])
def test_a_missing_value_is_never_voted_on(op):
    value: Any = 3
    if op.endswith("in") or "between" in op:
        value = [1, 2]
    elif op in ("contains", "starts with", "ends with"):
        assert hits([None, None], op, "a", pa.string()) == [False, False]
        assert hits([None, None], op, "a", pa.null()) == [False, False]
        return
    column = pa.array([None, None], pa.string() if "length" in op else pa.float64())
    assert hits(column, op, value) == [False, False]
    if "length" not in op:
        assert hits([float("nan")], op, value) == [False]


def test_null_and_nan_are_found_by_is_null():
    column = [None, float("nan"), 0.0]
    assert hits(column, "is null") == [True, True, False]
    assert hits(column, "not null") == [False, False, True]
    assert hits([None], "is null", kind=pa.null()) == [True]
    assert hits([None, "", "a"], "not null") == [False, True, True]


def test_text():
    column = ["apple", "Banana", "", None]
    assert hits(column, "==", "apple") == [True, False, False, False]
    assert hits(column, "!=", "apple") == [False, True, True, False]
    assert hits(column, "<", "a") == [False, True, True, False]
    assert hits(column, "in", ["Banana", "x"]) == [False, True, False, False]
    assert hits(column, "not in", {"Banana", "x"}) == [True, False, True, False]
    assert hits(column, "between", ["a", "b"]) == [True, False, False, False]
    assert hits(column, "contains", "an") == [False, True, False, False]
    assert hits(column, "starts with", "app") == [True, False, False, False]
    assert hits(column, "ends with", "e") == [True, False, False, False]
    assert hits(["a.c", "abc"], "contains", "a.c") == [True, False]
    assert hits(["a", "b"], "==", "a", pa.large_string()) == [True, False]
    assert hits(pa.array(["a", "b", None]).dictionary_encode(), "!=", "a") == [False, True, False]


def test_length_counts_characters_and_elements():
    assert hits(["é中", "abc", None], "length ==", 2) == [True, False, False]
    assert hits([[1], [], None, [1, 2]], "length between", [1, 2]) == [True, False, False, True]


def test_lists_contain_elements():
    column = pa.array([["x"], ["a", "b"], None, [], ["b", None]])
    assert hits(column, "contains", "b") == [False, True, False, False, True]
    assert hits(column.slice(1), "contains", "b") == [True, False, False, True]
    assert hits(pa.array([[1, 2], [3]]), "contains", 3) == [False, True]


def test_booleans():
    assert hits([True, False, None], "==", True) == [True, False, False]
    assert hits([True, False, None], "!=", True) == [False, True, False]
    assert "'<' means nothing" in problem([True], "<", True)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times_compare_with_iso_text_whatever_unit_and_zone(unit, zone):
    moments = [dt.datetime(2024, 5, 1, 12), dt.datetime(2024, 5, 2), None]
    column = pa.array(moments, pa.timestamp(unit, zone))
    assert hits(column, ">=", "2024-05-02") == [False, True, False]
    assert hits(column, "==", "2024-05-01T14:00:00+02:00") == [True, False, False]
    assert hits(column, "<", "2024-05-01T12:00:00.000001Z") == [True, False, False]
    assert hits(column, "!=", dt.date(2024, 5, 2)) == [True, False, False]
    assert hits(column, "between", ["1066-10-14", "9999-12-31"]) == [True, True, False]


def test_dates():
    for kind in (pa.date32(), pa.date64()):
        column = pa.array([dt.date(2024, 5, 1), dt.date(2024, 5, 2), None], kind)
        assert hits(column, "==", "2024-05-01") == [True, False, False]
        assert hits(column, "<", "2024-05-01T12:00:00") == [True, False, False]
        assert hits(column, "in", ["2024-05-02"]) == [False, True, False]
        assert hits(column, "==", "2024-05-01T12:00:00") == [False, False, False]


def test_what_a_list_holds_under_null_is_no_element():
    values = pa.array(["a", "b", "a"])
    column = pa.ListArray.from_arrays([0, 1, 2, 3], values, mask=pa.array([False, True, False]))

    assert hits(column, "contains", "b") == [False, False, False]
    assert hits(column, "contains", "a") == [True, False, True]
    assert hits(column.slice(1), "contains", "a") == [False, True]


def test_between_orders_times_given_as_text_by_their_instants():
    start, end = "2024-05-01T23:00:00+09:00", "2024-05-01T15:00:00Z"
    column = [dt.datetime(2024, 5, 1, 14, 30), dt.datetime(2024, 5, 1, 16)]

    assert hits(column, "between", [start, end], pa.timestamp("us")) == [True, False]
    with pytest.raises(LabelingFunctionError, match="nothing is between"):
        compare("f", field="x", op="between", value=[end, start], label=1)
    assert hits(column, "between", [dt.date(2024, 5, 1), end], pa.timestamp("us")) == [True, False]


def test_nested_fields_are_named_by_a_list():
    rows = [{"city": "Rome", "at": {"n": 3}}, {"city": None, "at": None}, None]
    batch = pa.RecordBatch.from_arrays([pa.array(rows)], ["user"])
    city = compare("c", field=["user", "city"], op="==", value="Rome", label=1)
    deep = compare("d", field=["user", "at", "n"], op=">", value=2, label=1)
    missing = compare("m", field=["user", "city"], op="is null", label=1)
    assert city.columns == ("user",)
    assert city.votes(batch).to_pylist() == [1, None, None]
    assert deep.votes(batch).to_pylist() == [1, None, None]
    assert missing.votes(batch).to_pylist() == [None, 1, 1]
    with pytest.raises(LabelingFunctionError, match=r"has the fields city, at, so .* 'cty'"):
        compare("e", field=["user", "cty"], op="is null", label=1).check(batch.schema)


def test_wrong_types_are_named_when_the_job_is_planned():
    message = problem(["a"], "==", 5)
    assert "compare 'f': column 'x' is string, so it compares with text, got 5" in message
    assert "column 'x' is int64, so it compares with a number, got 'a'" in problem([1], "<", "a")
    assert "a number, got True" in problem([1], "==", True)
    assert "a date or time such as" in problem([dt.date(2024, 1, 1)], "<", "May")
    assert "a date or time such as" in problem([dt.date(2024, 1, 1)], "<", 5)
    assert "is for text and lists" in problem([1], "contains", 5)
    assert "which has no length" in problem([1], "length <", 5)
    assert "which cannot be compared" in problem([b"a"], "==", "a")
    with pytest.raises(LabelingFunctionError, match=r"no column 'txt'; did you mean 'text'\?"):
        compare("f", field="txt", op="is null", label=1).check(pa.schema({"text": pa.string()}))


@pytest.mark.parametrize(
    ("op", "value", "message"),
    [
        ("=", 1, "unknown op '='; did you mean '=='?"),
        ("in", "abc", "takes a list of values, got 'abc'"),
        ("in", [], "at least one value"),
        ("in", ["a", None], "use 'is null'"),
        ("==", [1], "takes one value"),
        ("==", None, "use 'is null'"),
        ("==", float("nan"), "no finite number"),
        ("is null", 3, "takes no value, got 3"),
        ("between", [1], "takes two values, got 1"),
        ("between", [2, 1], "nothing is between 2 and 1"),
        ("between", ["a", 1], "two values of a kind"),
        ("contains", "", "every text contains the empty text"),
        ("length <", 1.5, "whole numbers, got 1.5"),
        ("==", b"a", "no text, number"),
        ("==", 10**400, "too large"),
    ],
)
def test_values_that_do_not_fit_the_operator(op, value, message):
    with pytest.raises(LabelingFunctionError) as error:
        compare("f", field="x", op=op, value=value, label=1)
    assert message in str(error.value)
    assert str(error.value).startswith("compare 'f': ")


def test_identity_is_plain_and_forgets_the_order_of_a_list():
    a = compare("a", field="x", op="in", value=["p", "q"], label=1)
    b = compare("b", field="x", op="in", value=["q", "p"], label=1)
    assert a.identity() == b.identity()
    assert (
        a.identity() != compare("a", field="x", op="not in", value=["p", "q"], label=1).identity()
    )
    day = compare("d", field="x", op="<", value=dt.date(2024, 5, 1), label=1)
    assert day.identity()["operands"] == ["2024-05-01T00:00:00+00:00"]
    assert pickle.loads(pickle.dumps(a)) == a


def test_one_record_and_a_job_see_the_same():
    from labelmill.apply import apply_functions

    lf = compare("cheap", field="price", op="<", value=5, label="spam")
    batch = pa.RecordBatch.from_pydict({"__id__": ["a", "b"], "price": [3, 9]})
    applied = apply_functions(batch, [lf], LFTable((LFInfo("cheap", ""),), ("ham", "spam")))
    assert applied.votes.column("labels").to_pylist() == [[1], []]
    assert [lf(SimpleNamespace(price=p)) for p in (3, 9, None)] == ["spam", None, None]


@pytest.mark.parametrize("kind", [pa.decimal128(10, 2), pa.decimal128(38, 9), pa.decimal256(50, 3)])
@pytest.mark.parametrize("as_given", [lambda v: v, float], ids=["decimal", "float"])
def test_decimals_compare_exactly(kind, as_given):
    values = [Decimal(n) / 100 for n in range(-300, 3000, 7)]
    batch = pa.RecordBatch.from_arrays([pa.array([*values, None], kind)], names=["x"])
    for value in values[::17]:
        for op, holds in (
            ("==", lambda v: v == value),  # noqa: B023 - called at once
            ("!=", lambda v: v != value),  # noqa: B023
            ("<", lambda v: v < value),  # noqa: B023
            (">=", lambda v: v >= value),  # noqa: B023
        ):
            lf = compare("c", field="x", op=op, value=as_given(value), label=0)
            expected = [0 if holds(v) else None for v in values]
            assert lf.votes(batch).to_pylist() == [*expected, None], (op, value)
