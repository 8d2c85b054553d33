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
    with pytest.raises(VotesError, match="'maybe' of task 'a' is none of"):
        OneCoin().fit(COLUMNS, gold={"a": "maybe"})
    with pytest.raises(VotesError, match="mapping of tasks"):
        OneCoin().fit(COLUMNS, gold=np.array([0, 1, 0]))
    with pytest.raises(VotesError, match="n_classes=3, but the table has"):
        OneCoin(3).fit(COLUMNS)
    with pytest.raises(VotesError, match="array with an entry per row"):
        OneCoin().fit(np.array([[0, 1]]), gold={0: 1})
