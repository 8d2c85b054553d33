"""Running functions over a batch: the four outcomes, isolation, preprocessors, matchers."""

from __future__ import annotations

import math
import pickle
import sys
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill import ABSTAIN, keywords, labeling_function, regex
from labelmill.apply import Outcomes, apply_functions
from labelmill.errors import LabelingFunctionError
from labelmill.records import ID
from labelmill.votes import LFInfo, LFTable

CLASSES = ("ham", "spam")


class Hostile:
    """A result whose every method raises."""

    def __hash__(self):
        raise ValueError("no hash")

    def __repr__(self):
        raise ValueError("no repr")


class NAType:
    """What pandas returns for null, by its name."""


VOTES = [(0, 0), (1, 1), ("ham", 0), ("spam", 1), (1.0, 1), (np.int8(1), 1), (np.uint64(0), 0)]
VOTES += [(np.float32(1), 1), (np.str_("spam"), 1)]
ABSTAINS = [None, ABSTAIN, -1.0, math.nan, np.nan, np.float32("nan"), np.int64(-1), NAType()]
ABSTAINS += [np.longdouble("nan")]
INVALID = [7, 2, -2, -3, 0.7, "yes", "", True, False, np.True_, [1], {}, 10**30, -(10**30)]
INVALID += [math.inf, -math.inf, 1e300, np.float16("inf"), b"spam", np.array([1, 2]), Hostile()]
INVALID += [object(), Fraction(1, 2), np.str_("no"), "\ud800", lambda: 1]


def batch_of(n=3, **columns):
    texts = [f"text {i}" for i in range(n)]
    return pa.RecordBatch.from_pydict(
        {ID: [f"r{i}" for i in range(n)], "n": range(n), "text": texts, **columns},
    )


def run(*lfs, batch=None, **options):
    table = LFTable(tuple(LFInfo(lf.name, "") for lf in lfs), CLASSES)
    return apply_functions(batch_of() if batch is None else batch, lfs, table, **options)


def labels_of(applied):
    return applied.votes.column("labels").to_pylist()


def counts_of(applied):
    outcomes = applied.outcomes
    return outcomes.votes, outcomes.faults, outcomes.invalid


def record_function(fn, name="lf", **options):
    return labeling_function(name=name, **options)(fn)


def batch_function(fn, name="lf"):
    return labeling_function(name=name, batch=True)(fn)


# A result comes alone, and among results that do not disturb the fast path.
@pytest.mark.parametrize("others", [0, "spam", None])
@pytest.mark.parametrize(("result", "label"), VOTES, ids=repr)
def test_class_index_or_name_is_a_vote(result, label, others):
    applied = run(record_function(lambda x: result if x.n == 1 else others))
    assert labels_of(applied)[1] == [label]
    assert counts_of(applied)[1:] == ((0,), (0,))


@pytest.mark.parametrize("others", [0, "spam"])
@pytest.mark.parametrize("result", ABSTAINS, ids=lambda value: type(value).__name__)
def test_none_minus_one_and_nan_abstain(result, others):
    applied = run(record_function(lambda x: result if x.n == 1 else others))
    assert counts_of(applied) == ((2,), (0,), (0,))


@pytest.mark.parametrize("others", [0, [2]])
@pytest.mark.parametrize("result", INVALID, ids=lambda value: type(value).__name__)
def test_anything_else_is_invalid_and_sampled(result, others):
    applied = run(record_function(lambda x: result if x.n == 1 else others))
    assert applied.outcomes.invalid == ((1,) if others == 0 else (3,))
    fault = next(fault for fault in applied.faults if fault.id == "r1")
    assert (fault.outcome, fault.type) == ("invalid", type(result).__name__)
    assert "classes: ham, spam" in fault.message
    fault.message.encode()


