from __future__ import annotations

import bz2
import csv
import datetime
import gzip
import io
import json
import lzma
import uuid
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.corpus import plan_corpus
from labelmill.errors import CorpusReadError
from labelmill.readers import csv_records, read_shard, sampling, text

MEMORY = fsspec.filesystem("memory")


def put(data: bytes, suffix: str) -> str:
    """A new file in memory, always with the same base name."""
    uri = f"memory://readers/{uuid.uuid4().hex}/a{suffix}"
    MEMORY.pipe(uri, data)
    return uri


def read(uri: str, *, id_column: str | None = None, batch_rows: int = 8192, **options: object):
    """All records of a corpus as dicts, and all bad records."""
    corpus = plan_corpus(uri, **{"columns": None, "id_column": id_column, **options})
    rows, bad = [], []
    for shard in corpus.shards:
        for part in read_shard(shard, corpus.schema, id_column=id_column, batch_rows=batch_rows):
            part.batch.validate(full=True)
            assert part.batch.num_rows <= batch_rows
            assert part.batch.schema.names == ["__id__", *corpus.schema.names]
            rows += part.batch.to_pylist()
            bad += part.bad
    return rows, bad


def read_jsonl(data: bytes | str, **options: object):
    return read(put(data.encode() if isinstance(data, str) else data, ".jsonl"), **options)


def read_csv(data: bytes | str, **options: object):
    return read(put(data.encode() if isinstance(data, str) else data, ".csv"), **options)


def places(bad: list[object]) -> list[tuple[int, int]]:
    return [(record.line, record.offset) for record in bad]


# JSON lines


def test_jsonl_rows_get_ids_by_row_number() -> None:
    rows, bad = read_jsonl('{"a": 1, "b": "x"}\n{"b": "y"}\n')
    assert rows == [
        {"__id__": "a.jsonl#0", "a": 1, "b": "x"},
        {"__id__": "a.jsonl#1", "a": None, "b": "y"},
    ]
    assert not bad


