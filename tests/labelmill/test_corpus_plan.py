from __future__ import annotations

import gzip
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelmill.corpus import plan_corpus
from labelmill.errors import CorpusError
from labelmill.shard import Shard


def write_parquet(path: Path, columns: dict[str, object], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def write_lines(path: Path, *records: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def plan(uris: object, **options: object):
    return plan_corpus(uris, **{"columns": None, "id_column": None, **options})


def names(corpus: object) -> list[str]:
    return [shard.name for shard in corpus.shards]


def test_single_file_is_named_by_its_base_name(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "deep" / "a.parquet", {"text": ["x", "y"]})
    (shard,) = plan(str(path)).shards
    assert (shard.name, shard.uri, shard.rows, shard.first_row) == ("a.parquet", str(path), 2, 0)


def test_names_of_a_glob_are_relative_to_its_static_folder(tmp_path: Path) -> None:
    for day in ("d1", "d2"):
        write_lines(tmp_path / "data" / day / "a.jsonl", {"text": day})
    assert names(plan(f"{tmp_path}/data/*/a.jsonl")) == ["d1/a.jsonl", "d2/a.jsonl"]
    assert names(plan(f"{tmp_path}/data/d*")) == ["d1/a.jsonl", "d2/a.jsonl"]
    assert names(plan(f"{tmp_path}/data/d1/*.jsonl")) == ["a.jsonl"]


def test_folder_is_walked_and_hidden_files_are_skipped(tmp_path: Path) -> None:
    for name in (
        "a.jsonl",
        "x/b.jsonl",
        "_SUCCESS",
        "_tmp/c.jsonl",
        ".hidden.jsonl",
        "x/.d/e.jsonl",
    ):
        write_lines(tmp_path / name, {"text": "t"})
    assert names(plan(str(tmp_path))) == ["a.jsonl", "x/b.jsonl"]
    assert names(plan(f"{tmp_path}/")) == ["a.jsonl", "x/b.jsonl"]
    assert names(plan(f"{tmp_path}/**/*.jsonl")) == ["a.jsonl", "x/b.jsonl"]


def test_hidden_files_are_read_when_the_glob_asks_for_them(tmp_path: Path) -> None:
    write_lines(tmp_path / "_part1.jsonl", {"text": "t"})
    assert names(plan(f"{tmp_path}/_part*.jsonl")) == ["_part1.jsonl"]


def test_file_whose_name_holds_glob_characters_is_found(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a[1].jsonl", {"text": "t"})
    assert names(plan(str(path))) == ["a[1].jsonl"]


def test_names_of_several_uris_are_full_and_a_file_counts_once(tmp_path: Path) -> None:
    a = write_lines(tmp_path / "a.jsonl", {"text": "t"})
    b = write_lines(tmp_path / "b.jsonl", {"text": "t"})
    assert names(plan([str(a), f"{tmp_path}/*.jsonl"])) == [str(a), str(b)]
    assert names(plan([str(a)])) == ["a.jsonl"]


def test_ids_stay_when_the_corpus_moves_and_change_with_the_range(tmp_path: Path) -> None:
    ids = []
    for folder in ("here", "there"):
        write_lines(tmp_path / folder / "a.jsonl", *[{"text": "t"}] * 9)
        ids.append([s.id for s in plan(str(tmp_path / folder), shard_bytes=50).shards])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0]) == 3
    assert all(len(i) == 16 and int(i, 16) >= 0 for i in ids[0])


def test_shard_survives_json(tmp_path: Path) -> None:
    (shard,) = plan(str(write_lines(tmp_path / "a.jsonl", {"text": "t"}))).shards
    assert Shard.from_dict(json.loads(json.dumps(shard.to_dict()))) == shard


def test_memory_file_system_is_planned_like_the_local_one() -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe("/plan/x/a.jsonl.gz", gzip.compress(b'{"text": "t"}\n'))
    (shard,) = plan("memory://plan/").shards
    assert (shard.uri, shard.name) == ("memory:///plan/x/a.jsonl.gz", "x/a.jsonl.gz")
    assert (shard.format, shard.compression) == ("jsonl", "gzip")


def test_fingerprint_changes_with_the_file_only(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", {"text": "t"})
    first, again = (plan(str(path)).shards[0].fingerprint for _ in range(2))
    write_lines(path, {"text": "other"})
    assert first == again != plan(str(path)).shards[0].fingerprint


def test_parquet_is_cut_in_runs_of_row_groups(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"n": list(range(10))}, row_group_size=2)
    size = pq.ParquetFile(path).metadata.row_group(0).total_byte_size
    shards = plan(str(path), shard_bytes=2 * size).shards
    assert [(s.start, s.stop, s.first_row, s.rows) for s in shards] == [
        (0, 2, 0, 4),
        (2, 4, 4, 4),
        (4, 5, 8, 2),
    ]
    assert len(plan(str(path), shard_bytes=1).shards) == 5


def test_zero_row_file_is_a_shard_without_rows(tmp_path: Path) -> None:
    write_parquet(tmp_path / "p" / "a.parquet", {"n": pa.array([], pa.int64())})
    write_parquet(tmp_path / "p" / "b.parquet", {"n": [1]})
    assert [s.rows for s in plan(f"{tmp_path}/p").shards] == [0, 1]
    write_lines(tmp_path / "j" / "a.jsonl")
    write_lines(tmp_path / "j" / "b.jsonl", {"n": 1})
    assert [s.rows for s in plan(f"{tmp_path}/j").shards] == [0, None]
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.csv").write_text("n\n")
    (tmp_path / "c" / "b.csv").write_text("n\n1\n")
    corpus = plan(f"{tmp_path}/c")
    assert [s.rows for s in corpus.shards] == [0, None]
    assert corpus.schema.field("n").type == pa.int64()


def test_types_are_promoted_over_files(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "a.parquet",
        {
            "i": pa.array([1], pa.int32()),
            "f": pa.array([1], pa.int64()),
            "n": pa.nulls(1),
            "s": pa.array(["x"]).dictionary_encode(),
            "never": pa.nulls(1),
        },
    )
    write_parquet(
        tmp_path / "b.parquet",
        {
            "i": pa.array([1], pa.int64()),
            "f": pa.array([1.5], pa.float32()),
            "n": ["x"],
            "s": pa.array(["x"], pa.large_string()),
            "never": pa.nulls(1),
        },
    )
    assert plan(str(tmp_path)).schema == pa.schema(
        {"i": "int64", "f": "double", "n": "string", "s": "string", "never": "string"}
    )


def test_schema_has_the_columns_asked_for_in_their_order(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"a": [1], "b": [1], "c": [1]})
    corpus = plan(str(path), columns=["c", "a"], id_column="b")
    assert corpus.schema.names == ["c", "a"]
    assert corpus.id_column == "b"


