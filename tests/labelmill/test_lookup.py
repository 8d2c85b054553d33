"""Look-ups: a column's values in a table, and the index that finds them."""

from __future__ import annotations

import gzip
import importlib
import json
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import labelmill
import labelmill.lookups as module
from labelmill.datafiles import DataFile
from labelmill.errors import LabelingFunctionError
from labelmill.hashing import text_hashes
from labelmill.keyindex import KeyIndex
from labelmill.lookups import Lookup, lookup, normalised

TEXTS = st.text(max_size=20) | st.sampled_from(["", "a", "ab", "abcdefgh", "abcdefghi", "\0", "é"])


def votes(lf: Lookup, column: Any, kind: pa.DataType | None = None) -> list[Any]:
    array = column if isinstance(column, pa.Array) else pa.array(column, kind)
    batch = pa.RecordBatch.from_arrays([array], ["x"])
    lf.check(batch.schema)
    return lf.votes(batch).to_pylist()


@pytest.fixture
def table(tmp_path):
    def make(name: str, content: str | bytes | pa.Table) -> str:
        path = tmp_path / name
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return make


@given(keys=st.sets(TEXTS), asked=st.lists(st.none() | TEXTS))
def test_index_finds_what_a_dict_finds(keys, asked):
    keys = sorted(keys)
    index = KeyIndex(pa.array(keys, pa.string()))
    column = pa.array([None, *asked, *keys], pa.string()).slice(1)
    expected = [keys.index(text) if text in keys else -1 for text in (*asked, *keys)]
    order = np.append(index.order, -1)
    assert order[index.find(column)].tolist() == expected
    assert order[index.find(column.cast(pa.large_string()))].tolist() == expected


def test_keys_that_share_a_hash_are_told_apart(monkeypatch):
    def few(texts, longest=None):
        return np.array([len(t or "") % 2 for t in texts.to_pylist()], dtype=np.uint64)

    monkeypatch.setattr(module, "text_hashes", few)
    keys = [f"key{n}" for n in range(20)]
    index = KeyIndex(pa.array(keys))
    found = index.find(pa.array([*keys, "other"]))
    assert [keys[index.order[n]] for n in found[:-1]] == keys
    assert found[-1] == -1


def reference_hash(data: bytes) -> int:
    """The hash as it is defined: eight little-endian bytes at a time, mixed as SplitMix64 does."""

    def mix(z: int) -> int:
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    value = mix(len(data))
    for at in range(0, len(data), 8):
        value = mix(value ^ int.from_bytes(data[at : at + 8], "little"))
    return value


@given(st.lists(TEXTS))
def test_hashes_are_the_same_everywhere(texts):
    column = pa.array(["skipped", *texts]).slice(1)
    expected = [reference_hash(text.encode()) for text in texts]
    assert text_hashes(column).tolist() == expected
    assert text_hashes(column.cast(pa.large_string())).tolist() == expected


def test_hashes_differ():
    many = pa.array([f"{n:x}" for n in range(100_000)])
    assert len(np.unique(text_hashes(many))) == 100_000


def test_whole_values_are_looked_up():
    lf = lookup("f", field="x", table={"Rome": "city", "Italy": "country", "7": "number"})
    assert votes(lf, ["Rome", "rome", "Rome Italy", None, "Italy", ""]) == [
        "city", None, None, None, "country", None,
    ]  # fmt: skip
    assert votes(lf, [7, 8, None]) == ["number", None, None]
    assert votes(lf, pa.array(["Rome", None, "x"]).dictionary_encode()) == ["city", None, None]
    assert votes(lf, [None], pa.null()) == [None]
    assert votes(lf, ["Rome"], pa.large_string()) == ["city"]
    assert votes(lf, [], pa.string()) == []


def test_normalised_look_up():
    lf = lookup("f", field="x", table=["São  Paulo", "Straße"], label=1, normalise=True)
    asked = ["são paulo", " SÃO\u00a0PAULO ", "STRASSE", "sa\u0303o paulo", "sao paulo", "straße."]
    assert votes(lf, asked) == [1, 1, 1, 1, None, None]
    assert votes(lookup("g", field="x", table=["São  Paulo"], label=1), asked) == [None] * 6


@given(st.text(max_size=8))
def test_normalising_twice_changes_nothing(text):
    assert normalised(normalised(text)) == normalised(text)


def test_what_a_list_holds_under_null_is_not_looked_up(table):
    lf = lookup("l", field="x", table=table("t.csv", "key\na\nb\n"), label="spam")
    values = pa.array(["z", "b", "a"])
    column = pa.ListArray.from_arrays([0, 1, 2, 3], values, mask=pa.array([False, True, False]))

    assert votes(lf, column) == [None, None, "spam"]


def test_elements_of_a_list_vote_together_and_cancel_when_they_disagree():
    lf = lookup("f", field="x", table={"a": "A", "b": "A", "c": "C"})
    column = pa.array([["a", "z"], ["a", "b"], ["a", "c"], [], None, [None], ["c", "c"]])
    assert votes(lf, column) == ["A", "A", None, None, None, None, "C"]
    assert votes(lf, column.slice(2)) == [None, None, None, None, "C"]
    assert votes(lookup("g", field="x", table=["3"], label=0), [[1, 3], [2]]) == [0, None]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "key,label,n\nRome,city,1\n007,number,2\nnothing,,3\n"),
        ("t.csv.gz", gzip.compress(b"key,label\nRome,city\n007,number\n", mtime=0)),
        ("t.tsv", "key\tlabel\nRome\tcity\n007\tnumber\n"),
        ("t.jsonl", '{"key": "Rome", "label": "city"}\n{"key": "007", "label": "number"}\n'),
        ("t.parquet", pa.table({"key": ["Rome", "007"], "label": ["city", "number"]})),
    ],
)
def test_tables(table, name, content):
    lf = lookup("f", field="x", table=table(name, content), label_column="label")
    assert lf.labels == ("city", "number")
    assert votes(lf, ["007", "Rome", "7", "nothing"]) == ["number", "city", None, None]
    assert lf.files == (DataFile(table(name, content)),)


