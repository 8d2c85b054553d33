"""Vote tables: every source a function, all of them joined to records by id."""

from __future__ import annotations

import csv
import json
import os
import pickle
import random
import threading
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import labelmill.votesreading as reading
import labelmill.votetable as module
from labelmill import keyindex
from labelmill.apply import apply_functions
from labelmill.datafiles import DataFile, files_of
from labelmill.errors import LabelingFunctionError
from labelmill.fingerprint import fingerprint
from labelmill.loadedvotes import value_code
from labelmill.votes import LFInfo, LFTable
from labelmill.votetable import SourceVotes, vote_table

CLASSES = ("cat", "dog", "bird")
DATA = Path(os.environ.get("LABELMILL_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def table(tmp_path):
    def make(content: str | pa.Table | list[tuple[Any, ...]], name: str = "votes.csv") -> str:
        path = tmp_path / name
        if isinstance(content, list):
            columns = dict(zip(("item", "source", "vote"), zip(*content, strict=True), strict=True))
            content = pa.table({key: list(values) for key, values in columns.items()})
            path = path.with_suffix(".parquet")
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_text(content)
        return str(path)

    return make


def batch_of(ids: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(ids, pa.string())], ["__id__"])


def joined(
    lfs: list[SourceVotes], ids: list[str], classes: tuple[str, ...] = CLASSES
) -> dict[tuple[str, str], Any]:
    """Votes by (id, function): a class index, or the value that is no class."""
    votes = lfs[0].group.votes(lfs, batch_of(ids), classes)
    triples = list(zip(*(a.tolist() for a in votes[:3]), strict=True))
    assert len({(f, row) for f, row, _ in triples}) == len(triples)
    assert votes.labels.dtype == np.int16
    assert votes.functions.dtype == votes.rows.dtype == np.int64
    assert set(votes.invalid) == {n for n, (_, _, label) in enumerate(triples) if label == -3}
    return {
        (ids[row], lfs[f].name): votes.invalid[n] if label == -3 else label
        for n, (f, row, label) in enumerate(triples)
    }


def test_sources_become_functions_joined_by_id(table):
    lfs = vote_table(table("item,source,vote\na,w10,cat\nb,w2,dog\na,w2,bird\nzzz,w2,cat\n"))
    assert [lf.name for lf in lfs] == ["w2", "w10"]
    assert joined(lfs, ["b", "x", "a"]) == {("a", "w2"): 2, ("a", "w10"): 0, ("b", "w2"): 1}
    assert joined(lfs[1:], ["b", "a"]) == {("a", "w10"): 0}
    assert joined(lfs[::-1], ["b", "a"]) == joined(lfs, ["a", "b"])
    assert joined(lfs, []) == {}
    assert [lf.n_votes for lf in lfs] == [3, 1]
    assert lfs[0].trusted
    assert lfs[0].columns == lfs[0].labels == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("abcdefgh"),
            st.sampled_from(["w1", "w2", "w10"]),
            st.sampled_from([*CLASSES, None, "no class"]),
        ),
        min_size=1,
    ).filter(lambda rows: any(vote for _, _, vote in rows)),
    ids=st.lists(st.sampled_from("abcxyz"), unique=True),
)
def test_join_is_what_a_dict_does(table, rows, ids):
    expected: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for item, source, vote in rows:
        if vote is not None and item in ids:
            expected[item, source].add(CLASSES.index(vote) if vote in CLASSES else vote)
    found = joined(vote_table(table(rows)), ids)
    assert set(found) == set(expected)
    for key, values in expected.items():
        if len(values) == 1:
            assert {found[key]} == values
        else:
            assert isinstance(found[key], tuple)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.csv", "item,source,vote\n007,1,cat\n7,2,1\n7,1,\n"),
        ("v.tsv", "item\tsource\tvote\n007\t1\tcat\n7\t2\t1\n"),
        ("v.jsonl", '{"item":"007","source":1,"vote":"cat"}\n{"item":"7","source":2,"vote":"1"}\n'),
        ("v.parquet", pa.table({"item": ["007", "7"], "source": [1, 2], "vote": ["cat", "1"]})),
    ],
)
def test_formats(table, name, content):
    assert joined(vote_table(table(content, name)), ["7", "007"]) == {
        ("007", "1"): 0,
        ("7", "2"): 1,
    }


