"""Votes of a shard after edits: what is kept, what runs; the bytes are those of a full run."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelmill import all_of, keywords, labeling_function, none_of
from labelmill.apply import FunctionSet
from labelmill.corpus import plan_corpus
from labelmill.earlier import by_usual_end, find_earlier
from labelmill.functionkeys import function_keys
from labelmill.jobspec import JobSpec
from labelmill.labeling import PaidFunction
from labelmill.shardtask import ShardTask
from labelmill.shardwork import votes_of_shard
from labelmill.store import Store
from labelmill.votes import LFInfo, LFTable

ROWS = 200
CLASSES = ("ham", "spam")


class Corpus:
    """A corpus of one shard, with unreadable lines, and runs over it into stores."""

    def __init__(self, folder):
        file = folder / "a.jsonl"
        rows = [{"id": f"r{n}", "n": n, "text": "cash" if n % 3 else "hi"} for n in range(ROWS)]
        lines = [json.dumps(row) for row in rows]
        lines.insert(7, "{broken")
        file.write_text("\n".join(lines))
        self.file = file
        self.job = JobSpec.model_validate(
            {
                "name": "n",
                "input": {"uri": str(file), "id": "id"},
                "labels": list(CLASSES),
                "lfs": ["lfs.py"],
                "output": {"uri": "out"},
            }
        )

    def run(self, store, lfs, *, earlier=True, columns=("id", "n", "text")):
        """Vote with `lfs`; functions of the same name and fingerprint count as unchanged."""
        corpus = plan_corpus(str(self.file), columns=list(columns), id_column="id")
        (shard,) = corpus.shards
        table = LFTable(tuple(LFInfo(lf.name, lf.mark) for lf in lfs), CLASSES)
        functions = [lf.lf for lf in lfs]
        task = ShardTask(
            job=self.job,
            table=table,
            schema=corpus.schema,
            output_uri=store.uri,
            gold_digest="",
            keys=function_keys(functions, table, corpus.schema),
            reuse=earlier,
            check_ids=True,
        )
        found = find_earlier(task, [shard], store.list("votes"), {})
        end, others = by_usual_end(task, [shard], found)
        task = replace(task, earlier_end=end, earlier=others)
        return votes_of_shard(shard, task, store, lambda: FunctionSet(functions, table))


class Versioned:
    """A function in one of its versions; counts the records that it sees."""

    def __init__(self, name, mark, make):
        self.name, self.mark, self.seen = name, mark, 0
        self.lf = make(self)


def python(name, version):
    def make(self):
        def vote(x):
            self.seen += 1
            if name == "failing" and x.n % 5 == version:
                raise ValueError(f"{x.n}")
            if name == "wrong" and x.n % 4 == version:
                return 7
            return version % 2 if (x.n * (version + 2)) % 3 == 0 else None

        return labeling_function(name=name, fields=["n"])(vote)

    return Versioned(name, f"{name}{version}", make)


def matcher(version):
    words = ["cash", "hi"][version % 2]
    lf = keywords("words", label="spam", words=[words])
    return Versioned("words", f"words{version}", lambda self: lf)


def combined(name, how, versions):
    lf = how(name, label="spam", of=["words", "failing"])
    mark = f"{name}{versions['words']}{versions['failing']}"
    return Versioned(name, mark, lambda self: lf)


class Paid(PaidFunction):
    """A function that costs money; its service may be down for records with certain numbers."""

    kind = "prompted"
    columns = ("n",)
    labels = ("ham",)
    only_where = "all"

    def __init__(self, seen, name, only_where, down):
        self.seen, self.name, self.only_where, self.down = seen, name, only_where, down
        self.failed = 0

    def votes(self, batch):
        self.seen.seen += batch.num_rows
        down = [n % 50 in self.down for n in batch.column("n").to_pylist()]
        self.failed += sum(down)
        return [OSError("down") if failed else "ham" for failed in down]

    def usage(self):
        return {"failed": self.failed}

    def identity(self):
        return {}

    def bind(self, store_uri):
        pass

    def allow(self, share):
        pass

    def estimate(self, batch):
        return {}


def paid(name, only_where="all", down=()):
    return Versioned(name, name, lambda self: Paid(self, name, only_where, down))


def functions_at(versions):
    """Return the functions of a job: those that have a version."""
    lfs = [python(n, versions[n]) for n in ("plain", "failing", "wrong") if n in versions]
    if "words" in versions:
        lfs.append(matcher(versions["words"]))
    if {"words", "failing"} <= set(versions):
        lfs += [combined("both", all_of, versions), combined("neither", none_of, versions)]
    return lfs if versions.get("order", 0) == 0 else lfs[::-1]


def assert_as_full(corpus, folder, kept, lfs, **options):
    fresh = Store.open(folder / "fresh")
    full = corpus.run(fresh, lfs, earlier=False, **options)
    assert (kept.entry, kept.faults, kept.ids) == (full.entry, full.faults, full.ids)
    assert kept.bad_records == full.bad_records == 1
    counts = full.outcomes.without_measurements()
    assert kept.outcomes.without_measurements() == counts


VERSIONS = st.fixed_dictionaries(
    {"plain": st.integers(0, 2)},
    optional={
        "failing": st.integers(0, 2),
        "wrong": st.integers(0, 2),
        "words": st.integers(0, 1),
        "order": st.integers(0, 1),
    },
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits=st.lists(VERSIONS, min_size=2, max_size=4))
def test_any_edits_give_the_bytes_of_a_full_run(tmp_path_factory, edits):
    folder = tmp_path_factory.mktemp("edits")
    corpus, store = Corpus(folder), Store.open(folder / "out")
    for versions in edits:
        lfs = functions_at(versions)
        kept = corpus.run(store, lfs)
        assert_as_full(corpus, folder, kept, functions_at(versions))


@pytest.fixture
def corpus(tmp_path):
    return Corpus(tmp_path)


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "out")


def test_edited_function_runs_alone(corpus, store):
    corpus.run(store, functions_at({"plain": 0, "wrong": 0, "failing": 0}))
    lfs = functions_at({"plain": 1, "wrong": 0, "failing": 0})

    corpus.run(store, lfs)

    assert {lf.name: lf.seen for lf in lfs} == {"plain": ROWS, "wrong": 0, "failing": 0}


def test_removed_function_is_dropped_without_looking_at_a_record(corpus, store, monkeypatch):
    corpus.run(store, functions_at({"plain": 0, "wrong": 0}))
    monkeypatch.setattr("labelmill.voting.read_shard", None)
    lfs = functions_at({"wrong": 0})

    votes = corpus.run(store, lfs)

    assert lfs[0].seen == 0
    assert (votes.outcomes.rows, votes.bad_records) == (ROWS, 1)


def test_combination_runs_again_with_its_part_and_with_parts_that_failed(corpus, store, tmp_path):
    corpus.run(store, functions_at({"plain": 0, "words": 0, "failing": 0}))
    lfs = functions_at({"plain": 0, "words": 1, "failing": 0})

    kept = corpus.run(store, lfs)

    seen = {lf.name: lf.seen for lf in lfs}
    assert (seen["plain"], seen["failing"]) == (0, ROWS)  # which records it failed on is not stored
    assert_as_full(corpus, tmp_path, kept, functions_at({"plain": 0, "words": 1, "failing": 0}))


def test_new_column_that_makes_records_unreadable_runs_everything(tmp_path, store):
    corpus = Corpus(tmp_path)
    lines = corpus.file.read_text().splitlines()
    lines[2] = lines[2].replace('"cash"', "[1]")
    corpus.file.write_text("\n".join(lines))
    corpus.run(store, functions_at({"plain": 0}), columns=("id", "n"))
    lfs = functions_at({"plain": 0, "words": 0})

    votes = corpus.run(store, lfs)

    assert votes.bad_records == 2
    assert lfs[0].seen == ROWS - 1


def test_functions_that_do_not_read_a_new_column_are_kept(corpus, store):
    corpus.run(store, functions_at({"plain": 0}), columns=("id", "n"))
    lfs = functions_at({"plain": 0, "words": 0})

    corpus.run(store, lfs)

    assert lfs[0].seen == 0


def test_broken_earlier_votes_are_computed_again(corpus, store):
    first = corpus.run(store, functions_at({"plain": 0, "wrong": 0}))
    data = store.get(first.entry.path)
    store.put(first.entry.path, data[: len(data) // 2])
    lfs = functions_at({"plain": 1, "wrong": 0})

    corpus.run(store, lfs)

    assert [lf.seen for lf in lfs] == [ROWS, ROWS]


def test_function_asked_where_others_do_not_vote_is_asked_again_when_they_changed(
    corpus, store, tmp_path
):
    def lfs(version):
        return [python("plain", version), paid("everywhere"), paid("uncovered", "uncovered")]

    corpus.run(store, lfs(0))
    later = lfs(2)

    kept = corpus.run(store, later)

    assert later[1].seen == 0
    assert 0 < later[2].seen < ROWS
    assert_as_full(corpus, tmp_path, kept, lfs(2))


def test_functions_of_a_service_that_was_down_are_asked_again_and_the_others_kept(
    corpus, store, tmp_path
):
    first = corpus.run(store, [python("plain", 0), paid("asked", down={3})])
    assert "-retry-" in first.entry.path
    later = [python("plain", 0), paid("asked")]

    kept = corpus.run(store, later)

    assert (later[0].seen, later[1].seen) == (0, ROWS)
    assert_as_full(corpus, tmp_path, kept, [python("plain", 0), paid("asked")])


def test_names_of_earlier_votes_travel_as_one_end_and_the_exceptions(corpus):
    (first,) = plan_corpus(str(corpus.file), columns=["id"], id_column="id").shards
    shards = [replace(first, name=f"{n}.jsonl") for n in range(5_000)]
    table = LFTable((LFInfo("a", "0"),), CLASSES)
    task = ShardTask(corpus.job, table, pa.schema([]), "out", "", ("k",), True, True)
    names = {shard.id: f"{task.earlier_prefix(shard)}aa-0.parquet" for shard in shards}
    del names[shards[7].id]
    names[shards[9].id] = f"{task.earlier_prefix(shards[9])}bb-retry-0.parquet"

    end, others = by_usual_end(task, shards, names)
    there = replace(task, earlier_end=end, earlier=others)

    assert [there.earlier_votes(shard) for shard in shards] == [names.get(s.id) for s in shards]
    assert len(others) == 2
    assert len(pickle.dumps(there)) < len(pickle.dumps(task)) + 1_000
    assert by_usual_end(task, shards, {}) == ("", {})