def test_jsonl_types_come_from_the_first_lines(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "a.jsonl",
        {"b": True, "i": 1, "f": 1, "s": "2020-01-01", "n": None, "l": [], "d": {"x": 1}},
        {"b": None, "i": 2, "f": 1.5, "s": "x", "l": ["2020-01-01"], "d": {"y": "z"}},
    )
    assert plan(str(path)).schema == pa.schema(
        {
            "b": pa.bool_(),
            "i": pa.int64(),
            "f": pa.float64(),
            "s": pa.string(),
            "n": pa.string(),
            "l": pa.list_(pa.string()),
            "d": pa.struct({"x": pa.int64(), "y": pa.string()}),
        }
    )


def test_jsonl_column_may_lack_in_a_file_or_be_known_by_type_only(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", {"text": "t"})
    write_lines(tmp_path / "b.jsonl", {"text": "t", "more": 1})
    corpus = plan(str(tmp_path), columns=["more", "rare"], types={"rare": "timestamp"})
    assert corpus.schema == pa.schema({"more": pa.int64(), "rare": pa.timestamp("us")})


def test_csv_types_come_from_the_first_records(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "i,f,b,s,zip,date,n,mixed\n1,1,true,x,007,2020-01-01,,1\n,2.5,False,,123,,,\n"
    )
    (tmp_path / "b.csv").write_text("i,f,b,s,zip,date,n,mixed\n1,1,true,x,7,,,x\n")
    types = plan(f"{tmp_path}/*.csv").schema.types
    assert [str(t) for t in types] == ["int64", "double", "bool"] + ["string"] * 5


def test_types_win_over_what_files_show(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", {"n": 1}, {"n": "x"})
    assert plan(str(path), types={"n": "string"}).schema.field("n").type == pa.string()


def test_tsv_is_tab_separated(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n1\tx,y\n")
    corpus = plan(str(tmp_path / "a.tsv"))
    assert corpus.schema.names == ["a", "b"]
    assert corpus.shards[0].delimiter == "\t"


def test_large_csv_stays_whole_with_a_warning_unless_it_has_no_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n" + "1\n" * 100)
    corpus = plan(str(path), shard_bytes=50)
    assert len(corpus.shards) == 1
    assert "input.multiline: false" in corpus.warnings[0]
    cut = plan(str(path), shard_bytes=50, multiline_csv=False)
    assert [s.first_row for s in cut.shards] == [0, 24, 49, 74, 99]
    assert [s.first_line for s in cut.shards] == [1, 26, 51, 76, 101]
    assert not cut.warnings


def test_compressed_text_is_one_shard(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 100))
    assert len(plan(str(path), shard_bytes=1).shards) == 1


def test_rows_are_not_counted_when_there_is_an_id_column(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", *[{"i": i} for i in range(9)])
    shards = plan(str(path), id_column="i", shard_bytes=30).shards
    assert [s.first_row for s in shards] == [0, -1, -1]


def test_other_files_of_a_folder_are_skipped_with_a_warning(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", {"text": "t"})
    (tmp_path / "README.md").write_text("about")
    corpus = plan(str(tmp_path))
    assert names(corpus) == ["a.jsonl"]
    assert "skipped 1 files" in corpus.warnings[0]
    assert "README.md" in corpus.warnings[0]


def test_format_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text('{"a": 1}\n')
    assert plan(str(tmp_path / "data.txt"), format="jsonl").schema.names == ["a"]


def test_file_of_bad_lines_among_good_files_is_left_to_the_reader(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", {"a": 1})
    (tmp_path / "b.jsonl").write_text("{broken\n")
    assert names(plan(str(tmp_path))) == ["a.jsonl", "b.jsonl"]


class TestErrors:
    def test_no_match(self, tmp_path: Path) -> None:
        for uri in (f"{tmp_path}/none.csv", f"{tmp_path}/*.csv", str(tmp_path)):
            with pytest.raises(CorpusError, match=r"input uri .* matches no files"):
                plan(uri)
        with pytest.raises(CorpusError, match="input uri is empty"):
            plan([])

    def test_unusable_uri(self) -> None:
        with pytest.raises(CorpusError, match=r"input uri nope://x cannot be opened"):
            plan("nope://x")
        with pytest.raises(CorpusError, match="chains URLs"):
            plan("zip://*.csv::memory://a.zip")

    def test_empty_corpus(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "a.jsonl")
        (tmp_path / "b.jsonl").write_text("\n \n")
        with pytest.raises(CorpusError, match=r"the corpus is empty: no file of .* has a row"):
            plan(str(tmp_path))
        (tmp_path / "c.csv").write_text("a,b\n")
        with pytest.raises(CorpusError, match="the corpus is empty"):
            plan(str(tmp_path / "c.csv"))
        empty = write_parquet(tmp_path / "d.parquet", {"n": pa.array([], pa.int64())})
        with pytest.raises(CorpusError, match="the corpus is empty"):
            plan(str(empty))

    def test_mixed_formats_name_two_files(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "a.jsonl", {"a": 1})
        (tmp_path / "b.csv").write_text("a\n1\n")
        with pytest.raises(CorpusError, match=r"a\.jsonl is jsonl, .*b\.csv is csv"):
            plan(str(tmp_path))

    def test_unknown_format(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "a.dat", {"a": 1})
        with pytest.raises(CorpusError, match=r"suffix of .*a\.dat names no format"):
            plan(str(path))
        with pytest.raises(CorpusError, match="unknown input format 'xml'"):
            plan(str(path), format="xml")
        with pytest.raises(CorpusError, match="compressed Parquet"):
            plan(str(write_lines(tmp_path / "a.parquet.gz", {"a": 1})))

    @pytest.mark.parametrize("options", [{"columns": ["txt"]}, {"id_column": "txt"}])
    def test_missing_column_suggests_the_nearest(
        self, tmp_path: Path, options: dict[str, object]
    ) -> None:
        message = r"has no column 'txt'; it has: text, n; did you mean 'text'\?"
        write_parquet(tmp_path / "a.parquet", {"text": ["x"], "n": [1]})
        write_lines(tmp_path / "a.jsonl", {"text": "x", "n": 1})
        (tmp_path / "a.csv").write_text("text,n\nx,1\n")
        for name in ("a.parquet", "a.jsonl", "a.csv"):
            with pytest.raises(CorpusError, match=rf"{name} {message}"):
                plan(str(tmp_path / name), **options)

    def test_column_that_only_some_files_have(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", {"x": [1]})
        write_parquet(tmp_path / "b.parquet", {"x": [1], "y": [1]})
        with pytest.raises(CorpusError, match=r"column 'y' of .*b\.parquet is not in .*a\.parquet"):
            plan(str(tmp_path))
        with pytest.raises(CorpusError, match=r"a\.parquet has no column 'y'"):
            plan(str(tmp_path), columns=["y"])
        assert plan(str(tmp_path), columns=["x"]).schema.names == ["x"]

    def test_types_that_do_not_fit_name_both_files(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", {"x": [1]})
        write_parquet(tmp_path / "b.parquet", {"x": ["one"]})
        message = r"column 'x' is int64 in .*a\.{0} but string in .*b\.{0}"
        with pytest.raises(CorpusError, match=message.format("parquet")):
            plan(f"{tmp_path}/*.parquet")
        write_lines(tmp_path / "a.jsonl", {"x": 1})
        write_lines(tmp_path / "b.jsonl", {"x": "one"})
        with pytest.raises(CorpusError, match=message.format("jsonl")):
            plan(f"{tmp_path}/*.jsonl")

    def test_jsonl_column_of_mixed_values(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "a.jsonl", {"x": 1}, {"x": "one"})
        with pytest.raises(CorpusError, match=r"column 'x' of .* \(int64, string\).*input\.types"):
            plan(str(path))

    def test_unknown_type_name(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "a.jsonl", {"x": 1})
        with pytest.raises(CorpusError, match=r"unknown type 'int'.*; did you mean 'int"):
            plan(str(path), types={"x": "int"})

    def test_id_column_of_a_type_that_cannot_be_one(self, tmp_path: Path) -> None:
        path = write_parquet(tmp_path / "a.parquet", {"x": [1.5]})
        with pytest.raises(CorpusError, match=r"id column 'x' of .* is double"):
            plan(str(path), id_column="x")

    def test_reserved_and_repeated_names(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match="'__id__' of the corpus"):
            plan(str(write_lines(tmp_path / "a.jsonl", {"__id__": 1})))
        (tmp_path / "a.csv").write_text("a,a\n1,2\n")
        with pytest.raises(CorpusError, match=r"a\.csv has more than one column 'a'"):
            plan(str(tmp_path / "a.csv"))

    def test_truncated_or_foreign_parquet(self, tmp_path: Path) -> None:
        path = write_parquet(tmp_path / "a.parquet", {"x": [1] * 1000})
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(CorpusError, match=r"a\.parquet cannot be read"):
            plan(str(path))
        path.write_bytes(b"")
        with pytest.raises(CorpusError, match=r"a\.parquet cannot be read"):
            plan(str(path))

    @pytest.mark.parametrize("suffix", ["gz", "bz2", "zst", "xz"])
    def test_broken_compression(self, tmp_path: Path, suffix: str) -> None:
        path = write_lines(tmp_path / f"a.jsonl.{suffix}", {"x": 1})
        with pytest.raises(CorpusError, match=rf"a\.jsonl\.{suffix} cannot be read"):
            plan(str(path))

    def test_json_array_and_wrong_delimiter(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text('[\n{"a": 1}\n]\n')
        with pytest.raises(CorpusError, match=r"a\.json is a JSON array, not JSON lines"):
            plan(str(tmp_path / "a.json"))
        (tmp_path / "a.json").write_text("\nnull\n")
        with pytest.raises(CorpusError, match=r"a\.json is not JSON lines, .*line 2 is not a JSON"):
            plan(str(tmp_path / "a.json"))
        (tmp_path / "a.csv").write_text("a;b\n1,5;2\n")
        with pytest.raises(CorpusError, match=r"not CSV with delimiter ',': line 2: 2 fields"):
            plan(str(tmp_path / "a.csv"))

    def test_utf16(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("a\n1\n", encoding="utf-16")
        with pytest.raises(CorpusError, match="is UTF-16"):
            plan(str(tmp_path / "a.csv"))

    def test_csv_header_that_never_closes(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text('"a,b\n1,2\n')
        with pytest.raises(CorpusError, match=r"header of .*a\.csv cannot be read.*not closed"):
            plan(str(tmp_path / "a.csv"))

    def test_options(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match="shard size is 0 bytes"):
            plan(str(tmp_path), shard_bytes=0)
        for delimiter in ("", ";;", "\n", '"', "é"):
            with pytest.raises(CorpusError, match="must be one ASCII character"):
                plan(str(tmp_path), delimiter=delimiter)
