"""Drawing an audit: a fresh stratified sample of the labels of a version, never of the fit's gold.

What people see of the records is read from the corpus; what is stored with the data set is in
`labelmill.audits.draws`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.audits.draws import BY_CLASS, Draw, DrawnRecord, DrawStratum
from labelmill.audits.informed import Informed
from labelmill.audits.sheets import sheets_of, texts_of
from labelmill.corpuscolumns import CorpusColumns, columns_of
from labelmill.dataset import SOURCE
from labelmill.errors import JobSpecError
from labelmill.hashing import mixed, text_hashes
from labelmill.jobspec import GoldSpec
from labelmill.judging.sheet import Sheet, Values
from labelmill.manifest import Manifest
from labelmill.shard import Shard
from labelmill.store import Store
from labelmill.versionrows import read_table
from pipelines.audits.design import allocate, draw_rows, make_design, records_for

MOST_SLICES = 50
DEFAULT_N = 200
_SEED = 1 << 20
_MIX = np.uint64(0xD1B54A32D192ED03)

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Request:
    """What is wanted of an audit.

    Attributes:
        n: Records; None to go by `interval`.
        interval: Half of the 95 % interval's width; None to go by `n`.
        by_class: Whether every class is to be estimated by itself.
        slice_column: Column of the corpus whose values are estimated by themselves.
        auditors: Who judges.
        overlap: Share of the records that all of them judge, 0 to 1.
        columns: Columns that they see; by default those of text that the job reads.
        shown: Whether they may look at the published label.
        seed: Seed of the random numbers.
        uncovered: Whether records without votes are drawn too.
    """

    n: int | None = None
    interval: float | None = None
    by_class: bool = False
    slice_column: str | None = None
    auditors: tuple[str, ...] = ()
    overlap: float = 0.2
    columns: tuple[str, ...] = ()
    shown: bool = False
    seed: int = 0
    uncovered: bool = False

    def __post_init__(self) -> None:
        if self.n is not None and self.interval is not None:
            raise JobSpecError("-n and --interval: the interval decides the number; give one")
        if self.by_class and self.slice_column is not None:
            raise JobSpecError("an audit is by class or by slice, not both; draw two")
        if not 0 <= self.overlap <= 1:
            raise JobSpecError(f"overlap {self.overlap:g} is not between 0 and 1")
        names = [name.casefold() for name in self.auditors]
        twice = [name for name in self.auditors if names.count(name.casefold()) > 1]
        if twice or "" in names:
            raise JobSpecError(
                f"auditors {', '.join(self.auditors)}: names differ and are not empty"
            )


@dataclass(frozen=True)
class _Population:
    """Records that can be drawn, in the order of shards."""

    order: npt.NDArray[np.uint64]
    confidence: npt.NDArray[np.float64]
    label: Ints
    group: Ints | None
    group_names: tuple[str, ...]
    shard: Ints
    row: Ints
    left_out: Mapping[str, int]


def draw_audit(
    store: Store, manifest: Manifest, request: Request, gold: Sequence[GoldSpec] = ()
) -> tuple[Draw, dict[str, Sheet]]:
    """Draw records, and return the draw and the sheet of each auditor.

    Args:
        store: The data set.
        manifest: The version.
        request: What is wanted.
        gold: Sections `gold` beside that of the version, whose records for the fit stay out.

    Raises:
        JobSpecError: The request does not fit the version.
        CorpusError: A column or the gold file is not there.
        CorpusReadError: The corpus changed since the version was made.
        CorruptFileError: A labels file is damaged.
    """
    columns = columns_of(manifest)
    shown = request.columns or tuple(columns.texts)
    for name in (*shown, *([request.slice_column] if request.slice_column else [])):
        columns.check(name)
    every = _population(store, manifest, request, gold)
    n = request.n or (None if request.interval else min(DEFAULT_N, len(every.order)))
    design = make_design(every.confidence, every.order, every.group, n or len(every.order))
    if n is None:
        assert request.interval is not None
        n = records_for(design, request.interval)
    drawn = allocate(design, n)
    rows = draw_rows(design, drawn, mixed(every.order ^ _MIX))
    records, values = _records(store, manifest, every, design.stratum, rows, shown)
    auditors = request.auditors or ("",)
    draw = Draw(
        version=manifest.version,
        version_digest=manifest.digest,
        model_digest=manifest.model_digest,
        job=manifest.name,
        classes=manifest.class_names,
        seed=request.seed,
        by=BY_CLASS if request.by_class else request.slice_column or "",
        strata=tuple(
            DrawStratum(every.group_names[group], *numbers)
            for group, *numbers in zip(
                design.groups.tolist(),
                design.sizes.tolist(),
                drawn.tolist(),
                design.low.tolist(),
                design.high.tolist(),
                strict=True,
            )
        ),
        records=tuple(records),
        auditors=auditors,
        overlap=request.overlap if len(auditors) > 1 else 0.0,
        columns=tuple(shown),
        shown=request.shown,
        left_out=every.left_out,
        drawn_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    return draw, sheets_of(draw, values)


def _population(
    store: Store, manifest: Manifest, request: Request, gold: Sequence[GoldSpec]
) -> _Population:
    """Read what can be drawn: labeled records that did not inform the fit, each id once."""
    informed = Informed.of(manifest, gold)
    column = request.slice_column
    corpus = CorpusColumns.of(manifest, [column]) if column else None
    shards = {shard.id: shard for shard in map(Shard.from_dict, manifest.shards)}
    names: dict[str, int] = {}
    parts: list[tuple[npt.NDArray[np.generic], ...]] = []
    left_out = {"judged for the fit": 0, "without votes": 0}
    for number, file in enumerate(manifest.files_of("labels")):
        labels = read_table(store, file)
        fit = informed.mask(labels)
        seen = np.ones(labels.num_rows, dtype=bool) if request.uncovered else _labeled(labels)
        left_out["judged for the fit"] += int((fit & seen).sum())
        left_out["without votes"] += int((~seen).sum())
        rows = np.flatnonzero(seen & ~fit)
        kept = labels.take(pa.array(rows))
        classes = pc.index_in(kept.column("label"), pa.array(manifest.class_names))
        group = np.zeros(len(rows), dtype=np.int64)
        if corpus is not None:
            values = corpus.read(shards[str(file.shard)], kept.column("id")).column(0)
            texts = ["" if value is None else str(value) for value in values.to_pylist()]
            group = np.array([names.setdefault(text, len(names)) for text in texts], dtype=np.int64)
            if len(names) > MOST_SLICES:
                raise JobSpecError(
                    f"column {column!r} has more than {MOST_SLICES} values; a slice is a column "
                    "with few, such as true and false"
                )
        parts.append(
            (
                text_hashes(kept.column("id"), seed=_SEED + request.seed),
                np.asarray(kept.column("confidence")).astype(np.float64),
                np.asarray(classes).astype(np.int64),
                group,
                np.full(len(rows), number),
                rows,
            )
        )
    order, confidence, label, group, shard, row = map(np.concatenate, zip(*parts, strict=True))
    _, first, times = np.unique(order, return_index=True, return_counts=True)
    once = np.sort(first[times == 1])
    left_out["with an id that is not unique"] = len(order) - len(once)
    if not len(once):
        raise JobSpecError(
            f"version {manifest.version} of {store.uri} has no labeled record that was not judged "
            "for the fit; there is nothing to audit"
        )
    by_class = request.by_class
    return _Population(
        order[once],
        confidence[once],
        label[once],
        label[once] if by_class else group[once] if column else None,
        manifest.class_names if by_class else tuple(names) or ("",),
        shard[once],
        row[once],
        {reason: count for reason, count in left_out.items() if count},
    )


def _labeled(labels: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Return which records have a label by votes, or by the classifier where it assists."""
    covered = np.asarray(labels.column("covered").to_numpy(zero_copy_only=False))
    if SOURCE in labels.schema.names:
        covered = covered | np.asarray(pc.equal(labels.column(SOURCE), "model"))
    return covered.astype(bool)


def _records(
    store: Store,
    manifest: Manifest,
    every: _Population,
    stratum: Ints,
    rows: Ints,
    shown: Sequence[str],
) -> tuple[list[DrawnRecord], dict[str, Values]]:
    """Return drawn records, and what a judge sees of each, by id."""
    shards = {shard.id: shard for shard in map(Shard.from_dict, manifest.shards)}
    corpus = CorpusColumns.of(manifest, shown)
    records: list[DrawnRecord] = []
    values: dict[str, Values] = {}
    for number, file in enumerate(manifest.files_of("labels")):
        chosen = rows[every.shard[rows] == number]
        if not len(chosen):
            continue
        ids = read_table(store, file, ["id"]).column("id").take(pa.array(every.row[chosen]))
        values |= texts_of(corpus, shards[str(file.shard)], ids)
        for row, record_id in zip(chosen.tolist(), ids.to_pylist(), strict=True):
            label = manifest.class_names[int(every.label[row])]
            confidence = float(every.confidence[row])
            records.append(DrawnRecord(record_id, int(stratum[row]), label, confidence))
    return records, values
