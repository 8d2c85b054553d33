"""Finding a record of a version by its id."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.duplicates import contains_id
from labelmill.errors import CorruptFileError, RecordNotFoundError
from labelmill.manifest import FileEntry, Manifest
from labelmill.shard import Shard
from labelmill.store import Store
from labelmill.versionrows import read_table

_THREADS = 8

MOST_PLACES = 20
"""Records of one id that are looked for."""


@dataclass(frozen=True)
class RecordPlace:
    """Where a record of a version is.

    Attributes:
        shard: The piece of the corpus that it was read from.
        row: Its 0-based number among the readable records of the shard.
        labels: Its row of the labels file, a batch of one.
        votes: Its row of the votes file, a batch of one.
        files: The stored files of the shard.
    """

    shard: Shard
    row: int
    labels: pa.RecordBatch
    votes: pa.RecordBatch
    files: tuple[FileEntry, ...]


def find_record(store: Store, manifest: Manifest, record_id: str) -> list[RecordPlace]:
    """Return the places of an id, the first `MOST_PLACES` of them if it occurs so often.

    Where the version has digests of its ids, only shards that hold the id are read; else all are.

    Raises:
        RecordNotFoundError: The version has no such record.
        CorruptFileError: A file that has to be read is damaged.
    """
    places: list[RecordPlace] = []
    for shard in _candidates(store, manifest, record_id):
        places += _places_in(store, manifest, shard, record_id)
        if len(places) >= MOST_PLACES:
            break
    if not places:
        raise RecordNotFoundError(
            f"version {manifest.version} of {store.uri} has no record with id {record_id!r}"
        )
    return places[:MOST_PLACES]


def _candidates(store: Store, manifest: Manifest, record_id: str) -> Iterator[Shard]:
    """Yield the shards that may hold an id."""
    digests = {file.shard: file for file in manifest.files_of("ids")}

    def may_hold(shard: Shard) -> bool:
        file = digests.get(shard.id)
        if file is None:
            return True
        try:
            return contains_id(store, file, record_id)
        except (CorruptFileError, FileNotFoundError):
            return True  # `verify` names the damage; the labels tell as well

    shards = [Shard.from_dict(shard) for shard in manifest.shards]
    with ThreadPoolExecutor(_THREADS) as threads:
        for shard, may in zip(shards, threads.map(may_hold, shards), strict=True):
            if may:
                yield shard


def _places_in(
    store: Store, manifest: Manifest, shard: Shard, record_id: str
) -> Iterator[RecordPlace]:
    files = tuple(file for file in manifest.files if file.shard == shard.id)
    by_kind = {file.kind: file for file in files}
    labels = read_table(store, by_kind["labels"])
    rows = np.flatnonzero(pc.equal(labels.column("id"), record_id))
    votes = read_table(store, by_kind["votes"]) if len(rows) else None
    for row in rows.tolist():
        assert votes is not None
        if votes.num_rows <= row or votes.column("id")[row].as_py() != record_id:
            raise CorruptFileError(
                f"{by_kind['votes'].path} and {by_kind['labels'].path} hold other records"
            )
        yield RecordPlace(shard, row, labels.slice(row, 1), votes.slice(row, 1), files)