@given(
    st.lists(
        st.sampled_from(["vote", "abstain", "fault", "invalid"]),
        min_size=1,
        max_size=30,
    ),
    st.booleans(),
)
def test_counts_are_exact_for_any_mixture(kinds, in_batch):
    results = {"vote": 1, "abstain": None, "invalid": 9}

    def one(n):
        return results[kinds[n]]

    lf = (
        batch_function(lambda b: [one(n) for n in b["n"].to_pylist()])
        if in_batch
        else record_function(lambda x: one(x.n))
    )
    applied = run(lf, batch=batch_of(len(kinds)))
    expected = tuple((kinds.count(kind),) for kind in ("vote", "fault", "invalid"))
    assert counts_of(applied) == expected
    assert {fault.id for fault in applied.faults} == {
        f"r{n}" for n, kind in enumerate(kinds) if kind in ("fault", "invalid")
    }


def test_fault_says_where_the_function_failed():
    def broken(x):
        return x.text.no_such_method()

    (fault, *_) = run(record_function(broken)).faults
    assert (fault.lf, fault.id, fault.outcome, fault.type) == (
        "lf",
        "r0",
        "fault",
        "AttributeError",
    )
    assert "no_such_method" in fault.traceback
    assert "in broken" in fault.traceback
    assert "apply.py" not in fault.traceback.replace("test_apply.py", "")


def raiser(error):
    def fail(x):
        raise error

    return fail


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), StopIteration(), MemoryError()])
@pytest.mark.parametrize("make", [record_function, batch_function])
def test_nothing_a_function_raises_ends_the_job(make, error):
    assert run(make(raiser(error))).outcomes.faults == (3,)


def test_endless_recursion_is_a_fault():
    def endless(x):
        return endless(x)

    applied = run(record_function(endless))
    assert applied.outcomes.faults == (3,)
    assert applied.faults[0].type == "RecursionError"


def test_exit_from_a_function_is_a_fault():
    applied = run(record_function(lambda x: sys.exit("bye") if x.n else 1))
    assert counts_of(applied) == ((1,), (2,), (0,))


@pytest.mark.parametrize("make", [record_function, batch_function])
def test_interrupt_by_a_person_ends_the_job(make):
    with pytest.raises(KeyboardInterrupt):
        run(make(raiser(KeyboardInterrupt())))


def test_interrupt_in_a_preprocessor_ends_the_job():
    with pytest.raises(KeyboardInterrupt):
        run(record_function(lambda x: 1, pre=[raiser(KeyboardInterrupt())]))


def test_exception_that_cannot_be_printed_or_stored_is_still_a_fault():
    class UnprintableError(Exception):
        def __str__(self):
            raise ValueError

    applied = run(
        record_function(raiser(UnprintableError()), "a"),
        record_function(raiser(ValueError("\ud800")), "b"),
    )
    assert applied.outcomes.faults == (3, 3)
    assert [fault.message.encode() for fault in applied.faults]


def test_samples_are_limited_and_counts_are_not():
    applied = run(record_function(raiser(ValueError())), batch=batch_of(50), max_faults=4)
    assert (len(applied.faults), applied.outcomes.faults) == (4, (50,))
    assert [fault.id for fault in applied.faults] == ["r0", "r1", "r2", "r3"]


BATCH_RESULTS = {
    "list": [1, None, 0],
    "tuple": (1, -1, 0),
    "int array": np.array([1, -1, 0]),
    "float array": np.array([1.0, np.nan, 0.0]),
    "names": np.array(["spam", None, "ham"], dtype=object),
    "arrow": pa.array([1, None, 0], pa.int8()),
    "chunked": pa.chunked_array([[1], [None, 0]]),
    "arrow names": pa.array(["spam", None, "ham"]).dictionary_encode(),
    "masked": np.ma.array([1, 5, 0], mask=[False, True, False]),
}


@pytest.mark.parametrize("result", BATCH_RESULTS.values(), ids=BATCH_RESULTS)
def test_batch_function_may_return_any_sequence(result):
    applied = run(batch_function(lambda b: result))
    assert (labels_of(applied), counts_of(applied)) == ([[1], [], [0]], ((2,), (0,), (0,)))


def test_batch_function_may_return_a_generator():
    applied = run(batch_function(lambda b: (1 for _ in range(b.num_rows))))
    assert applied.outcomes.votes == (3,)


