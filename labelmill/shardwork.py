"""What is done to one shard: its votes, dead letters and tables, taken from or put in the store.

Plain functions; `transforms.shards` runs them in a pipeline. Votes are named by a digest of their
inputs, what is made from them by a digest of those very votes; each file is one put, so that a
replay or a second attempt writes the same bytes to the same name. A file that a version may hold is
never overwritten with other bytes: votes that come out differently from the same inputs (a function
that reads more than its fingerprint tells) get a name of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from labelmill.apply import FunctionSet, Outcomes, Stops
from labelmill.deadletters import DEAD_LETTERS, bad_record_rows, fault_rows
from labelmill.duplicates import id_digests, pack_digests
from labelmill.errors import AlreadyExistsError, CorruptFileError
from labelmill.gold import GoldTable, take_gold
from labelmill.jobspec import JobSpec
from labelmill.manifest import FileEntry
from labelmill.readers import read_shard
from labelmill.rowprogress import report_rows
from labelmill.shard import Shard
from labelmill.store import Store, StoredFile
from labelmill.tablefile import TableFile, TableWriter, input_digest
from labelmill.votes import GOLD, LFTable, votes_schema

LAYOUT = 2
"""Changes when the content of stored shard files changes its meaning."""

MAX_FAULTS = 100
"""Dead letters kept per function and shard; counts are exact whatever their number."""


RETRY = "-retry-"
"""In the name of votes that lack those of a service that was down; they are not used again."""

LIMIT = "-limit-"
"""In the name of votes that lack some for want of time, before the limit; used with that alone."""


@dataclass(frozen=True)
class ShardTask:
    """What all shards of a job share; plain data that travels to workers.

    Attributes:
        job: The job.
        table: LF table.
        schema: Schema of the columns that the job reads.
        output_uri: Root of the data set.
        gold_digest: Digest of the gold file, empty without one.
        reuse: Whether stored files may be used instead of computing them again.
        check_ids: Whether ids that occur twice are looked for.
        budget_share: Part of the budgets of functions that cost money for each shard.
        renamed: Votes that the current version has under another name than their usual one.
        progress_path: In a local run, the file that rows done are appended to. It is there as
            long as the run goes on.
        launcher: Number of the process that launched a local run.
    """

    job: JobSpec
    table: LFTable
    schema: pa.Schema
    output_uri: str
    gold_digest: str
    reuse: bool
    check_ids: bool
    budget_share: float = 1.0
    renamed: Mapping[str, str] = field(default_factory=dict)
    progress_path: str | None = None
    launcher: int = 0

    @property
    def gold_column(self) -> str | None:
        """The corpus column with gold, if gold is there."""
        gold = self.job.gold
        return gold.column if gold is not None and gold.uri is None else None

    def votes_path(self, shard: Shard) -> str:
        """Return the usual name of the votes of `shard`."""
        return f"votes/{shard.id}-{self.votes_digest(shard)}.parquet"

    def current_votes_path(self, shard: Shard) -> str:
        """Return the name under which the current version has the votes of `shard`, if it has."""
        path = self.votes_path(shard)
        return self.renamed.get(path, path)

    def may_reuse(self, path: str) -> bool:
        """Return whether stored votes with this name are still what a run would make."""
        return RETRY not in path and (LIMIT not in path or self._limited("") in path)

    def limited_path(self, path: str, digest: str) -> str:
        """Return the name of votes that would be others with more time."""
        return path.replace(".parquet", f"{self._limited(digest)}.parquet")

    def _limited(self, digest: str) -> str:
        return f"{LIMIT}{self.job.limits.timeout:g}-{digest}"

    def votes_digest(self, shard: Shard) -> str:
        """Return the digest of all that determines the votes of `shard`."""
        place = [shard.name, shard.start, shard.stop, shard.fingerprint]
        return input_digest([self._digest_of_all, place])

    @cached_property
    def _digest_of_all(self) -> str:
        """The part that all shards share, worked out once: it grows with the functions."""
        return input_digest(
            {
                "layout": LAYOUT,
                "reading": self.job.input.model_dump(
                    mode="json", include={"id", "types", "delimiter", "multiline", "format"}
                ),
                "columns": [[column.name, str(column.type)] for column in self.schema],
                "lfs": [[lf.name, lf.fingerprint] for lf in self.table.lfs],
                "classes": self.table.class_names,
                "gold": self.gold_column,
                "ids": self.check_ids,
            }
        )

    def gold_content(self) -> Any:
        """Return what determines which records have which gold in which role."""
        gold = self.job.gold
        return None if gold is None else [gold.column, gold.fit, gold.seed, self.gold_digest]


@dataclass(frozen=True)
class StoredVotes:
    """The votes of a shard, in the store.

    Attributes:
        entry: The votes file.
        faults: Its dead letters, when there are any.
        outcomes: Exact counts.
        bad_records: Records that could not be read.
        duplicate_ids: Records whose id stands earlier in the shard; 0 when not looked for.
        ids: Digests of its ids, see `labelmill.duplicates`; None when not looked for.
        file: The votes, ready to be read.
        reused: Whether they had been stored before.
    """

    entry: FileEntry
    faults: FileEntry | None
    outcomes: Outcomes
    bad_records: int
    duplicate_ids: int
    ids: FileEntry | None
    file: TableFile
    reused: bool


def votes_of_shard(
    shard: Shard, task: ShardTask, store: Store, functions: Callable[[], FunctionSet]
) -> StoredVotes:
    """Return the stored votes of a shard, computing them when they are not there or broken.

    Args:
        shard: The shard.
        task: What all shards share.
        store: The data set's store.
        functions: Gives the functions; not called when the votes are reused.

    Raises:
        CorpusReadError: The corpus file changed or cannot be read.
    """
    if task.reuse:
        try:
            return _stored_votes(task.current_votes_path(shard), shard, store)
        except (FileNotFoundError, CorruptFileError):
            pass  # not there, or broken: compute it
    return _compute_votes(shard, task, store, functions())


def _stored_votes(path: str, shard: Shard, store: Store) -> StoredVotes:
    data = store.get(path)
    file = TableFile(data, path)
    note = file.note
    if note.get("rows") != file.rows:
        raise CorruptFileError(f"{path}: {file.rows} rows, but its note says {note.get('rows')}")
    faults = FileEntry(**note["faults"]) if note["faults"] else None
    ids = FileEntry(**note["ids"]) if note["ids"] else None
    for stored in (faults, ids):
        if stored is not None:
            store.verify(stored.stored_file)
    entry = _entry_of(data, "votes", shard, path, file.rows)
    return StoredVotes(
        entry,
        faults,
        Outcomes.from_dict(note["outcomes"]),
        note["bad_records"],
        note["duplicate_ids"],
        ids,
        file,
        reused=True,
    )


def _compute_votes(
    shard: Shard, task: ShardTask, store: Store, functions: FunctionSet
) -> StoredVotes:
    path = task.votes_path(shard)
    gold_column = task.gold_column
    writer = TableWriter(votes_schema(task.table, gold=gold_column is not None))
    letters = TableWriter(DEAD_LETTERS)
    outcomes = Outcomes.zero(len(task.table.lfs))
    budget = dict.fromkeys(task.table.names, MAX_FAULTS)
    bad_records = 0
    digests = bytearray()
    stops = Stops()
    functions.allow(task.budget_share)
    for read in read_shard(shard, task.schema, id_column=task.job.input.id):
        if read.bad:
            bad_records += len(read.bad)
            letters.write(bad_record_rows(read.bad))
        if not read.batch.num_rows:
            continue
        batch, gold = take_gold(read.batch, gold_column, task.table.class_names, shard.uri)
        applied = functions.apply(batch, gold=gold, max_faults=MAX_FAULTS, stops=stops)
        outcomes = outcomes.merge(applied.outcomes)
        writer.write(applied.votes)
        report_rows(task.progress_path, applied.votes.num_rows)
        if applied.faults:
            letters.write(fault_rows(applied.faults, shard.uri, budget))
        if task.check_ids:
            digests += id_digests(applied.votes.column("id"))
    faults = ids = None
    duplicate_ids = 0
    if letters.rows:
        stored = _put_by_content(store, "faults", shard, ".parquet", letters.finish())
        faults = FileEntry.of(stored, kind="faults", rows=letters.rows, shard=shard.id)
    if task.check_ids:
        packed, duplicate_ids = pack_digests(bytes(digests))
        stored = _put_by_content(store, "ids", shard, ".bin", packed)
        ids = FileEntry.of(stored, kind="ids", rows=writer.rows - duplicate_ids, shard=shard.id)
    note = {
        "rows": writer.rows,
        "faults": None if faults is None else asdict(faults),
        "ids": None if ids is None else asdict(ids),
        "duplicate_ids": duplicate_ids,
        "outcomes": outcomes.without_measurements().to_dict(),
        "bad_records": bad_records,
    }
    data = writer.finish(note)
    digest = hashlib.sha256(data).hexdigest()[:16]
    if any(used.get("failed") for used in outcomes.usage.values()):
        # A service was down: the votes serve this version, and the next run asks again.
        stored = store.put(path.replace(".parquet", f"{RETRY}{digest}.parquet"), data)
    elif stops.depend_on_limit:
        stored = store.put(task.limited_path(path, digest), data)
    else:
        stored = _put_votes(store, path, data)
    entry = FileEntry.of(stored, kind="votes", rows=writer.rows, shard=shard.id)
    return StoredVotes(
        entry,
        faults,
        outcomes,
        bad_records,
        duplicate_ids,
        ids,
        TableFile(data, path),
        reused=False,
    )


def _put_by_content(
    store: Store, folder: str, shard: Shard, suffix: str, data: bytes
) -> StoredFile:
    digest = hashlib.sha256(data).hexdigest()[:32]
    return store.put(f"{folder}/{shard.id}-{digest}{suffix}", data)


def _put_votes(store: Store, path: str, data: bytes) -> StoredFile:
    """Store votes without overwriting other votes that are whole; broken ones are repaired."""
    try:
        store.create(path, data)
    except AlreadyExistsError:
        try:
            TableFile(store.get(path), path)
        except (FileNotFoundError, CorruptFileError):
            return store.put(path, data)
        other = hashlib.sha256(data).hexdigest()[:16]
        return store.put(path.replace(".parquet", f"-{other}.parquet"), data)
    return StoredFile(path, len(data), hashlib.sha256(data).hexdigest())


def with_gold(batch: pa.RecordBatch, gold: GoldTable | None) -> pa.RecordBatch:
    """Return a vote batch with the gold of a file in its column ``gold``."""
    if gold is None:
        return batch
    schema = batch.schema.append(pa.field(GOLD, pa.int16()))
    return pa.RecordBatch.from_arrays(
        [*batch.columns, gold.lookup(batch.column("id"))], schema=schema
    )


def stored_table(
    path: str,
    kind: str,
    shard: Shard,
    store: Store,
    *,
    reuse: bool,
    make: Callable[[], tuple[pa.Schema, Iterator[pa.RecordBatch], Mapping[str, Any]]],
) -> tuple[FileEntry, TableFile]:
    """Return a stored table of a shard, making and storing it when it is not there or broken.

    Args:
        path: Its name, which holds the digest of its inputs.
        kind: ``"patterns"`` or ``"labels"``.
        shard: The shard.
        store: The data set's store.
        reuse: Whether a stored file may be used.
        make: Gives schema, batches and a note; the note is read after the last batch.
    """
    if reuse:
        try:
            data = store.get(path)
            file = TableFile(data, path)
            return _entry_of(data, kind, shard, path, file.rows), file
        except (FileNotFoundError, CorruptFileError):
            pass  # not there, or broken: make it
    schema, batches, note = make()
    writer = TableWriter(schema)
    for batch in batches:
        writer.write(batch)
    data = writer.finish(note)
    stored = store.put(path, data)
    entry = FileEntry.of(stored, kind=kind, rows=writer.rows, shard=shard.id)  # type: ignore[arg-type]
    return entry, TableFile(data, path)


def _entry_of(data: bytes, kind: str, shard: Shard, path: str, rows: int) -> FileEntry:
    return FileEntry(
        kind=kind,  # type: ignore[arg-type]  # one of FileKind, checked by FileEntry
        shard=shard.id,
        path=path,
        rows=rows,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