def test_jsonl_tolerates_bom_crlf_blank_lines_and_a_missing_last_newline() -> None:
    rows, bad = read_jsonl(b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n {"a": 2} \r\n{"a": 3}')
    assert [(r["__id__"], r["a"]) for r in rows] == [
        ("a.jsonl#0", 1),
        ("a.jsonl#1", 2),
        ("a.jsonl#2", 3),
    ]
    assert not bad


def test_bad_jsonl_lines_cost_only_themselves_and_keep_the_ids() -> None:
    lines = [
        b'{"a": 1, "t": "x"}',
        b"{broken",
        b'{"a": 2, "t": "\xff"}',
        b"",
        b"[1]",
        b'{"a": "no", "t": "x"}',
        b'{"a": 3, "t": "x"}{"a": 4, "t": "x"}',
        b'{"a": 5, "t": "x"}',
    ]
    good = b'{"a": 0, "t": "x"}\n' * 1000
    rows, bad = read_jsonl(good + b"\n".join(lines))
    assert [(r["__id__"], r["a"]) for r in rows[1000:]] == [
        ("a.jsonl#1000", 1),
        ("a.jsonl#1006", 5),
    ]
    assert [r.line for r in bad] == [1002, 1003, 1005, 1006, 1007]
    assert bad[0].offset == len(good) + len(lines[0]) + 1
    reasons = [
        "not JSON: ",
        "not UTF-8: byte 0xff",
        "not a JSON object: ",
        "column 'a': 'no' is not int64",
        "not JSON: Extra data",
    ]
    for record, reason in zip(bad, reasons, strict=True):
        assert record.reason.startswith(reason)
    assert bad[1].text == '{"a": 2, "t": "\\xff"}'
    assert bad[0].file.startswith("memory:///readers/")


def test_values_that_span_lines_are_not_joined() -> None:
    rows, bad = read_jsonl('{"a": 1}\n{"a": 1\n,"b":{}}{"a": 2}\n{"a": {"b": 1}\n}{"a": 3}\n')
    assert [r["a"] for r in rows] == [1]
    assert [r.line for r in bad] == [2, 3, 4, 5]


def test_string_columns_take_scalars_as_their_json_text() -> None:
    rows, bad = read_jsonl(
        '{"a": "x"}\n{"a": 1}\n{"a": 1.5}\n{"a": true}\n{"a": [1]}\n', types={"a": "string"}
    )
    assert [r["a"] for r in rows] == ["x", "1", "1.5", "true"]
    assert [r.reason for r in bad] == ["column 'a': [1] is not string"]


def test_strings_that_look_like_timestamps_stay_strings_unless_typed() -> None:
    data = '{"a": "2020-01-02T03:04:05Z"}\n'
    assert read_jsonl(data)[0][0]["a"] == "2020-01-02T03:04:05Z"
    typed, _ = read_jsonl(data, types={"a": "timestamp"})
    assert typed[0]["a"] == datetime.datetime(2020, 1, 2, 3, 4, 5)
    beside_bad, bad = read_jsonl(data + '{"a": "soon"}\n', types={"a": "timestamp"})
    assert beside_bad == typed
    assert bad[0].reason == "column 'a': 'soon' is not timestamp[us]"


def test_nested_values_keep_their_shape_beside_a_bad_line() -> None:
    data = '{"d": {"x": 1, "l": ["a"]}}\n{"d": {"x": 2.5}}\n'
    good, _ = read_jsonl(data)
    beside_bad, bad = read_jsonl(data + "{\n")
    assert good == beside_bad
    assert good[0]["d"] == {"x": 1.0, "l": ["a"]}
    assert len(bad) == 1


def test_jsonl_extremes_are_bad_records_not_crashes() -> None:
    lines = [
        '{"a": 1}',
        '{"a": 99999999999999999999}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"a": 1.0}',
        '{"a": true}',
    ]
    rows, bad = read_jsonl("\n".join([lines[0]] * 1000 + lines[1:]), types={"a": "int64"})
    assert len(rows) == 1000
    assert len(bad) == 5
    assert "nested too deeply" in bad[2].reason
    assert len(bad[2].text) == 500


def test_half_surrogates_are_bad_records() -> None:
    rows, bad = read_jsonl('{"a": "\\ud83d\\ude00"}\n{"a": "\\ud800"}\n')
    assert [r["a"] for r in rows] == ["😀"]
    assert "half a surrogate pair" in bad[0].reason


def test_lines_longer_than_a_chunk_are_read() -> None:
    long = "x" * 10_000_000
    rows, bad = read_jsonl("".join(f'{{"a": "{t}"}}\n' for t in ("s", long, "s", long)))
    assert [len(r["a"]) for r in rows] == [1, len(long), 1, len(long)]
    assert not bad


def test_id_column_may_be_string_or_integer_and_need_not_be_read() -> None:
    data = '{"k": 7, "a": 1}\n{"k": 8, "a": 2}\n'
    for columns in (["a"], ["k", "a"]):
        rows, _ = read_jsonl(data, columns=columns, id_column="k")
        assert [r["__id__"] for r in rows] == ["7", "8"]
    mixed = data.replace("8", '"eight"')
    rows, bad = read_jsonl(mixed * 1000, columns=["a"], id_column="k", types={"k": "string"})
    assert [r["__id__"] for r in rows[:2]] == ["7", "eight"]
    assert not bad


def test_records_without_an_id_are_bad() -> None:
    rows, bad = read_jsonl('{"k": "x"}\n{"k": ""}\n{"k": null}\n{"a": 1}\n', id_column="k")
    assert [r["__id__"] for r in rows] == ["x"]
    assert [r.reason for r in bad] == ["no id: column 'k' is empty"] + [
        "no id: column 'k' is null"
    ] * 2
    assert [r.line for r in bad] == [2, 3, 4]


def test_reading_only_ids_works() -> None:
    rows, bad = read_jsonl('{"k": 1}\n{\n{"k": 2}\n', columns=[])
    assert [r["__id__"] for r in rows] == ["a.jsonl#0", "a.jsonl#2"]
    assert len(bad) == 1
    rows, _ = read_csv("k\n1\n2\n", columns=[])
    assert [r["__id__"] for r in rows] == ["a.csv#0", "a.csv#1"]


JSON_LINES = st.lists(
    st.sampled_from(
        [
            b'{"a": 1, "t": "x"}',
            b'{"a": 22, "t": "\xc3\xa9"}',
            b'{"a": null}',
            b"",
            b"  ",
            b"{oops",
            b'{"a": "x"}',
            b'{"t": "\xff"}',
            b" {} \r",
        ]
    ),
    max_size=12,
)
JSON_FIRST = b'{"a": 0, "t": ""}\n'


@settings(max_examples=150, deadline=None)
@given(JSON_LINES, st.integers(1, 90), st.booleans(), st.booleans(), st.booleans())
def test_jsonl_cut_anywhere_gives_the_same_records(
    lines: list[bytes], shard_bytes: int, ends: bool, bom: bool, by_id: bool
) -> None:
    data = b"\xef\xbb\xbf" * bom + JSON_FIRST + b"\n".join(lines) + b"\n" * ends
    uri = put(data, ".jsonl")
    id_column = "a" if by_id else None
    types = {"a": "int64", "t": "string"}
    rows, bad = read(uri, id_column=id_column, types=types)
    cut_rows, cut_bad = read(uri, id_column=id_column, types=types, shard_bytes=shard_bytes)
    assert cut_rows == rows
    if by_id:  # lines of later ranges are not counted then
        assert [(r.offset, r.reason, r.text) for r in cut_bad] == [
            (r.offset, r.reason, r.text) for r in bad
        ]
    else:
        assert cut_bad == bad
    assert len(rows) + len(bad) == sum(bool(line.strip()) for line in data.splitlines())


@settings(max_examples=50, deadline=None)
@given(JSON_LINES, st.integers(1, 40))
def test_chunk_size_does_not_show(lines: list[bytes], chunk_bytes: int) -> None:
    data = JSON_FIRST + b"\n".join(lines)
    blocks = list(
        text.line_blocks(io.BytesIO(data), 0, text.TO_END, line=1, chunk_bytes=chunk_bytes)
    )
    assert b"".join(block.data for block in blocks) == data
    for block in blocks:
        assert data[block.offset :].startswith(block.data)
        assert data[: block.offset].count(b"\n") == block.line - 1


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON_VALUES), min_size=1, max_size=8))
def test_a_record_does_not_depend_on_its_neighbours(records: list[dict[str, object]]) -> None:
    types = {"a": "float64", "b": "int64", "c": "string"}
    lines = [json.dumps(r, ensure_ascii=False).encode("utf-8") for r in records]
    first = b'{"a": 0, "b": 0, "c": ""}\n'
    together, bad = read_jsonl(first + b"\n".join(lines), types=types)
    alone = []
    for line in lines:
        rows, _ = read_jsonl(first + line, types=types)
        alone += [{**row, "__id__": ""} for row in rows[1:]]
    assert [{**row, "__id__": ""} for row in together[1:]] == alone
    assert len(alone) + len(bad) == len(lines)


