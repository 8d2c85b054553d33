from __future__ import annotations

import numpy as np
import pytest

from labelmodel import MajorityVote, OneCoin, VotesError, from_frame, from_json, to_json

COLUMNS = {
    "task": ["b", "a", "b", "c", "a", "c", "a"],
    "worker": [7, 7, 9, 9, 8, 7, 7],
    "label": ["no", "yes", "no", "yes", "yes", "no", "no"],
}
GOLD = {"a": "yes", "unknown task": "no"}


def pandas_frame():
    return pytest.importorskip("pandas").DataFrame(COLUMNS)


def polars_frame():
    return pytest.importorskip("polars").DataFrame(COLUMNS)


def arrow_table():
    return pytest.importorskip("pyarrow").table(COLUMNS)


@pytest.mark.parametrize("make", [pandas_frame, polars_frame, arrow_table, lambda: COLUMNS])
def test_any_long_table_is_the_same_votes(make):
    votes = from_frame(make())
    assert votes.tasks.tolist() == ["a", "b", "c"]
    assert votes.workers.tolist() == [7, 8, 9]
    assert votes.classes.tolist() == ["no", "yes"]
    # Worker 7 answered task a twice; the last answer counts.
    assert votes.matrix.toarray().tolist() == [[1, 2, 0], [1, 0, 1], [1, 0, 2]]


@pytest.mark.parametrize("make", [pandas_frame, polars_frame, arrow_table, lambda: COLUMNS])
def test_a_model_fits_and_predicts_a_long_table_as_its_matrix(make):
    matrix = from_frame(COLUMNS).matrix
    from_table = OneCoin().fit(make(), gold=GOLD)
    from_matrix = OneCoin(2).fit(matrix, gold=np.array([1, -1, -1]))
    assert np.array_equal(from_table.predict_proba(make()), from_matrix.predict_proba(matrix))
    assert from_table.classes_.tolist() == ["no", "yes"]
    assert from_table.workers_.tolist() == [7, 8, 9]
    assert from_matrix.classes_.tolist() == [0, 1]


def test_new_tasks_are_predicted_with_the_codes_of_the_fit():
    model = MajorityVote().fit(COLUMNS)
    table = {"task": [1], "worker": [8], "label": ["yes"]}
    assert model.predict_proba(table).tolist() == [[0.0, 1.0]]


def test_a_stored_model_reads_long_tables_by_its_names():
    columns = COLUMNS | {"worker": [f"w{number}" for number in COLUMNS["worker"]]}
    model = MajorityVote().fit(columns)
    again = from_json(to_json(model, model.workers_.tolist(), model.classes_.tolist()))
    assert np.array_equal(again.predict_proba(columns), model.predict_proba(columns))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"worker": [1] * 7}, "worker 1 does not occur"),
        ({"label": ["maybe"] * 7}, "label 'maybe' does not occur"),
        ({"task": [None] * 7}, "column 'task' has missing values"),
        ({"worker": [np.nan] * 7}, "column 'worker' has missing values"),
    ],
)
def test_tables_that_do_not_fit_are_refused(change, message):
    with pytest.raises(VotesError, match=message):
        MajorityVote().fit(COLUMNS).predict(COLUMNS | change)


def test_gold_and_classes_that_do_not_fit_are_refused():
    with pytest.raises(VotesError, match="mapping of tasks"):
        OneCoin().fit(COLUMNS, gold=np.array([0, 1, 0]))
    with pytest.raises(VotesError, match="n_classes=3, but the table has"):
        OneCoin(3).fit(COLUMNS)
    with pytest.raises(VotesError, match="array with an entry per row"):
        OneCoin().fit(np.array([[0, 1]]), gold={0: 1})


def test_gold_may_have_a_class_that_nobody_voted():
    model = OneCoin().fit(COLUMNS, gold={"a": "maybe", "task of nobody": "never"})
    assert model.classes_.tolist() == ["maybe", "no", "yes"]
    assert model.predict_proba(COLUMNS).shape == (3, 3)
    assert OneCoin(3).fit(COLUMNS, gold={"a": "maybe"}).n_classes_ == 3


@pytest.mark.parametrize("unknown", ["NA", "nan", "None"])
def test_missing_gold_is_unknown(unknown):
    pandas = pytest.importorskip("pandas")
    value = {"NA": pandas.NA, "nan": float("nan"), "None": None}[unknown]
    gold = pandas.Series({"a": "yes", "b": value}, dtype=object)
    model = OneCoin().fit(COLUMNS, gold=gold)
    without = OneCoin().fit(COLUMNS, gold={"a": "yes"})
    assert np.array_equal(model.predict_proba(COLUMNS), without.predict_proba(COLUMNS))


@pytest.mark.parametrize("column", ["task", "worker", "label"])
def test_missing_values_of_pandas_are_missing(column):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS).astype(object)
    frame.loc[2, column] = pandas.NA
    with pytest.raises(VotesError, match=f"column '{column}' has missing values"):
        OneCoin().fit(frame)
    with pytest.raises(VotesError, match=f"column '{column}' has missing values"):
        OneCoin().fit(COLUMNS | {column: [*COLUMNS[column][:-1], float("nan")]})


def test_labels_of_unlike_types_are_refused_with_advice():
    pandas = pytest.importorskip("pandas")
    mixed = COLUMNS | {"label": ["no", 1, "no", 1, 1, "no", "no"]}
    for table in (mixed, pandas.DataFrame(mixed)):
        with pytest.raises(VotesError, match=r"'label' has values of unlike types.*all text"):
            OneCoin().fit(table)
    with pytest.raises(VotesError, match="'label' has values of unlike types"):
        OneCoin().fit(COLUMNS, gold={"a": 1})


@pytest.mark.parametrize("name", [str, int])
def test_number_workers_are_known_to_a_stored_model(name):
    columns = COLUMNS | {"worker": [10 if number == 7 else number for number in COLUMNS["worker"]]}
    model = OneCoin().fit(columns)
    workers = [name(worker) for worker in model.workers_]
    again = from_json(to_json(model, workers, model.classes_))
    assert np.array_equal(again.predict_proba(columns), model.predict_proba(columns))
    by_arrays = from_json(to_json(model, model.workers_, model.classes_))
    assert by_arrays.workers_.tolist() == [8, 9, 10]


def test_a_long_table_is_answered_with_its_labels_and_a_matrix_with_codes():
    model = MajorityVote().fit(COLUMNS)
    table = {"task": ["z", "y"], "worker": [8, 9], "label": ["yes", "no"]}
    assert model.predict(table).tolist() == ["no", "yes"]
    assert model.predict(np.array([[-1, -1, 0], [-1, 1, -1]])).tolist() == [0, 1]
