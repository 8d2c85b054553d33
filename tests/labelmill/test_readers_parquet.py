from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.corpus import plan_corpus
from labelmill.errors import CorpusReadError
from labelmill.readers import parquet, read_shard


def read(uri: object, *, id_column: str | None = None, batch_rows: int = 8192, **options: object):
    corpus = plan_corpus(str(uri), **{"columns": None, "id_column": id_column, **options})
    rows, bad = [], []
    for shard in corpus.shards:
        count = 0
        for part in read_shard(shard, corpus.schema, id_column=id_column, batch_rows=batch_rows):
            part.batch.validate(full=True)
            assert part.batch.num_rows <= batch_rows
            count += part.batch.num_rows + len(part.bad)
            rows += part.batch.to_pylist()
            bad += part.bad
        assert count == shard.rows
    return rows, bad


def not_utf8(values: list[bytes | None]) -> pa.Array:
    """A string array of any bytes, as only other writers make them."""
    binary = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(values), binary.buffers())


def test_rows_get_ids_by_row_number_over_shards(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": range(10)}), path, row_group_size=3)
    rows, _ = read(path, shard_bytes=1, batch_rows=2)
    assert rows == [{"__id__": f"a.parquet#{i}", "n": i} for i in range(10)]


def test_integer_ids_become_strings_and_need_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"k": pa.array([7, 8], pa.uint16()), "n": [1, 2]}), path)
    assert [r["__id__"] for r in read(path, id_column="k", columns=["n"])[0]] == ["7", "8"]
    assert read(path, id_column="k")[0][0] == {"__id__": "7", "k": 7, "n": 1}


def test_dictionary_large_and_narrow_columns_come_as_agreed(tmp_path: Path) -> None:
    pq.write_table(
        pa.table(
            {
                "s": pa.array(["x", None, "x"]).dictionary_encode(),
                "n": pa.array([1, 2, 3], pa.int32()),
            }
        ),
        tmp_path / "a.parquet",
    )
    pq.write_table(
        pa.table({"s": pa.array(["y"], pa.large_string()), "n": [1.5]}), tmp_path / "b.parquet"
    )
    rows, bad = read(tmp_path)
    assert [(r["s"], r["n"]) for r in rows] == [("x", 1.0), (None, 2.0), ("x", 3.0), ("y", 1.5)]
    assert not bad


def test_nested_columns_come_as_they_are(tmp_path: Path) -> None:
    values = [{"x": [1, 2]}, None, {"x": None}]
    pq.write_table(pa.table({"d": values}), tmp_path / "a.parquet")
    assert [r["d"] for r in read(tmp_path)[0]] == values


def test_strings_that_are_no_utf8_are_bad_records(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = not_utf8([b"a", b"\xff\xfe", None, b"d", b"x\x80"])
    pq.write_table(pa.table({"t": texts, "n": range(5)}), path)
    rows, bad = read(path)
    assert [(r["__id__"][-1], r["t"]) for r in rows] == [("0", "a"), ("2", None), ("3", "d")]
    assert [r.reason for r in bad] == [
        "row 1: column 't': not UTF-8",
        "row 4: column 't': not UTF-8",
    ]
    assert bad[0].text == "t=\\xff\\xfe, n=1"
    assert (bad[0].line, bad[0].offset, bad[0].file) == (-1, -1, str(path))
    rows, bad = read(path, id_column="t", columns=["n"])
    assert [r["__id__"] for r in rows] == ["a", "d"]
    assert [r.reason.split(": ", 1)[1] for r in bad] == [
        "column 't': not UTF-8",
        "no id: column 't' is null",
        "column 't': not UTF-8",
    ]


def test_values_that_do_not_convert_are_bad_records(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": ["1", "x", None]}), tmp_path / "a.parquet")
    rows, bad = read(tmp_path, types={"n": "int64"})
    assert [r["n"] for r in rows] == [1, None]
    assert [r.reason for r in bad] == ["row 1: column 'n': 'x' is not int64"]


def test_null_and_empty_ids_are_bad_records(tmp_path: Path) -> None:
    pq.write_table(pa.table({"k": ["a", "", None]}), tmp_path / "a.parquet")
    rows, bad = read(tmp_path, id_column="k")
    assert [r["__id__"] for r in rows] == ["a"]
    assert [r.reason for r in bad] == [
        "row 1: no id: column 'k' is empty",
        "row 2: no id: column 'k' is null",
    ]


def test_batches_of_long_rows_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_BYTES", 10_000)
    texts = [f"{i:01000d}" for i in range(100)]
    pq.write_table(pa.table({"t": texts}), tmp_path / "a.parquet", use_dictionary=False)
    corpus = plan_corpus(str(tmp_path), columns=None, id_column=None)
    batches = list(read_shard(corpus.shards[0], corpus.schema, id_column=None))
    assert max(part.batch.num_rows for part in batches) <= 10
    assert [t for part in batches for t in part.batch["t"].to_pylist()] == texts


def test_changed_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1]}), path)
    corpus = plan_corpus(str(path), columns=None, id_column=None)
    pq.write_table(pa.table({"n": [1, 2]}), path)
    with pytest.raises(
        CorpusReadError, match=r"a\.parquet changed since it was planned; run again"
    ):
        list(read_shard(corpus.shards[0], corpus.schema, id_column=None))


def test_broken_pages_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [str(i) for i in range(10_000)]}), path)
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(data)
    corpus = plan_corpus(str(path), columns=None, id_column=None)
    with pytest.raises(CorpusReadError, match=r"a\.parquet cannot be read"):
        list(read_shard(corpus.shards[0], corpus.schema, id_column=None))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.binary(max_size=4)), min_size=1, max_size=20),
    st.integers(1, 20),
    st.booleans(),
)
def test_any_bytes_give_each_row_once(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[bytes | None],
    group: int,
    as_dictionary: bool,
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.parquet"
    array = not_utf8(values)
    table = pa.table({"t": array.dictionary_encode() if as_dictionary else array})
    pq.write_table(table, path, row_group_size=group)
    rows, bad = read(path, shard_bytes=1)
    good = {}
    for i, value in enumerate(values):
        try:
            good[f"a.parquet#{i}"] = None if value is None else value.decode()
        except UnicodeDecodeError:
            continue
    assert {r["__id__"]: r["t"] for r in rows} == good
    assert len(rows) + len(bad) == len(values)