# CSV


def test_csv_types_nulls_and_quotes() -> None:
    rows, bad = read_csv('i,s\n1,"a,""b"""\n,\n2,""\n3,NA\n')
    assert [(r["i"], r["s"]) for r in rows] == [(1, 'a,"b"'), (None, None), (2, ""), (3, "NA")]
    assert [r["__id__"] for r in rows] == [f"a.csv#{i}" for i in range(4)]
    assert not bad


def test_csv_tolerates_bom_crlf_empty_lines_and_a_missing_last_newline() -> None:
    rows, bad = read_csv(b'\xef\xbb\xbf\r\n"i",s\r\n\r\n1,x\r\n\n2,"y\r\nz"')
    assert [(r["__id__"], r["i"], r["s"]) for r in rows] == [
        ("a.csv#0", 1, "x"),
        ("a.csv#1", 2, "y\r\nz"),
    ]
    assert not bad


def test_bad_csv_records_cost_only_themselves_and_keep_the_ids() -> None:
    head = b"i,s\n" + b"0,x\n" * 1000
    tail = b'1,"two\nlines"\n2\n3,x,y\n4,\xff\nfive,x\n6,ok\n'
    rows, bad = read_csv(head + tail, types={"i": "int64"})
    assert [r["__id__"] for r in rows[1000:]] == ["a.csv#1000", "a.csv#1005"]
    assert [r.line for r in bad] == [1004, 1005, 1006, 1007]
    assert [r.reason for r in bad] == [
        "1 fields, the header has 2",
        "3 fields, the header has 2",
        "not UTF-8: byte 0xff at position 2 of the record",
        "column 'i': 'five' is not int64",
    ]
    assert bad[0].offset == len(head) + len(b'1,"two\nlines"\n')
    assert bad[2].text == "4,\\xff"


def test_quote_that_never_closes_costs_its_line_only() -> None:
    rows, bad = read_csv('i,s\n1,x\n2,"open\n3,y\n4,z\n')
    assert [r["i"] for r in rows] == [1, 3, 4]
    assert [r["__id__"] for r in rows] == ["a.csv#0", "a.csv#2", "a.csv#3"]
    assert places(bad) == [(3, 8)]
    assert bad[0].reason == "quoted field 2 is not closed"


