"""Gold labels as class indices, and which of them inform the fit.

Gold has two roles that never mix: `fit` records are clamped in the model, `eval` records only
score it. Which is which depends on a record's id and a seed, so it survives any re-sharding.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.corpus import plan_corpus
from labelmill.errors import CorpusError
from labelmill.jobspec import GoldSpec
from labelmill.readers import read_shard
from labelmill.records import ID
from labelmill.tablefile import input_digest

Classes = npt.NDArray[np.int16]


def gold_indices(values: pa.Array, class_names: Sequence[str], where: str) -> pa.Array:
    """Return gold values, class names or indices, as int16 class indices.

    Args:
        values: Array of names or indices, shape (n,); null where unknown. -1, NaN and empty
            text are unknown too. Indices may be floats, as pandas makes of integers with nulls.
        class_names: The classes.
        where: What the values are, for the error message.

    Raises:
        CorpusError: A value is no class.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    table: Mapping[object, int | None] = {
        None: None,
        -1: None,
        "": None,
        **{name: index for index, name in enumerate(class_names)},
        **dict(enumerate(range(len(class_names)))),
    }
    try:
        encoded = values.dictionary_encode()
    except pa.ArrowNotImplementedError as error:  # lists, structs
        raise CorpusError(
            f"{where} is {values.type}; it must hold class names or indices"
        ) from error
    codes: list[int | None] = []
    for value in encoded.dictionary.to_pylist():
        if isinstance(value, float) and math.isnan(value):
            codes.append(None)
            continue
        if isinstance(value, bool) or value not in table:
            raise CorpusError(
                f"{where} holds {value!r}, which is not a class of this job "
                f"({', '.join(class_names)}) nor an index below {len(class_names)}"
            )
        codes.append(table[value])
    return pa.array(codes, pa.int16()).take(encoded.indices)


def take_gold(
    batch: pa.RecordBatch, column: str | None, class_names: Sequence[str], uri: str
) -> tuple[pa.RecordBatch, pa.Array | None]:
    """Take a batch's gold column out, so that no function sees it.

    Args:
        batch: Records.
        column: The gold column, or None when the corpus has none.
        class_names: The classes.
        uri: The file, for messages.

    Returns:
        The other columns, and the gold as int16 class indices, null where unknown.

    Raises:
        CorpusError: A value is no class.
    """
    if column is None:
        return batch, None
    gold = gold_indices(batch.column(column), class_names, f"column {column!r} of {uri}")
    return batch.drop_columns([column]), gold


def split_gold(ids: pa.Array, gold: Classes, *, fit: float, seed: int) -> tuple[Classes, Classes]:
    """Split gold into the records that inform the fit and those that only score.

    Args:
        ids: string array, shape (n,).
        gold: int16 class indices, shape (n,), -1 where unknown.
        fit: Expected share of gold records in the fit.
        seed: Seed of the choice.

    Returns:
        Gold for the fit and gold for scoring, each like `gold` with -1 elsewhere.
    """
    nothing = np.full_like(gold, -1)
    if fit <= 0.0:
        return nothing, gold
    if fit >= 1.0:
        return gold, nothing
    limit = int(fit * 2**64)
    salt = seed.to_bytes(8, "big", signed=True)
    chosen = np.zeros(len(gold), dtype=bool)
    for row in np.flatnonzero(gold >= 0).tolist():
        digest = hashlib.blake2b(ids[row].as_py().encode(), digest_size=8, salt=salt).digest()
        chosen[row] = int.from_bytes(digest, "big") < limit
    return np.where(chosen, gold, nothing), np.where(chosen, nothing, gold)


class GoldTable:
    """Gold of a file, joined to records by id.

    Args:
        ids: string array, shape (g,).
        classes: int16 array of class indices, shape (g,), null where unknown.
        where: What the file is, for messages.

    Attributes:
        digest: Digest of ids and classes, whatever the order and form of the file.

    Raises:
        CorpusError: An id is given two different classes.
    """

    def __init__(self, ids: pa.Array, classes: pa.Array, where: str) -> None:
        known = classes.is_valid()
        labels: dict[str, int] = {}
        pairs = zip(ids.filter(known).to_pylist(), classes.filter(known).to_pylist(), strict=True)
        for record_id, label in pairs:
            if labels.setdefault(record_id, label) != label:
                raise CorpusError(f"{where} gives record {record_id!r} two different labels")
        self._labels = labels
        self.digest = input_digest(sorted(labels.items()))

    def lookup(self, ids: pa.Array) -> pa.Array:
        """Return the class index of each id as int16, null where the table has none."""
        get = self._labels.get
        return pa.array([get(record_id) for record_id in ids.to_pylist()], pa.int16())


def read_gold(gold: GoldSpec, class_names: Sequence[str]) -> GoldTable:
    """Read a gold file.

    Args:
        gold: The section of the job file, with `uri`.
        class_names: The classes.

    Raises:
        CorpusError: No such file or column, a value that is no class, contradictory gold.
    """
    assert gold.uri is not None
    corpus = plan_corpus(gold.uri, columns=[gold.id, gold.column], id_column=gold.id)
    ids, classes = [], []
    for shard in corpus.shards:
        where = f"column {gold.column!r} of {shard.uri}"
        for read in read_shard(shard, corpus.schema, id_column=gold.id):
            if read.bad:
                bad = read.bad[0]
                line = f":{bad.line}" if bad.line >= 0 else ""
                raise CorpusError(f"{bad.file}{line}: gold cannot be read: {bad.reason}")
            ids.append(read.batch.column(ID))
            classes.append(gold_indices(read.batch.column(gold.column), class_names, where))
    return GoldTable(
        pa.chunked_array(ids, pa.string()).combine_chunks(),
        pa.chunked_array(classes, pa.int16()).combine_chunks(),
        gold.uri,
    )
