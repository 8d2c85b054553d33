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
from labelmill.errors import CorpusError, JobSpecError
from labelmill.jobspec import GoldSpec, JobSpec
from labelmill.readers import read_shard
from labelmill.records import ID
from labelmill.tablefile import input_digest
from labelmill.votes import GOLD, GOLD_FIT, gold_array

ROLES = ("fit", "eval")
RANDOM = "random"
"""How a record was chosen that tells something of all."""

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


def gold_by_role(batch: pa.RecordBatch, spec: GoldSpec | None) -> tuple[Classes, Classes]:
    """Return the gold of a vote batch that informs the fit, and that which only scores.

    Args:
        batch: Votes, with gold in the column ``gold``, and its role in ``gold_fit`` where a gold
            file says so.
        spec: How gold is divided where no file says so; all of it scores when not given.

    Returns:
        int16 class indices, shape (n,), each with -1 elsewhere.
    """
    gold = gold_array(batch)
    if GOLD_FIT in batch.schema.names:
        fits = np.asarray(batch.column(GOLD_FIT).fill_null(False))
        return np.where(fits, gold, np.int16(-1)), np.where(fits, np.int16(-1), gold)
    fit, seed = (spec.fit, spec.seed) if spec else (0.0, 0)
    return split_gold(batch.column("id"), gold, fit=fit, seed=seed)


class GoldTable:
    """Gold of a file, joined to records by id.

    Args:
        ids: string array, shape (g,).
        classes: int16 array of class indices, shape (g,), null where unknown.
        where: What the file is, for messages.
        roles: string array of `ROLES`, shape (g,), where the file says which gold is for what.
        chosen: string array, shape (g,), where it says how each record was chosen.

    Attributes:
        digest: Digest of ids, classes and roles, whatever the order and form of the file.

    Raises:
        CorpusError: An id is given two different classes or roles, or a role is none.
    """

    def __init__(
        self,
        ids: pa.Array,
        classes: pa.Array,
        where: str,
        roles: pa.Array | None = None,
        chosen: pa.Array | None = None,
    ) -> None:
        known = classes.is_valid()
        self._labels: dict[str, int] = {}
        self._fits: dict[str, bool] | None = None
        known_ids = ids.filter(known).to_pylist()
        for record_id, label in zip(known_ids, classes.filter(known).to_pylist(), strict=True):
            if self._labels.setdefault(record_id, label) != label:
                raise CorpusError(f"{where} gives record {record_id!r} two different labels")
        content: list[object] = [sorted(self._labels.items())]
        if roles is not None:
            self._fits = _fits(known_ids, roles.filter(known).to_pylist(), where)
            content.append(sorted(name for name, fit in self._fits.items() if fit))
        self._random: set[str] | None = None
        if chosen is not None:
            told = zip(known_ids, chosen.filter(known).to_pylist(), strict=True)
            self._random = {record_id for record_id, how in told if how == RANDOM}
            content.append(sorted(self._random))
        self.digest = input_digest(content if roles is not None else content[0])

    def balance(self, n_classes: int) -> list[int] | None:
        """Return records for the fit that were chosen at random, by class; None if none says so."""
        if self._random is None:
            return None
        counts = [0] * n_classes
        for record_id in self._random:
            if self._fits is None or self._fits[record_id]:
                counts[self._labels[record_id]] += 1
        return counts

    def add_to(self, votes: pa.RecordBatch) -> pa.RecordBatch:
        """Return a vote batch with this gold in its column ``gold``, and ``gold_fit`` if known."""
        ids = votes.column("id")
        columns, fields = [self.lookup(ids)], [pa.field(GOLD, pa.int16())]
        if self._fits is not None:
            get = self._fits.get
            fits = [get(record_id) for record_id in ids.to_pylist()]
            columns.append(pa.array(fits, pa.bool_()))
            fields.append(pa.field(GOLD_FIT, pa.bool_()))
        schema = pa.schema([*votes.schema, *fields], metadata=votes.schema.metadata)
        return pa.RecordBatch.from_arrays([*votes.columns, *columns], schema=schema)

    @property
    def ids(self) -> list[str]:
        """Ids of the records with gold, ascending."""
        return sorted(self._labels)

    def lookup(self, ids: pa.Array) -> pa.Array:
        """Return the class index of each id as int16, null where the table has none."""
        get = self._labels.get
        return pa.array([get(record_id) for record_id in ids.to_pylist()], pa.int16())


def with_balance(job: JobSpec, gold: GoldTable | None) -> JobSpec:
    """Return a job whose label model learns its class balance from gold chosen at random.

    Raises:
        JobSpecError: The job's label model cannot.
    """
    counts = None if gold is None else gold.balance(len(job.labels))
    if counts is None or job.model.class_balance is not None:
        return job
    if job.model.name != "default":
        raise JobSpecError(
            f"gold.chosen: {job.model.name} learns no class balance from gold; the default label "
            "model does"
        )
    options = {**job.model.options, "gold_balance": counts}
    return job.model_copy(update={"model": job.model.model_copy(update={"options": options})})


def _fits(ids: Sequence[str], roles: Sequence[object], where: str) -> dict[str, bool]:
    fits: dict[str, bool] = {}
    for record_id, role in zip(ids, roles, strict=True):
        if role not in ROLES:
            raise CorpusError(
                f"{where} gives record {record_id!r} the role {role!r}; it must be fit or eval"
            )
        if fits.setdefault(record_id, role == "fit") != (role == "fit"):
            raise CorpusError(f"{where} gives record {record_id!r} both roles; keep one")
    return fits


def read_gold(gold: GoldSpec, class_names: Sequence[str]) -> GoldTable:
    """Read a gold file.

    Args:
        gold: The section of the job file, with `uri`.
        class_names: The classes.

    Raises:
        CorpusError: No such file or column, a value that is no class, contradictory gold.
    """
    assert gold.uri is not None
    more = [name for name in (gold.role, gold.chosen) if name is not None]
    corpus = plan_corpus(gold.uri, columns=[gold.id, gold.column, *more], id_column=gold.id)
    ids, classes = [], []
    texts: dict[str, list[pa.Array]] = {name: [] for name in more}
    for shard in corpus.shards:
        where = f"column {gold.column!r} of {shard.uri}"
        for read in read_shard(shard, corpus.schema, id_column=gold.id):
            if read.bad:
                bad = read.bad[0]
                line = f":{bad.line}" if bad.line >= 0 else ""
                raise CorpusError(f"{bad.file}{line}: gold cannot be read: {bad.reason}")
            ids.append(read.batch.column(ID))
            classes.append(gold_indices(read.batch.column(gold.column), class_names, where))
            for name in more:
                texts[name].append(read.batch.column(name).cast(pa.string()))
    told = {
        name: pa.chunked_array(parts, pa.string()).combine_chunks() for name, parts in texts.items()
    }
    return GoldTable(
        pa.chunked_array(ids, pa.string()).combine_chunks(),
        pa.chunked_array(classes, pa.int16()).combine_chunks(),
        gold.uri,
        None if gold.role is None else told[gold.role],
        None if gold.chosen is None else told[gold.chosen],
    )