def test_tables_without_classes(table):
    path = table("t.parquet", pa.table({"code": [7, 8]}))
    assert votes(lookup("f", field="x", table=path, key="code", label="n"), ["7", "9"]) == [
        "n", None,
    ]  # fmt: skip
    lf = lookup("f", field="x", table=table("t.txt", "# places\nRome\n\nNew York\n"), label="geo")
    assert votes(lf, ["New York", "# places", "Rome"]) == ["geo", None, "geo"]


def test_classes_may_be_indices(table):
    for kind in (pa.int8(), pa.float64()):
        content = pa.table({"key": ["a", "b", "c"], "label": pa.array([0, 1, None], kind)})
        lf = lookup("f", field="x", table=table("t.parquet", content), label_column="label")
        assert votes(lf, ["b", "a", "c"]) == [1, 0, None]


def test_key_with_two_classes_is_named_with_both_records(table):
    path = table("t.csv", "key,label\nRome,city\nx,\nOslo,city\nrome,province\nRome,city\n")
    assert len(lookup("f", field="x", table=path, label_column="label").labels) == 2
    lf = lookup("f", field="x", table=path, label_column="label", normalise=True)
    with pytest.raises(
        LabelingFunctionError,
        match=r"lookup 'f': key 'rome' is 'city' in record 1 of the table and 'province' in "
        r"record 4",
    ):
        lf.identity()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "kay,label\na,b\n", r"lookup 'f': .*key.*did you mean 'kay'"),
        ("t.csv", "key,lable\na,b\n", r"lookup 'f': .*label.*did you mean 'lable'"),
        ("t.csv", "key,label\na,b\n,c\n", r"lookup 'f': .*t.csv:3: no key: column 'key' is null"),
        ("t.jsonl", '{"key": "a", "label": "b"}\n{"key"\n', r"lookup 'f': .*t.jsonl:2"),
        ("t.csv", "key,label\na,\n", r"no key with a class"),
        ("t.parquet", b"nothing", r"lookup 'f': .*t.parquet cannot be read"),
        ("t.jsonl", '{"key": "a", "label": 0.5}\n', r"must be all names or all indices, got 0.5"),
        ("t.jsonl", '{"key": "a", "label": true}\n', r"must be all names or all indices"),
    ],
)
def test_bad_tables_are_named(table, name, content, message):
    lf = lookup("f", field="x", table=table(name, content), label_column="label")
    with pytest.raises(LabelingFunctionError, match=message):
        lf.labels  # noqa: B018


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": ["a"]}, r"got label=None, label_column=None"),
        ({"table": "t.csv", "label": 1, "label_column": "c"}, r"got label=1, label_column='c'"),
        ({"table": ["a"], "label_column": "c"}, "of a file"),
        ({"table": {"a": 1}, "label": 1}, "a mapping names the class"),
        ({"table": "t.txt", "label_column": "c"}, "lists keys alone"),
        ({"table": "t.xlsx", "label": 1}, r"t.xlsx is no table that it can read; one of .csv"),
        ({"table": [1.5], "label": 1}, "key 1.5 is neither text nor a whole number"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(LabelingFunctionError, match=message):
        lookup("f", field="x", **options)


def test_columns_that_cannot_be_looked_up_are_named_when_the_job_is_planned():
    lf = lookup("f", field="city", table=["a"], label=1)
    for kind in (pa.float64(), pa.bool_(), pa.list_(pa.float32())):
        with pytest.raises(LabelingFunctionError, match=r"lookup 'f': column 'city' is "):
            lf.check(pa.schema({"city": kind}))
    with pytest.raises(LabelingFunctionError, match=r"no column 'city'; did you mean 'cities'"):
        lf.check(pa.schema({"cities": pa.string()}))
    with pytest.raises(LabelingFunctionError, match="no column"):
        lf.votes(pa.RecordBatch.from_pydict({"a": ["a"]}))


def test_identity_is_the_content_of_the_table(table):
    def of(name, content, **options):
        options = {"label_column": "label", **options}
        return lookup(name, field="x", table=table(f"{name}.csv", content), **options).identity()

    before = of("a", "key,label,note\nx,A,1\ny,B,2\n")
    assert of("b", "note,label,key\n,B,y\n,A,x\n,A,x\n") == before
    assert of("b", "key,label\nx,B\ny,A\n") != before
    assert of("b", "key,label\nx,A\nz,B\n") != before
    assert of("b", "key,label\nx,A\ny,B\n", normalise=True) != before
    mapping = lookup("c", field="x", table={"y": "B", "x": "A"}).identity()
    assert mapping == before
    json.dumps(before)
    one = lookup("d", field="x", table=["k"], label="A").identity()
    assert one != lookup("d", field="x", table=["k"], label="B").identity()


def test_functions_share_a_table_and_pickle_without_it(table):
    path = table("t.txt", "\n".join(f"key{n}" for n in range(5_000)))
    a, b = (lookup(name, field="x", table=path, label="k") for name in "ab")
    assert a._loaded is b._loaded
    assert len(pickle.dumps(a)) < 500
    assert votes(pickle.loads(pickle.dumps(a)), ["key7"]) == ["k"]
    assert a(SimpleNamespace(x="key7")) == "k"


def test_package_offers_the_function_whatever_was_imported_before():
    assert importlib.import_module("labelmill.job")
    assert callable(labelmill.lookup)