def test_integer_items_match_by_their_digits(table):
    lfs = vote_table(table([(7, 1, 2), (8, 1, 0)]))
    assert joined(lfs, ["7", "8", "07"]) == {("7", "1"): 2, ("8", "1"): 0}


def test_columns_prefix_and_choice(table):
    path = table("id,who,what\na,ann,cat\na,bob,dog\na,cy,dog\n")
    names = {"item": "id", "source": "who", "vote": "what"}
    lfs = vote_table(path, **names, prefix="crowd:", only=["cy", "ann"])
    assert [(lf.name, lf.source) for lf in lfs] == [("crowd:ann", "ann"), ("crowd:cy", "cy")]
    assert joined(lfs, ["a"]) == {("a", "crowd:ann"): 0, ("a", "crowd:cy"): 1}
    with pytest.raises(LabelingFunctionError, match=r"no source 'anne' in column 'who'; did you"):
        vote_table(path, **names, only=["anne"])


@pytest.mark.parametrize(
    ("vote", "classes", "code"),
    [
        ("dog", CLASSES, 1),
        ("1", CLASSES, 1),
        ("1.0", CLASSES, 1),
        (1, CLASSES, 1),
        ("3", CLASSES, -3),
        (3, CLASSES, -3),
        ("-2", CLASSES, -3),
        ("Dog", CLASSES, -3),
        (0.5, CLASSES, -3),
        (True, CLASSES, -3),
        ("9" * 5000, CLASSES, -3),
        ("1", ("1", "2", "3"), 0),
        ("0", ("1", "2", "3"), -3),
        (1, ("0", "1", "2"), 1),
        (("1", "dog"), CLASSES, 1),
        (("cat", "dog"), CLASSES, -3),
    ],
)
def test_meaning_of_a_vote(vote, classes, code):
    assert value_code(vote, classes) == code


def test_whole_numbers_that_may_be_names_are_refused(table):
    lfs = vote_table(table([("a", "w", 1)]))
    with pytest.raises(LabelingFunctionError, match=r"votes.parquet: vote 1 could be the class"):
        lfs[0].group.check_classes(("1", "2", "3"))
    lfs[0].group.check_classes(("0", "1", "2"))


@pytest.mark.parametrize("kind", [pa.string(), pa.int8(), pa.int64(), pa.float32(), pa.float64()])
def test_abstains_are_no_votes(table, kind):
    votes = [1, -1, None] if pa.types.is_integer(kind) else [1.0, -1.0, float("nan")]
    votes = ["1", "-1", None] if pa.types.is_string(kind) else votes
    content = pa.table(
        {"item": ["a", "b", "c"], "source": ["w"] * 3, "vote": pa.array(votes, kind)}
    )
    lfs = vote_table(table(content, "v.parquet"))
    assert joined(lfs, ["a", "b", "c"]) == {("a", "w"): 1}
    assert lfs[0].n_votes == 1


def test_second_votes(table):
    rows = [("a", "w", "cat"), ("b", "w", "cat"), ("a", "w", "cat"), ("b", "w", "dog")]
    rows += [("c", "w", "dog"), ("c", "w", None), ("d", "w", "1"), ("d", "w", "dog")]
    lfs = vote_table(table(rows))
    assert joined(lfs, ["a", "b", "c", "d"]) == {
        ("a", "w"): 0, ("b", "w"): ("cat", "dog"), ("c", "w"): 1, ("d", "w"): 1,
    }  # fmt: skip
    assert lfs[0].group.loaded.n_contradictions == 2  # as the table has them: b and d


