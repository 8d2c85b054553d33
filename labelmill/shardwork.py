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
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from labelmill.apply import FunctionSet, Outcomes
from labelmill.duplicates import pack_digests
from labelmill.errors import AlreadyExistsError, CorruptFileError, RecordsDifferError
from labelmill.gold import GoldTable
from labelmill.keptvotes import read_kept
from labelmill.manifest import FileEntry
from labelmill.shard import Shard
from labelmill.shardtask import RETRY, ShardTask
from labelmill.store import Store, StoredFile, stored_as
from labelmill.tablefile import TableFile, TableWriter
from labelmill.voting import Tally, vote


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
    """Return the stored votes of a shard, computing what is not there or broken.

    Args:
        shard: The shard.
        task: What all shards share.
        store: The data set's store.
        functions: Gives the functions; not called when none has to run.

    Raises:
        CorpusReadError: The corpus file changed or cannot be read.
    """
    kept = None
    if task.reuse:
        try:
            return _stored_votes(task.current_votes_path(shard), shard, store)
        except (FileNotFoundError, CorruptFileError):
            pass  # not there, or broken: compute it
        earlier = task.earlier_votes(shard)
        kept = None if earlier is None else read_kept(earlier, task, store)
    try:
        tally = vote(shard, task, functions, kept)
    except RecordsDifferError:
        tally = vote(shard, task, functions, None)
    return _store_votes(tally, shard, task, store)


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


def _store_votes(tally: Tally, shard: Shard, task: ShardTask, store: Store) -> StoredVotes:
    path = task.votes_path(shard)
    faults = ids = None
    letters, n_letters = tally.letters.finish()
    if n_letters:
        stored = _put_by_content(store, "faults", shard, ".parquet", letters)
        faults = FileEntry.of(stored, kind="faults", rows=n_letters, shard=shard.id)
    rows, duplicate_ids = tally.writer.rows, 0
    if tally.ids is not None:
        ids, duplicate_ids = tally.ids
    elif task.check_ids:
        packed, duplicate_ids = pack_digests(bytes(tally.digests))
        stored = _put_by_content(store, "ids", shard, ".bin", packed)
        ids = FileEntry.of(stored, kind="ids", rows=rows - duplicate_ids, shard=shard.id)
    outcomes = tally.outcomes
    note = {
        "rows": rows,
        "faults": None if faults is None else asdict(faults),
        "ids": None if ids is None else asdict(ids),
        "duplicate_ids": duplicate_ids,
        "outcomes": outcomes.without_measurements().to_dict(),
        "bad_records": tally.bad_records,
        "keys": task.keys,
        "columns": task.columns_digest,
    }
    data = tally.writer.finish(note)
    digest = hashlib.sha256(data).hexdigest()[:16]
    if any(used.get("failed") for used in outcomes.usage.values()):
        # A service was down: the votes serve this version, and the next run asks again.
        stored = store.put(path.replace(".parquet", f"{RETRY}{digest}.parquet"), data)
    elif tally.stops.depend_on_limit:
        stored = store.put(task.limited_path(path, digest), data)
    else:
        stored = put_beside(store, path, data)
    entry = FileEntry.of(stored, kind="votes", rows=rows, shard=shard.id)
    return StoredVotes(
        entry,
        faults,
        outcomes,
        tally.bad_records,
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


def put_beside(store: Store, path: str, data: bytes) -> StoredFile:
    """Store a table without overwriting another that is whole; a broken one is repaired.

    Args:
        store: The data set's store.
        path: Its usual name; the digest of the content is added where another has that.
        data: The table's bytes.
    """
    try:
        store.create(path, data)
    except AlreadyExistsError:
        try:
            TableFile(store.get(path), path)
        except (FileNotFoundError, CorruptFileError):
            return store.put(path, data)
        other = hashlib.sha256(data).hexdigest()[:16]
        return store.put(path.replace(".parquet", f"-{other}.parquet"), data)
    return stored_as(path, data)


def with_gold(batch: pa.RecordBatch, gold: GoldTable | None) -> pa.RecordBatch:
    """Return a vote batch with the gold of a file in its column ``gold``."""
    return batch if gold is None else gold.add_to(batch)


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
