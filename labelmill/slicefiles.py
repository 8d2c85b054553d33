"""The slices file of a shard: made from the corpus once, then taken from the store."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from labelmill.apply import FunctionSet, Stops
from labelmill.corpuscolumns import CorpusColumns
from labelmill.errors import CorruptFileError
from labelmill.manifest import FileEntry
from labelmill.records import ID
from labelmill.shard import Shard
from labelmill.shardtask import ShardTask
from labelmill.shardwork import put_beside
from labelmill.slices import SLICES_SCHEMA, slice_members
from labelmill.store import Store, StoredFile, stored_as
from labelmill.tablefile import TableFile, TableWriter

_ROWS = 1 << 14


def slices_of_shard(
    shard: Shard,
    ids: pa.Array,
    task: ShardTask,
    store: Store,
    functions: Callable[[], FunctionSet],
) -> FileEntry:
    """Return the stored slices file of a shard, making it when it is not there or broken.

    Its columns are read apart from those of the labeling functions, so that votes do not depend on
    which slices there are. A value that cannot be read counts as missing.

    Args:
        shard: The shard.
        ids: string array, shape (n,): its ids in the order of its votes.
        task: What all shards share, with slices.
        store: The data set's store.
        functions: Gives the slices as functions; not called when nothing has to be made.

    Raises:
        CorpusReadError: The corpus file changed or cannot be read.
    """
    path = task.slices_path(shard)
    if task.reuse:
        try:
            data = store.get(path)
            if TableFile(data, path).rows == len(ids):
                return _entry(stored_as(path, data), len(ids), shard)
        except (FileNotFoundError, CorruptFileError):
            pass  # not there, or broken: make it
    data = _slices_file(shard, ids, task, functions())
    return _entry(put_beside(store, path, data), len(ids), shard)


def _slices_file(shard: Shard, ids: pa.Array, task: ShardTask, functions: FunctionSet) -> bytes:
    assert task.slices is not None
    columns = CorpusColumns(task.job.input, task.slices.schema).read(shard, ids)
    records = columns.append_column(ID, ids).combine_chunks()
    writer, stops = TableWriter(SLICES_SCHEMA), Stops()
    undecided = [0] * len(task.slices.names)
    for batch in records.to_batches(_ROWS):
        members, failed = slice_members(functions, batch, stops)
        writer.write(members)
        undecided = [a + b for a, b in zip(undecided, failed, strict=True)]
    return writer.finish({"slices": task.slices.names, "undecided": undecided})


def _entry(stored: StoredFile, rows: int, shard: Shard) -> FileEntry:
    return FileEntry.of(stored, kind="slices", rows=rows, shard=shard.id)