@pytest.mark.parametrize("dtype", ["Int64", "float64", "object", "string"])
def test_batch_function_may_return_a_pandas_series(dtype):
    pandas = pytest.importorskip("pandas")
    values = ["spam", None, "ham"] if dtype == "string" else [1, None, 0]
    applied = run(batch_function(lambda b: pandas.Series(values, dtype=dtype)))
    assert (labels_of(applied), counts_of(applied)) == ([[1], [], [0]], ((2,), (0,), (0,)))


@pytest.mark.parametrize(
    "result",
    [
        "spam",
        np.str_("spam"),
        b"abc",
        1,
        None,
        {0: 1},
        {1, 0},
        np.array(1),
        np.zeros((3, 1)),
        [1] * 5,
    ],
    ids=repr,
)
def test_batch_result_that_is_not_one_vote_a_record_is_a_fault(result):
    applied = run(batch_function(lambda b: result))
    assert counts_of(applied) == ((0,), (3,), (0,))


def test_batch_result_of_the_wrong_length_is_a_fault_of_the_whole_batch():
    def non_null(batch):
        return [1 for text in batch["text"].to_pylist() if text is not None]

    applied = run(batch_function(non_null), batch=batch_of(text=["a", None, "b"]))
    assert (labels_of(applied), applied.outcomes.faults) == ([[], [], []], (3,))


def test_batch_function_that_raises_on_one_record_faults_only_there():
    def picky(batch):
        return pc.divide(4, pc.subtract(batch["n"], 617)).cast(pa.int8()).to_pylist()

    def vote(batch):
        picky(batch)
        return [1] * batch.num_rows

    applied = run(batch_function(vote), batch=batch_of(1000))
    assert counts_of(applied) == ((999,), (1,), (0,))
    assert [fault.id for fault in applied.faults] == ["r617"]


def test_batch_function_that_always_raises_is_called_twice_per_record_at_most():
    calls = []

    def broken(batch):
        calls.append(batch.num_rows)
        raise ValueError("always")

    applied = run(batch_function(broken), batch=batch_of(1000))
    assert (applied.outcomes.faults, len(calls)) == ((1000,), 1999)


def test_batch_without_rows_has_no_outcomes():
    lfs = [record_function(lambda x: 1, "a"), batch_function(lambda b: [], "b")]
    applied = run(*lfs, keywords("c", label=1, words=["x"]), batch=batch_of(3).slice(0, 0))
    assert (applied.votes.num_rows, counts_of(applied)) == (0, ((0, 0, 0),) * 3)


def test_resources_reach_record_and_batch_functions():
    lf = record_function(lambda x, words: x.text in words, "a", resources={"words": {}})
    assert run(lf).outcomes.invalid == (3,)  # False is no class
    lf = labeling_function(name="b", batch=True, resources={"vote": 1})(
        lambda b, vote: [vote] * b.num_rows
    )
    assert run(lf).outcomes.votes == (3,)


def test_shared_preprocessor_runs_once_per_record():
    calls = []

    def lower(x):
        calls.append(x.n)
        x.lower = x.text.upper()
        return x

    def count(x):
        x.size = len(x.lower)
        return x

    run(
        record_function(lambda x: int(x.lower != x.text), "a", pre=[lower]),
        record_function(lambda x: int(x.lower != x.text), "b", pre=[lower]),
        record_function(lambda x: x.size % 2, "c", pre=[lower, count]),
    )
    assert calls == [0, 1, 2]


def test_fields_added_by_a_preprocessor_stay_with_those_who_asked():
    def mark(x):
        x.text = "changed"
        return x

    def more(x):
        x.more = 1
        return x

    applied = run(
        record_function(lambda x: x.more, "both", pre=[mark, more]),
        record_function(lambda x: int(hasattr(x, "more")), "one", pre=[mark]),
        record_function(lambda x: int(x.text == "changed"), "none"),
    )
    assert labels_of(applied) == [[1, 0, 0]] * 3