def test_many_parts_are_merged(table, monkeypatch):
    monkeypatch.setattr(reading, "_PIECE", 50)
    monkeypatch.setattr("labelmill.tablereading._READ_ROWS", 16)
    draw = random.Random(0)
    pairs = [(f"item{i}", f"w{s}") for i in range(60) for s in range(20)]
    rows = [(*pair, draw.choice(CLASSES)) for pair in draw.sample(pairs, 700)]
    lfs = vote_table(table(rows))
    expected = {(item, source): CLASSES.index(vote) for item, source, vote in rows}
    assert joined(lfs, [f"item{i}" for i in range(60)]) == expected


def test_edit_of_one_source_changes_its_fingerprint_alone(table):
    rows = [(f"i{n}", f"w{n % 3}", CLASSES[n % 2]) for n in range(30)]

    def prints(rows):
        return {lf.name: fingerprint(lf) for lf in vote_table(table(rows))}

    before = prints(rows)
    assert len(set(before.values())) == 3
    assert prints(rows[::-1] + rows[:3]) == before
    assert prints([*rows, ("i1", "w9", "cat")]) == before | {
        "w9": prints([("i1", "w9", "cat")])["w9"]
    }
    another = [("i1", "w1", "bird") if row[0] == "i1" else row for row in rows]
    for edited in ([*rows, ("new", "w1", "cat")], rows[:1] + rows[2:], another):
        after = prints(edited)
        assert [name for name in before if before[name] != after[name]] == ["w1"]


def test_identity_of_thousands_of_sources_is_plain(table):
    lfs = vote_table(table([("a", n, "cat") for n in range(3_000)]))
    assert [lf.source for lf in lfs] == [str(n) for n in range(3_000)]
    json.dumps([lf.identity() for lf in lfs])
    assert len(joined(lfs, ["a"])) == 3_000