def test_quote_open_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(sampling, "SAMPLE_BYTES", 100)
    rows, bad = read_csv('i,s\n1,"open\n' + "2,x\n" * 1000)
    assert len(rows) == 1000
    assert [r.line for r in bad] == [2]


def test_quotes_inside_unquoted_fields_are_text() -> None:
    rows, bad = read_csv('i,s,t\n1,5" disk,x\n2,"a"b,"c\nd"\n3,x",y"\n')
    assert [(r["s"], r["t"]) for r in rows] == [('5" disk', "x"), ("ab", "c\nd"), ('x"', 'y"')]
    assert not bad


def test_lone_carriage_returns_are_text() -> None:
    rows, bad = read_csv(b'i,s\n1,a\rb\n2,"c\rd"\n')
    assert [r["s"] for r in rows] == ["a\rb", "c\rd"]
    assert not bad


def test_quoted_empty_number_is_null() -> None:
    rows, bad = read_csv('"i","s"\n"","x"\n"2","y"\n')
    assert [r["i"] for r in rows] == [None, 2]
    assert not bad


def test_csv_ids_are_the_text_of_the_column() -> None:
    data = "k,a\n7,1\n08,2\n,3\n"
    for columns in (["a"], ["k", "a"]):
        rows, bad = read_csv(data, columns=columns, id_column="k", types={"k": "int64"})
        assert [r["__id__"] for r in rows] == ["7", "08"]
        assert [r.reason for r in bad] == ["no id: column 'k' is null"]
    assert [r["k"] for r in rows] == [7, 8]


def test_other_delimiters_and_other_column_orders() -> None:
    uri = put(b"i;s\n1;x,y\n", ".csv")
    assert read(uri, delimiter=";")[0][0] == {"__id__": "a.csv#0", "i": 1, "s": "x,y"}
    folder = f"memory://readers/{uuid.uuid4().hex}"
    MEMORY.pipe(f"{folder}/a.csv", b"i,s\n1,x\n")
    MEMORY.pipe(f"{folder}/b.csv", b"s,more,i\ny,z,2\n")
    rows, _ = read(folder, columns=["s", "i"])
    assert [(r["s"], r["i"]) for r in rows] == [("x", 1), ("y", 2)]


def test_columns_without_or_with_repeated_names_do_not_disturb_others() -> None:
    rows, _ = read_csv(",x,x,s\n1,2,3,t\n", columns=["s"])
    assert rows == [{"__id__": "a.csv#0", "s": "t"}]


CSV_FIELDS = st.sampled_from(["", "1", "x", "é", 'q"q', "a,b", "c\nd", "e\r\nf", " ", '"'])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CSV_FIELDS, CSV_FIELDS), max_size=12), st.booleans(), st.integers(1, 30))
def test_what_the_csv_module_writes_is_read_back(
    records: list[tuple[str, str]], quote_all: bool, chunk_bytes: int
) -> None:
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    csv.writer(out, quoting=quoting, lineterminator="\n").writerows(
        [("s", "t"), ("s", "t"), *records]
    )
    rows, bad = read_csv(out.getvalue(), types={"s": "string", "t": "string"})
    assert [(r["s"] or "", r["t"] or "") for r in rows] == [("s", "t"), *records]
    assert not bad
    data = out.getvalue().encode()
    stream = io.BytesIO(data)
    groups = list(
        csv_records.csv_records(
            stream, 0, text.TO_END, delimiter=",", multiline=True, line=1, chunk_bytes=chunk_bytes
        )
    )
    assert sum(len(group.records) for group in groups) == len(records) + 2