def test_failing_preprocessor_is_a_fault_of_every_function_that_uses_it():
    def pre(x):
        if x.n == 1:
            raise SystemExit("no")
        return x

    applied = run(
        record_function(lambda x: 1, "a", pre=[pre]),
        record_function(lambda x: 1, "b", pre=[pre, lambda x: x]),
        record_function(lambda x: 1, "c"),
    )
    assert counts_of(applied) == ((2, 2, 3), (1, 1, 0), (0, 0, 0))
    assert [(fault.lf, fault.id, fault.type) for fault in applied.faults] == [
        ("a", "r1", "SystemExit"),
        ("b", "r1", "SystemExit"),
    ]


class SnorkelLike:
    """Calls as Snorkel's LabelingFunction does, whose preprocessors edit a pickled copy."""

    def __init__(self, name, fn, pre=()):
        self.name, self._f, self._pre = name, fn, pre

    def __call__(self, x):
        for step in self._pre:
            x = step(pickle.loads(pickle.dumps(x)))
        return self._f(x)


def test_snorkel_functions_run_with_their_preprocessors():
    def add_size(x):
        x.size = len(x.text)
        return x

    applied = run(SnorkelLike("s", lambda x: 1 if x.size == 6 else -1, [add_size]))
    assert counts_of(applied) == ((3,), (0,), (0,))


def test_any_named_callable_is_a_function():
    named = SnorkelLike("plain", lambda x: "spam" if x.n else None)
    assert labels_of(run(named)) == [[], [1], [1]]


def test_matchers_vote_and_abstain_on_null():
    batch = batch_of(text=["cash", None, "CASHIER http://x"])
    lfs = [
        keywords("k", label="spam", words=["cash"]),
        regex("r", label=0, pattern="http"),
        regex("all", label=1, pattern=""),
    ]
    assert labels_of(run(*lfs, batch=batch)) == [[1, 1], [], [0, 1]]


def test_matcher_over_a_column_of_nulls_abstains():
    batch = batch_of(text=pa.nulls(3))
    assert run(keywords("k", label=1, words=["a"]), batch=batch).outcomes.votes == (0,)


@given(st.lists(st.none() | st.text(alphabet="ab c+", max_size=8), min_size=1, max_size=10))
def test_matchers_vote_in_a_batch_as_on_one_record(texts):
    lfs = [
        keywords("k", label=1, words=["a", "b c", "c+"]),
        regex("r", label=0, pattern=r"a+\b"),
    ]
    applied = run(*lfs, batch=batch_of(len(texts), text=pa.array(texts, pa.string())))
    expected = [
        [vote for lf in lfs if (vote := lf(SimpleNamespace(text=text))) != ABSTAIN]
        for text in texts
    ]
    assert labels_of(applied) == expected


@pytest.mark.parametrize("label", ["other", 2, -1, True, None, 0.5, []])
def test_matcher_that_votes_for_no_class_is_refused(label):
    with pytest.raises(LabelingFunctionError, match="'k' votes for"):
        run(keywords("k", label=label, words=["a"]))


@pytest.mark.parametrize(("field", "reason"), [("nothing", "does not have"), ("n", "is int64")])
def test_matcher_over_a_column_that_is_no_text_is_refused(field, reason):
    with pytest.raises(LabelingFunctionError, match=reason):
        run(keywords("k", label=1, words=["a"], field=field))


COUNTS = st.tuples(*[st.integers(0, 100)] * 2)
TIMES = st.dictionaries(st.integers(0, 3), st.integers(1, 9))
OUTCOMES = st.builds(
    Outcomes,
    st.integers(0, 100),
    COUNTS,
    COUNTS,
    COUNTS,
    st.tuples(*[st.just(0.5)] * 2),
    st.tuples(TIMES, TIMES),
)


@given(OUTCOMES, OUTCOMES, OUTCOMES)
def test_outcomes_add_up_in_any_order(a, b, c):
    assert a.merge(b).merge(c) == c.merge(b.merge(a))
    assert a.merge(Outcomes.zero(2)) == a == Outcomes.from_dict(a.to_dict())
