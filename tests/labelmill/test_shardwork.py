"""Votes of a shard: computed once, reused while whole, computed again when broken."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from labelmill import keywords, labeling_function
from labelmill.apply import FunctionSet
from labelmill.corpus import plan_corpus
from labelmill.deadletters import MAX_FAULTS
from labelmill.errors import CorpusError
from labelmill.gold import GoldTable
from labelmill.jobspec import JobSpec
from labelmill.shardtask import ShardTask
from labelmill.shardwork import stored_table, votes_of_shard, with_gold
from labelmill.store import Store
from labelmill.tablefile import TableFile
from labelmill.votes import LFInfo, LFTable, gold_array, lf_table, unpack_votes

ROWS = 300


def divide(x):
    return 1 if 10 / x.n > 1 else None


LFS = (
    keywords("cash", label="spam", words=["cash"]),
    labeling_function(name="divide")(divide),
    labeling_function(name="wrong")(lambda x: 7 if x.n % 2 else None),
)
TABLE = LFTable(tuple(LFInfo(lf.name, f"f{n}") for n, lf in enumerate(LFS)), ("ham", "spam"))


class Setting:
    """A corpus of one shard, its task, and a store; counts how often functions are asked for."""

    def __init__(self, folder, rows=ROWS, extra="", **gold):
        corpus_file = folder / "a.jsonl"
        records = [
            {
                "id": f"r{n % (rows - 1 or 1)}",
                "n": n % 100,
                "text": "cash" if n % 3 else None,
                "gold": n % 2,
            }
            for n in range(rows)
        ]
        corpus_file.write_text("".join(json.dumps(r) + "\n" for r in records) + extra)
        spec = {"uri": str(corpus_file), "id": "id"}
        self.job = JobSpec.model_validate(
            {
                "name": "n",
                "input": spec,
                "labels": ["ham", "spam"],
                "lfs": ["lfs.py"],
                "output": {"uri": str(folder / "out")},
                **gold,
            }
        )
        corpus = plan_corpus(str(corpus_file), columns=None, id_column="id")
        (self.shard,) = corpus.shards
        self.schema = corpus.schema
        self.store = Store.open(folder / "out")
        self.calls = 0

    def task(self, **changes):
        values = {"reuse": True, "check_ids": True, "gold_digest": "", "table": TABLE, **changes}
        values.setdefault("keys", tuple(lf.fingerprint for lf in values["table"].lfs))
        return ShardTask(job=self.job, schema=self.schema, output_uri=self.store.uri, **values)

    def functions(self):
        self.calls += 1
        return FunctionSet(LFS, TABLE)

    def votes(self, **changes):
        return votes_of_shard(self.shard, self.task(**changes), self.store, self.functions)


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path)


def test_counts_are_exact(setting):
    votes = setting.votes()
    assert votes.outcomes.rows == votes.file.rows == votes.entry.rows == ROWS
    assert votes.outcomes.votes == (200, 27, 0)  # n in 1..9 of each hundred
    assert votes.outcomes.faults == (0, 3, 0)
    assert votes.outcomes.invalid == (0, 0, 150)
    assert (votes.bad_records, votes.duplicate_ids, votes.reused) == (0, 1, False)


def test_votes_file_holds_the_votes_and_their_table(setting):
    file = setting.votes().file
    assert lf_table(file.schema) == TABLE
    (batch,) = file.batches()
    votes = unpack_votes(batch)
    assert votes.lfs[: votes.indptr[3]].tolist() == [0, 1, 0, 1]


def test_dead_letters_are_limited_per_function(setting):
    faults = setting.votes().faults
    rows = pa.Table.from_batches(TableFile(setting.store.get(faults.path), "f").batches())
    names = rows.column("lf").to_pylist()
    assert (names.count("divide"), names.count("wrong")) == (3, MAX_FAULTS)
    assert faults.rows == rows.num_rows == 3 + MAX_FAULTS
    assert set(rows.column("file").to_pylist()) == {setting.shard.uri}


def test_stored_votes_are_reused_without_loading_functions(setting):
    first, second = setting.votes(), setting.votes()
    assert (first.reused, second.reused, setting.calls) == (False, True, 1)
    assert second.entry == first.entry
    assert (second.faults, second.ids) == (first.faults, first.ids)
    assert second.outcomes == first.outcomes.without_measurements()
    assert (second.bad_records, second.duplicate_ids) == (0, 1)


def test_full_run_computes_the_same_bytes_again(setting):
    first = setting.votes()
    again = setting.votes(reuse=False)
    assert (again.reused, setting.calls) == (False, 2)
    assert (again.entry, again.faults, again.ids) == (first.entry, first.faults, first.ids)


def damage(data, how):
    middle = len(data) // 2
    return {
        "truncated": data[:middle],
        "empty": b"",
        "bit in the middle": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :],
        "bit in the footer": data[:-200] + bytes([data[-200] ^ 1]) + data[-199:],
        "other content": b"x" * len(data),
    }[how]


DAMAGES = ["truncated", "empty", "bit in the middle", "bit in the footer", "other content"]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("which", ["entry", "faults", "ids"])
def test_broken_file_is_computed_again(setting, which, how):
    first = setting.votes()
    path = getattr(first, which).path
    whole = setting.store.get(path)
    setting.store.put(path, damage(whole, how))
    again = setting.votes()
    assert (again.reused, again.entry) == (False, first.entry)
    assert setting.store.get(path) == whole
    assert setting.votes().reused


@pytest.mark.parametrize("which", ["entry", "faults", "ids"])
def test_lost_file_is_computed_again(setting, which):
    path = getattr(setting.votes(), which).path
    setting.store.delete(path)
    assert not setting.votes().reused
    assert setting.store.exists(path)


def test_counts_altered_in_the_footer_are_not_believed(setting):
    first = setting.votes()
    data = setting.store.get(first.entry.path)
    assert data.count(b'"bad_records":0') == 1
    setting.store.put(first.entry.path, data.replace(b'"bad_records":0', b'"bad_records":9'))
    assert setting.votes().bad_records == 0


def test_unreadable_records_are_counted_and_kept(tmp_path):
    votes = Setting(tmp_path, extra='{"id": \n[]\n').votes()
    assert (votes.bad_records, votes.outcomes.rows) == (2, ROWS)
    letters = pa.Table.from_batches(
        TableFile(Store.open(tmp_path / "out").get(votes.faults.path), "f").batches()
    )
    bad = letters.filter(pa.compute.equal(letters["outcome"], "bad_record")).to_pylist()
    assert [row["line"] for row in bad] == [ROWS + 1, ROWS + 2]


def test_ids_are_looked_at_only_when_asked(setting):
    votes = setting.votes(check_ids=False)
    assert (votes.ids, votes.duplicate_ids) == (None, 0)


def test_edited_function_class_or_file_gives_other_votes(setting):
    digest = setting.task().votes_digest(setting.shard)
    edited = LFTable((*TABLE.lfs[:2], LFInfo("wrong", "other")), TABLE.class_names)
    renamed = LFTable(TABLE.lfs, ("ham", "eggs"))
    others = [setting.task(table=t).votes_digest(setting.shard) for t in (edited, renamed)]
    assert digest not in others
    assert setting.task(gold_digest="x", reuse=False).votes_digest(setting.shard) == digest


def test_gold_of_the_corpus_is_stored_and_hidden_from_functions(tmp_path):
    setting = Setting(tmp_path, gold={"column": "gold"})
    peek = labeling_function(name="cash")(lambda x: x.gold)
    votes = votes_of_shard(
        setting.shard,
        setting.task(),
        setting.store,
        lambda: FunctionSet((peek, *LFS[1:]), TABLE),
    )
    (batch,) = votes.file.batches()
    assert gold_array(batch).tolist() == [n % 2 for n in range(ROWS)]
    assert votes.outcomes.faults[0] == ROWS


def test_gold_that_is_no_class_stops(tmp_path):
    setting = Setting(tmp_path, gold={"column": "n"})
    with pytest.raises(CorpusError, match=r"column 'n' of .* is not a class"):
        setting.votes()


def test_gold_of_a_file_is_added_to_votes(setting):
    (batch,) = setting.votes().file.batches()
    table = GoldTable(pa.array(["r1"]), pa.array([1], pa.int16()), "g")
    assert gold_array(with_gold(batch, table)).tolist()[:3] == [-1, 1, -1]
    assert with_gold(batch, None) is batch


def test_rows_done_are_reported(setting, tmp_path):
    progress = tmp_path / "rows"
    progress.touch()
    setting.votes(progress_path=str(progress))
    assert progress.read_text() == f"{ROWS}\n"


def test_derived_table_is_made_once_and_again_when_broken(setting):
    made = []

    def make():
        made.append(1)
        batch = pa.RecordBatch.from_pydict({"a": [1, 2]})
        return batch.schema, iter([batch]), {"n": 2}

    def table():
        return stored_table(
            "labels/x.parquet", "labels", setting.shard, setting.store, reuse=True, make=make
        )

    (first, _), (second, file) = table(), table()
    assert (first, file.note, len(made)) == (second, {"n": 2}, 1)
    setting.store.put("labels/x.parquet", setting.store.get("labels/x.parquet")[:-1])
    assert (table()[0], len(made)) == (first, 2)