CSV_LINES = st.lists(
    st.sampled_from(
        [
            b"1,x",
            b"22,\xc3\xa9",
            b",",
            b"",
            b"\r",
            b"3",
            b'4,"q,q"\r',
            b'5,"open',
            b'6,a"b',
            b"x,y",
            b"7,\xff",
            b'"",""',
            b"8,a\rb",
        ]
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(CSV_LINES, st.integers(1, 60), st.booleans(), st.booleans())
def test_csv_cut_anywhere_gives_the_same_records(
    lines: list[bytes], shard_bytes: int, ends: bool, bom: bool
) -> None:
    data = b"\xef\xbb\xbf" * bom + b"i,s\n0,t\n" + b"\n".join(lines) + b"\n" * ends
    uri = put(data, ".csv")
    options = {"multiline_csv": False, "types": {"i": "int64", "s": "string"}}
    whole = read(uri, **options)
    assert read(uri, shard_bytes=shard_bytes, **options) == whole
    assert len(whole[0]) + len(whole[1]) == 1 + sum(bool(line.strip(b"\r")) for line in lines)


@settings(max_examples=150, deadline=None)
@given(CSV_LINES)
def test_a_csv_record_does_not_depend_on_its_neighbours(lines: list[bytes]) -> None:
    options = {"multiline_csv": False, "types": {"i": "int64", "s": "string"}}
    head = b"i,s\n0,t\n"
    together, _ = read_csv(head + b"\n".join(lines), **options)
    alone = [row for line in lines for row in read_csv(head + line, **options)[0][1:]]
    assert [(r["i"], r["s"]) for r in together[1:]] == [(r["i"], r["s"]) for r in alone]


# Both


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".gz", lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:])),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", lambda data: pa.compress(data, "zstd", asbytes=True)),
    ],
    ids=["gz", "gz-members", "bz2", "xz", "zst"],
)
def test_compressed_equals_plain(suffix: str, compress: object) -> None:
    for name, data in ((".jsonl", b'{"a": 1}\n\n{"a"\n{"a": 2}\n'), (".csv", b"a\n1\nx,y\n2\n")):
        rows, bad = read(put(data, name))
        packed_rows, packed_bad = read(put(compress(data), name + suffix))
        assert [r["a"] for r in packed_rows] == [r["a"] for r in rows] == [1, 2]
        assert places(packed_bad) == places(bad)
        assert packed_rows[1]["__id__"] == f"a{name}{suffix}#2"


def test_local_equals_memory(tmp_path: Path) -> None:
    data = b'{"a": 1}\n{"a"\n{"a": 2}\n'
    (tmp_path / "a.jsonl").write_bytes(data)
    assert read(str(tmp_path / "a.jsonl"))[0] == read(f"file://{tmp_path}/a.jsonl")[0]
    assert read(str(tmp_path / "a.jsonl"), shard_bytes=5)[0] == read(put(data, ".jsonl"))[0]


def test_batches_have_at_most_the_rows_asked_for() -> None:
    data = '{"a": 1}\n' * 100
    assert read_jsonl(data, batch_rows=7) == read_jsonl(data)


def test_bad_records_alone_come_with_an_empty_batch() -> None:
    folder = f"memory://readers/{uuid.uuid4().hex}"
    MEMORY.pipe(f"{folder}/a.jsonl", b'{"a": 1}\n')
    MEMORY.pipe(f"{folder}/b.jsonl", b"{\n")
    rows, bad = read(folder)
    assert len(rows) == len(bad) == 1
    assert bad[0].file.endswith("b.jsonl")


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "empty.jsonl"])
def test_changed_or_vanished_file_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "empty.jsonl").write_text("")
    corpus = plan_corpus(f"{tmp_path}/*.{name.rpartition('.')[2]}", columns=None, id_column=None)
    shard = next(s for s in corpus.shards if s.name == name)
    (tmp_path / name).write_text("other")
    with pytest.raises(CorpusReadError, match=rf"{name} changed since it was planned; run again"):
        list(read_shard(shard, corpus.schema, id_column=None))
    (tmp_path / name).unlink()
    with pytest.raises(CorpusReadError, match=rf"{name} vanished since it was planned; run again"):
        list(read_shard(shard, corpus.schema, id_column=None))


def test_truncated_gzip_is_an_error_that_names_the_file() -> None:
    body = "".join(f'{{"a": "{uuid.UUID(int=i * 7919**9 % 2**128)}"}}\n' for i in range(300_000))
    uri = put(gzip.compress(body.encode())[:-9], ".jsonl.gz")
    with pytest.raises(CorpusReadError, match=r"a\.jsonl\.gz cannot be read"):
        read(uri)


def test_unnumbered_shard_needs_its_id_column() -> None:
    corpus = plan_corpus(
        put(b'{"k": 1}\n' * 9, ".jsonl"), columns=None, id_column="k", shard_bytes=20
    )
    with pytest.raises(ValueError, match="its rows are not numbered; pass id_column"):
        list(read_shard(corpus.shards[1], corpus.schema, id_column=None))
