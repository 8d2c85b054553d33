"""Counts of a report that no manifest has: confidence, pairs of functions, labels that moved.

Each reads columns of stored tables, of all shards or of some spread evenly over a large version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.manifest import FileEntry, Manifest
from labelmill.movedlabels import MovedLabels, MovedPair
from labelmill.report.content import Histogram, Move, Moves, PairCounts
from labelmill.rowmatching import match_ids
from labelmill.store import Store
from labelmill.versionchanges import quarantined_functions
from labelmill.versionrows import CommonNames, VersionRows, read_table
from labelmill.votes import lf_table, unpack_votes
from labelmodel.patterns import PatternTable
from pipelines.lf_pairs import co_votes

MOST_SCANNED = 4_000_000
"""Rows of which the confidence is read,"""

MOST_COMPARED = 250_000
"""rows that are compared with those of the version before,"""

MOST_PATTERNS = 2_000_000
"""and vote patterns that are counted."""

BINS = 20
MOST_FUNCTIONS = 24
MOST_MOVES = 12
_MOST_BECAUSE = 3

Ints = npt.NDArray[np.int64]


def spread(files: Sequence[FileEntry], most_rows: int) -> list[FileEntry]:
    """Return all files, or some at even distances that hold about `most_rows` rows."""
    rows = sum(file.rows for file in files)
    if rows <= most_rows or not files:
        return list(files)
    n = max(1, len(files) * most_rows // rows)
    return [files[at * len(files) // n] for at in range(n)]


@dataclass(frozen=True)
class LabelScan:
    """What the labels files say without ids and votes.

    Attributes:
        histogram: Confidence of covered records.
        classes: By shard that was read, covered records of each class.
        uncovered: By shard that was read, records without votes.
    """

    histogram: Histogram
    classes: Mapping[str, Counter[str]]
    uncovered: Mapping[str, int]


def scan_labels(store: Store, manifest: Manifest) -> LabelScan:
    """Read confidence and class of the labels."""
    files = manifest.files_of("labels")
    chosen = spread(files, MOST_SCANNED)
    counts, total = np.zeros(BINS, dtype=np.int64), 0.0
    classes, uncovered = {}, {}
    for file in chosen:
        rows = read_table(store, file, ["label", "confidence", "covered"])
        covered = rows.filter(rows.column("covered"))
        confidence = np.asarray(covered.column("confidence"), dtype=np.float64)
        places = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
        counts += np.bincount(places, minlength=BINS)
        total += float(confidence.sum())
        found = pc.value_counts(covered.column("label")).to_pylist()
        classes[str(file.shard)] = Counter({one["values"]: one["counts"] for one in found})
        uncovered[str(file.shard)] = rows.num_rows - covered.num_rows
    n = int(counts.sum())
    mean = total / n if n else None
    return LabelScan(
        Histogram(tuple(counts.tolist()), mean, len(chosen), len(files)), classes, uncovered
    )


def count_pairs(store: Store, manifest: Manifest) -> PairCounts | None:
    """Count records on which pairs of the most frequent functions both vote; None without pairs."""
    files = manifest.files_of("patterns")
    chosen = spread(files, MOST_PATTERNS)
    names = [lf["name"] for lf in manifest.lfs]
    lost = set(quarantined_functions(manifest))
    votes = np.array(manifest.counts["votes"])
    order = [n for n in np.argsort(-votes, kind="stable").tolist() if names[n] not in lost]
    kept = sorted(n for n in order[:MOST_FUNCTIONS] if votes[n])
    if len(kept) < 2 or not chosen:
        return None
    both = np.zeros((len(kept), len(kept)), dtype=np.int64)
    alike = both.copy()
    grid = np.ix_(kept, kept)
    for file in chosen:
        block = read_table(store, file)
        if block.num_rows:
            together, agree = co_votes(_patterns(block))
            both += together[grid].toarray().astype(np.int64)
            alike += agree[grid].toarray().astype(np.int64)
    return PairCounts(
        tuple(names[n] for n in kept),
        tuple(map(tuple, both.tolist())),
        tuple(map(tuple, (both - alike).tolist())),
        len(chosen),
        len(files),
    )


def _patterns(block: pa.RecordBatch) -> PatternTable:
    table, votes = lf_table(block.schema), unpack_votes(block)
    return PatternTable(
        indptr=votes.indptr,
        lfs=votes.lfs,
        labels=votes.labels,
        counts=np.asarray(block.column("count")),
        gold=np.asarray(block.column("gold")),
        eval_gold=np.asarray(block.column("eval_gold")),
        n_lfs=len(table.lfs),
        n_classes=len(table.class_names),
    )


def conflicting(pairs: PairCounts | None, most: int) -> list[tuple[str, str, int]]:
    """Return the pairs of functions with most unlike votes, and how many those are."""
    if pairs is None:
        return []
    upper = np.triu(np.array(pairs.conflicts), 1)
    order = np.argsort(-upper, axis=None, kind="stable")[:most]
    places = [divmod(int(cell), len(upper)) for cell in order]
    return [(pairs.names[a], pairs.names[b], int(upper[a, b])) for a, b in places if upper[a, b]]


def count_moves(store: Store, before: Manifest, after: Manifest) -> Moves | None:
    """Compare the labels of shards that both versions have; None where they have none."""
    names = CommonNames.of(before, after, {})
    old, new = VersionRows(store, before, names), VersionRows(store, after, names)
    paired = [file for shard, file in new.labels.items() if shard in old.labels]
    if not paired:
        return None
    chosen = spread(paired, MOST_COMPARED)
    moved, records = MovedLabels(names, examples=0), 0
    for file in chosen:
        records += _compare(old, new, str(file.shard), moved)
    pairs = tuple(map(_move, moved.pairs()[:MOST_MOVES]))
    return Moves(records, moved.records, pairs, len(chosen), len(new.labels))


def _compare(old: VersionRows, new: VersionRows, shard: str, moved: MovedLabels) -> int:
    """Count the moves in a shard; return the records that both versions have."""
    rows = [version.read(shard) for version in (old, new)]
    matched = match_ids(rows[0].column("id"), rows[1].column("id"))
    moved.add(*(part.take(pa.array(at)) for part, at in zip(rows, matched, strict=True)))
    return len(matched[0])


def _move(pair: MovedPair) -> Move:
    parts = [f"{name} on {count:,}" for name, count in pair.functions.items()]
    more = len(parts) - _MOST_BECAUSE
    parts = parts[:_MOST_BECAUSE] + ([f"{more:,} more functions"] if more > 0 else [])
    because = f"votes differ of {', '.join(parts)}" if parts else ""
    if pair.model_alone:
        alone = f"the label model alone on {pair.model_alone:,}"
        because = f"{because}; {alone}" if because else alone
    return Move(pair.before, pair.after, pair.records, because)
