"""The sheets of a draw: who judges which records, and what they see of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.audits.draws import Draw, DrawnRecord
from labelmill.corpuscolumns import CorpusColumns
from labelmill.judging.sheet import Sheet, SheetRecord, Values
from labelmill.manifest import Manifest
from labelmill.shard import Shard
from labelmill.store import Store
from labelmill.versionrows import read_table

AUDIT = "audit"
"""How records of an audit were chosen, in sheets and the ledger."""

_SEED = 43


def read_values(
    store: Store, manifest: Manifest, draw: Draw, ids: Sequence[str]
) -> dict[str, Values]:
    """Return what a judge sees of some records of a draw, read from the corpus again.

    Raises:
        CorpusError: The corpus is gone.
        CorpusReadError: It changed since the version was made.
    """
    corpus = CorpusColumns.of(manifest, draw.columns)
    shards = {shard.id: shard for shard in map(Shard.from_dict, manifest.shards)}
    wanted = pa.array(ids, pa.string())
    values: dict[str, Values] = {}
    for file in manifest.files_of("labels"):
        there = read_table(store, file, ["id"]).column("id")
        found = there.filter(pc.is_in(there, wanted))
        if len(found):
            values |= texts_of(corpus, shards[str(file.shard)], found)
    return values


def texts_of(corpus: CorpusColumns, shard: Shard, ids: pa.Array) -> Iterator[tuple[str, Values]]:
    """Yield ids of records of a shard, and what a judge sees of each."""
    rows = corpus.read(shard, ids).to_pylist()
    return (
        (record_id, {name: None if value is None else str(value) for name, value in row.items()})
        for record_id, row in zip(ids.to_pylist(), rows, strict=True)
    )


def _parts(draw: Draw) -> dict[str, list[DrawnRecord]]:
    """Deal the records to the auditors, in random order: some to all, the others to one each."""
    rng = np.random.default_rng([_SEED, draw.seed])
    order = [draw.records[place] for place in rng.permutation(len(draw.records)).tolist()]
    common = round(draw.overlap * len(order))
    auditors = draw.auditors
    parts = {}
    for number, name in enumerate(auditors):
        part = order[:common] + order[common + number :: len(auditors)]
        parts[name] = [part[place] for place in rng.permutation(len(part)).tolist()]
    return parts


def sheets_of(draw: Draw, values: Mapping[str, Values]) -> dict[str, Sheet]:
    """Return the sheet of each auditor of a draw.

    Args:
        draw: The draw.
        values: What a judge sees of each record, by id.
    """
    about = {"draw": draw.id, "version": draw.version}
    return {
        name: make_sheet(draw, part, values, {**about, "auditor": name})
        for name, part in _parts(draw).items()
    }


def make_sheet(
    draw: Draw,
    part: Sequence[DrawnRecord],
    values: Mapping[str, Values],
    about: Mapping[str, object],
) -> Sheet:
    """Return the sheet of some records of a draw."""
    records = (
        SheetRecord(
            one.id,
            AUDIT,
            values[one.id],
            one.predicted if draw.shown else None,
            weight=round(1 / draw.strata[one.stratum].probability, 6),
        )
        for one in part
    )
    return Sheet(AUDIT, draw.job, draw.classes, tuple(records), dict(about))
