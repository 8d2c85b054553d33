"""Which columns a function reads: found where its source shows them, admitted where it does not."""

from __future__ import annotations

import functools

import pytest

from labelmill import keywords, labeling_function
from labelmill.columns import ColumnUse, columns_used, needed_columns

NAME = "text"


def use_of(fn, **options):
    return columns_used(labeling_function(name="lf", **options)(fn))


def complete(*columns):
    return ColumnUse(columns, complete=True)


def shadowing_comprehension(x):
    return [x.strip() for x in x.text.split()]


def shadowing_generator(x):
    return sum(x.n for x in x.rows if x.ok)


def shadowing_lambda(x):
    return sorted(x.text, key=lambda x: x.upper)


def shadowing_function(x):
    def inner(x, y=x.b):
        return x.nothing

    return inner(x.a)


def default_of_same_name(x, y=NAME):
    return x.a


def nested(x):
    def inner():
        return x.a

    return inner() or sorted(x.c, key=lambda y: x.b + y.not_a_column) or [x.d for _ in x.e]


class Holder:
    def method(self, x):
        return self.limit < x.a

    @staticmethod
    def static(x):
        return x.b


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (lambda x: x.text, complete("text")),
        (lambda x: x["a"] + x.b + x["a"], complete("a", "b")),
        (lambda x: 1, complete()),
        (lambda x: x.text.get("a"), complete("text")),
        (nested, complete("a", "b", "c", "d", "e")),
        (shadowing_comprehension, complete("text")),
        (shadowing_generator, complete("rows")),
        (shadowing_lambda, complete("text")),
        (shadowing_function, complete("a", "b")),
        (default_of_same_name, complete("a")),
        (Holder().method, complete("a")),
        (Holder.static, complete("b")),
    ],
)
def test_columns_of_record_functions_are_found(fn, expected):
    assert use_of(fn) == expected


def reassigned(x):
    x = x.text
    return x.strip()


def looped(x):
    for x in x.parts:  # noqa: B020, PLR1704
        return x.y
    return None


def caught(x):
    try:
        return x.a
    except ValueError as x:  # noqa: PLR1704
        return x.args


def imported(x):
    import os as x

    return x.path


def matched(x):
    match x.a:
        case [x]:
            return x.b


def redefined(x):
    def x():
        return 1

    return x.name


def passed(x):
    return helper(x)


def helper(x):
    return x.text


@pytest.mark.parametrize(
    "fn",
    [
        passed,
        lambda x: getattr(x, NAME),
        lambda x: x[NAME],
        lambda x: x[0],
        lambda x: x.keys(),
        lambda x: x.keys,
        lambda x: x.__class__,
        lambda x: [*x],
        lambda x: x.get("a"),
        lambda x: x.get(NAME),
        lambda *x: x[0].text,
        lambda **x: 1,
        functools.partial(helper),
        functools.lru_cache(helper),
        len,
        (reassigned),
        looped,
        caught,
        imported,
        matched,
        redefined,
    ],
)
def test_what_cannot_be_known_is_admitted(fn):
    assert not use_of(fn).complete


def test_column_that_may_be_absent_is_not_demanded():
    assert use_of(lambda x: x.get("b")) == ColumnUse(("b",), complete=False)


def test_columns_of_batch_functions_are_found():
    def fn(batch):
        return [batch.num_rows, batch["c"], batch.column("d")]

    assert use_of(fn, batch=True) == complete("c", "d")


@pytest.mark.parametrize(
    "fn",
    [
        lambda b: b.to_pylist(),
        lambda b: b.column(0),
        lambda b: b.columns,
        lambda b: b[NAME],
        lambda b: [b],
        lambda b: b.schema,
    ],
)
def test_what_a_batch_function_does_otherwise_is_admitted(fn):
    assert not use_of(fn, batch=True).complete


# fmt: off
A, B = labeling_function(name="a")(lambda x: x.a), labeling_function(name="b")(lambda x: x.b)
# fmt: on


def test_two_lambdas_on_one_line_are_told_apart():
    assert (columns_used(A), columns_used(B)) == (complete("a"), complete("b"))


def test_decorated_function_is_read_without_its_decorators():
    @labeling_function(resources={"x": NAME})
    def lf(x):
        return x.a

    assert columns_used(lf) == complete("a")


def test_wrapped_function_is_not_taken_for_its_wrapper():
    @functools.wraps(helper)
    def wrapper(row):
        return helper({"text": row.title})

    assert use_of(wrapper) == complete("title")


def test_declared_fields_are_believed():
    assert use_of(passed, fields=["b", "a"]) == complete("a", "b")


def test_preprocessors_hide_what_is_read():
    assert not use_of(lambda x: x.text, pre=[helper]).complete


def test_job_reads_what_its_functions_need_and_all_when_unsure():
    known = [A, B, keywords("k", label=1, words=["a"], field="title")]
    assert needed_columns(known, ["gold"]) == ["gold", "a", "b", "title"]
    assert needed_columns([*known, labeling_function(passed)], ["gold"]) is None
    assert needed_columns([labeling_function(lambda x: 1)], []) == []