def test_table_is_loaded_once_and_pickles_as_its_name(table, monkeypatch):
    path = table([(f"i{n}", "w", "cat") for n in range(2_000)])
    found, loads = [], []
    load = module.VotesReading.finish
    monkeypatch.setattr(module.VotesReading, "finish", lambda self: loads.append(1) or load(self))
    threads = [threading.Thread(target=lambda: found.append(vote_table(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]
    lfs = found[0]
    data = pickle.dumps(lfs)
    assert len(data) < 600
    again = pickle.loads(data)
    assert again == lfs
    assert again[0].group.loaded is lfs[0].group.loaded
    assert files_of(lfs) == (DataFile(path),)


def test_functions_keep_one_group_when_pickled_together(table):
    lfs = pickle.loads(pickle.dumps(vote_table(table([("a", "v", "cat"), ("a", "w", "dog")]))))
    assert lfs[0].group is lfs[1].group


def test_one_record_has_the_vote_as_the_table_has_it(table):
    lfs = vote_table(table("item,source,vote\n1,w,cat\n2,v,1\n"))
    assert [lf(SimpleNamespace(id=1)) for lf in lfs] == [None, "cat"]
    assert lfs[1].votes(batch_of(["2", "1"])) == [None, "cat"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,sauce,vote\na,b,c\n", r"source.*did you mean 'sauce'"),
        ("item,source,vote\na,w,cat\n,w,cat\n", r":3: no key: column 'item' is null"),
        ("item,source,vote\na,,cat\n", r"column 'source' is empty in a vote on item 'a'"),
        ("item,source,vote\na,w,\n", r"no vote in column 'vote'"),
        ("item,source,vote\na,w\n", r"line 2: 2 fields, the header has 3"),
        (pa.table({"item": ["a"], "source": [0.5], "vote": ["c"]}), r"column 'source' is double"),
        (pa.table({"item": ["a"], "source": ["w"], "vote": [["c"]]}), r"column 'vote' is list"),
    ],
)
def test_bad_tables_are_named(table, content, message):
    name = "votes.csv" if isinstance(content, str) else "votes.parquet"
    with pytest.raises(LabelingFunctionError, match=r"vote table: .*" + name + r".*" + message):
        vote_table(table(content, name))


def test_items_are_text_or_whole_numbers(table):
    path = table(pa.table({"item": [0.5], "source": ["w"], "vote": ["c"]}), "votes.parquet")
    with pytest.raises(LabelingFunctionError, match=r"vote table: .*'item' of .* is double"):
        vote_table(path)


def test_limits_and_unknown_formats(table, monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "MAX_VALUES", 2)
    with pytest.raises(LabelingFunctionError, match=r"has 3 distinct values; .* \(limit 2\)"):
        vote_table(table([(c, "w", c) for c in "abc"]))
    (tmp_path / "votes.xlsx").write_text("")
    with pytest.raises(LabelingFunctionError, match=r"votes.xlsx is no table"):
        vote_table(tmp_path / "votes.xlsx")
    with pytest.raises(LabelingFunctionError, match=r"there is no file .*gone.csv"):
        vote_table(tmp_path / "gone.csv")


def test_items_with_one_hash_are_told_apart_by_their_text(table, monkeypatch):
    for user in (reading, keyindex):
        monkeypatch.setattr(user, "text_hashes", lambda texts, *_: np.zeros(len(texts), np.uint64))
    lfs = vote_table(table([("b", "w", "cat"), ("a", "w", "dog"), ("b", "v", "bird")]))

    found = joined(lfs, ["a", "b", "c"])

    assert found == {("a", "w"): 1, ("b", "w"): 0, ("b", "v"): 2}


def test_a_job_counts_votes_and_contradictions(table):
    rows = [("a", "v", "cat"), ("a", "w", "dog"), ("b", "w", "cat"), ("b", "w", "dog"),
            ("c", "v", "cow")]  # fmt: skip
    lfs = vote_table(table(rows))
    applied = apply_functions(
        batch_of(["a", "b", "c"]), lfs, LFTable(tuple(LFInfo(n.name, "") for n in lfs), CLASSES)
    )
    assert applied.votes.column("labels").to_pylist() == [[0, 1], [], []]
    assert (applied.outcomes.votes, applied.outcomes.invalid) == ((1, 1), (1, 1))
    assert sorted((f.lf, f.id) for f in applied.faults) == [("v", "c"), ("w", "b")]


def test_decimals_without_fraction_are_indices(table):
    votes = [Decimal(v) if v else None for v in ("1.00", "0", "-1", None, "0.50")]
    content = pa.table(
        {"item": list("abcde"), "source": ["s"] * 5, "vote": pa.array(votes, pa.decimal128(5, 2))}
    )

    found = joined(vote_table(table(content, "votes.parquet")), list("abcde"))

    assert found == {("a", "s"): 1, ("b", "s"): 0, ("e", "s"): Decimal("0.50")}


def test_fault_of_a_vote_that_is_no_class_names_the_nearest(table):
    lfs = vote_table(table([("a", "s", "Cat")]))

    applied = apply_functions(batch_of(["a"]), lfs, LFTable((LFInfo("s", ""),), CLASSES))

    [fault] = applied.faults
    assert fault.message == (
        "the table has 'Cat' for this item, which is no class; did you mean 'cat'?"
    )


@pytest.mark.data
@pytest.mark.parametrize("name", ["dog", "face", "snow_rte", "zencrowd_all"])
def test_crowds_are_joined_completely(name):
    folder = DATA / f"crowd_{name}"
    if not folder.is_dir():
        pytest.skip("no data sets: set LABELMILL_DATA to their folder")
    classes = tuple(json.loads((folder / "meta.json").read_text())["classes"])
    with (folder / "votes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    votes = defaultdict(set)
    for row in rows:
        votes[row["item"], row["source"]].add(row["vote"])
    lfs = vote_table(folder / "votes.csv")
    ids = list(dict.fromkeys(row["item"] for row in rows))
    found = joined(lfs, ids, classes)
    assert len(lfs) == len({row["source"] for row in rows})
    several = sum(len(distinct) > 1 for distinct in votes.values())
    assert lfs[0].group.loaded.n_contradictions == several
    assert several == (247 if name == "zencrowd_all" else 0)
    assert {
        key: set(vote) if isinstance(vote, tuple) else {classes[vote]}
        for key, vote in found.items()
    } == votes
