"""Records: access by attribute and key, odd column names, read-only, and editable copies."""

from __future__ import annotations

import copy
import pickle

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.records import ID, iterate_records

ODD = ["my col", "class", "_x", "count", "index", "get", "keys", "_0", "_fields", "_make", "größe"]


def records_of(columns):
    return list(iterate_records(pa.RecordBatch.from_pydict(columns)))


def test_fields_are_read_by_attribute_key_and_get():
    (x,) = records_of({ID: ["a"], "text": ["hi"], "n": [3]})
    assert (x.text, x["n"], x.get("text"), x.get("no", 7), "n" in x) == ("hi", 3, "hi", 7, True)


def test_id_column_of_labelmill_is_no_field():
    (x,) = records_of({ID: ["a"], "text": ["hi"]})
    assert x.keys() == ("text",)


def test_every_odd_column_name_is_reachable():
    (x,) = records_of({name: [position] for position, name in enumerate(ODD)})
    assert [x[name] for name in ODD] == list(range(len(ODD)))
    assert [getattr(x, name) for name in ODD if name not in ("_fields", "_make")] == [
        position for position, name in enumerate(ODD) if name not in ("_fields", "_make")
    ]


@given(st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=8))
def test_any_names_are_reachable_by_key(names):
    columns = [name for name in names if name != ID]
    rows = records_of({name: [position] for position, name in enumerate(columns)} or {"a": [0]})
    assert [rows[0][name] for name in columns] == list(range(len(columns)))


def test_missing_column_is_named_with_the_nearest():
    (x,) = records_of({"text": ["hi"], "title": ["t"]})
    with pytest.raises(AttributeError, match=r"no column 'txet'; did you mean 'text'\?"):
        _ = x.txet
    with pytest.raises(KeyError, match="did you mean 'text'"):
        _ = x["txet"]


def test_record_is_read_only():
    (x,) = records_of({"text": ["hi"]})
    for name in ("text", "other"):
        with pytest.raises(AttributeError, match="read-only"):
            setattr(x, name, 1)
    with pytest.raises(TypeError):
        x["text"] = 1


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copy_is_editable_and_leaves_the_record_alone(clone):
    (x,) = records_of({"text": ["hi"], "my col": [1]})
    edited = clone(x)
    edited.upper = edited.text.upper()
    edited.text = "gone"
    assert (edited.upper, edited["my col"], edited.get("no"), x.text) == ("HI", 1, None, "hi")
    with pytest.raises(AttributeError, match="did you mean 'upper'"):
        _ = edited.uper


def test_batch_without_columns_still_has_its_rows():
    assert len(records_of({ID: ["a", "b"]})) == 2


def test_nulls_are_none():
    assert records_of({"text": ["a", None]})[1].text is None
