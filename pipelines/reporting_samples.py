"""Records sampled for a report, of each class, of conflicts and without votes, and why they are so.

Records are chosen by a hash of their id in a few shards, so that a report costs the same however
large the version is and comes out the same every time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.corpus import plan_corpus
from labelmill.errors import CorpusError, CorpusReadError
from labelmill.hashing import text_hashes
from labelmill.jobspec import InputSpec
from labelmill.manifest import Manifest
from labelmill.readers import read_shard
from labelmill.recordlookup import RecordPlace
from labelmill.records import ID
from labelmill.report.content import DecidingVote, SampledRecord, SampleGroup, Samples
from labelmill.shard import Shard
from labelmill.store import Store
from labelmill.versionrows import read_table
from labelmill.votes import VoteArrays, lf_table, unpack_votes
from pipelines.explaining import Explanation, explain_places
from pipelines.reporting_counts import LabelScan

PER_CLASS, PER_CONFLICT, UNCOVERED = 4, 3, 8
MOST_CLASSES = 40
MOST_SHARDS = 4
"""Shards that records are drawn from, and as many more for classes that those do not have."""

MOST_ROWS = 50_000
"""Rows at the beginning of each that are looked at: text files are not read to their end."""

MOST_COLUMNS = 4
MOST_VOTES = 12
_SEED = 53

Key = tuple[str, str, str]
"""Kind of a group, and its class or its two functions."""


@dataclass(frozen=True, order=True)
class _Candidate:
    """A record that may be shown: the smaller its hash, the rather."""

    hash: int
    shard: str
    row: int


def sample_records(
    store: Store,
    manifest: Manifest,
    scan: LabelScan,
    conflicts: Sequence[tuple[str, str, int]],
    columns: Sequence[str] = (),
) -> Samples:
    """Sample the records of a report.

    Args:
        store: The data set.
        manifest: The version.
        scan: What its labels files hold.
        conflicts: Pairs of functions, and on how many records their votes are unlike.
        columns: Columns of the corpus to show; by default columns of text.

    Raises:
        CorruptFileError: A stored file is damaged.
    """
    counts = dict(zip(manifest.class_names, manifest.counts["class_counts"], strict=True))
    classes = sorted(counts, key=lambda name: -counts[name])[:MOST_CLASSES]
    wanted: dict[Key, tuple[str, int, int]] = {
        ("class", name, ""): (name, counts[name], PER_CLASS) for name in classes if counts[name]
    }
    for first, second, records in conflicts:
        wanted["conflict", first, second] = (f"{first} against {second}", records, PER_CONFLICT)
    uncovered = manifest.counts["rows"] - manifest.counts["covered"]
    if uncovered:
        wanted["uncovered", "", ""] = ("no function voted", uncovered, UNCOVERED)
    chosen, places = _draw(store, manifest, scan, wanted)
    order = sorted(places)
    explained = dict(
        zip(order, explain_places(store, manifest, [places[one] for one in order]), strict=True)
    )
    values, missing = _values(manifest, places, columns)
    gold = {one: _gold(place) for one, place in places.items()}
    groups = []
    for key, (title, count, _) in wanted.items():
        shown = tuple(
            _record(explained[one], gold[one], None if values is None else values.get(one))
            for one in sorted(chosen[key])
        )
        groups.append(SampleGroup(key[0], title, count, shown))  # type: ignore[arg-type]
    return Samples(tuple(groups), missing)


def _draw(
    store: Store, manifest: Manifest, scan: LabelScan, wanted: Mapping[Key, tuple[str, int, int]]
) -> tuple[dict[Key, list[_Candidate]], dict[_Candidate, RecordPlace]]:
    """Return the records of each group, and where each is."""
    shards = {shard.id: shard for shard in map(Shard.from_dict, manifest.shards)}
    chosen: dict[Key, list[_Candidate]] = {key: [] for key in wanted}
    places: dict[_Candidate, RecordPlace] = {}
    for shard_id in _shards(scan, [key[1] for key in wanted if key[0] == "class"]):
        files = tuple(file for file in manifest.files if file.shard == shard_id)
        by_kind = {file.kind: file for file in files}
        labels = read_table(store, by_kind["labels"])
        votes = read_table(store, by_kind["votes"])
        hashes = text_hashes(labels.column("id"), seed=_SEED)
        for key, rows in _rows(labels, votes, wanted):
            most = wanted[key][2]
            first = rows[rows < MOST_ROWS]
            rows = first if len(first) else rows[:most]  # noqa: PLW2901
            best = rows[np.argsort(hashes[rows], kind="stable")[:most]]
            found = [_Candidate(int(hashes[row]), shard_id, int(row)) for row in best]
            chosen[key] = heapq.nsmallest(most, [*chosen[key], *found])
            for one in found:
                at = one.row
                places[one] = RecordPlace(
                    shards[shard_id], at, labels.slice(at, 1), votes.slice(at, 1), files
                )
    used = {one for several in chosen.values() for one in several}
    return chosen, {one: place for one, place in places.items() if one in used}


def _shards(scan: LabelScan, classes: Sequence[str]) -> list[str]:
    """Return shards to draw from: some at even distances, and some with classes those lack."""
    every = sorted(scan.classes)
    n = min(MOST_SHARDS, len(every))
    chosen = [every[at * len(every) // n] for at in range(n)]
    for name in classes:
        if len(chosen) < 2 * MOST_SHARDS and not any(scan.classes[s][name] for s in chosen):
            chosen += [s for s in every if scan.classes[s][name]][:1]
    return chosen


def _rows(
    labels: pa.RecordBatch, votes: pa.RecordBatch, wanted: Mapping[Key, Any]
) -> Iterator[tuple[Key, Any]]:
    """Yield for each group the rows of a shard that belong to it."""
    covered = np.asarray(labels.column("covered").to_numpy(zero_copy_only=False))
    names = labels.column("label").dictionary_encode()
    numbers = {name: number for number, name in enumerate(names.dictionary.to_pylist())}
    codes = np.asarray(names.indices)
    arrays, places = unpack_votes(votes), {}
    for number, name in enumerate(lf_table(votes.schema).names):
        places[name] = number
    for key in wanted:
        kind, first, second = key
        if kind == "class":
            yield key, np.flatnonzero(covered & (codes == numbers.get(first, -1)))
        elif kind == "uncovered":
            yield key, np.flatnonzero(~covered)
        elif first in places and second in places:
            one, other = (_votes_of(arrays, places[name]) for name in (first, second))
            yield key, np.flatnonzero((one >= 0) & (other >= 0) & (one != other))


def _votes_of(votes: VoteArrays, lf: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return a function's vote on each row, -1 where it abstains."""
    result = np.full(len(votes.indptr) - 1, -1, dtype=np.int16)
    cells = np.flatnonzero(votes.lfs == lf)
    result[np.searchsorted(votes.indptr, cells, side="right") - 1] = votes.labels[cells]
    return result


def _gold(place: RecordPlace) -> str | None:
    if "gold" not in place.labels.schema.names:
        return None
    gold: str | None = place.labels.column("gold")[0].as_py()
    return gold


def _record(
    found: Explanation, gold: str | None, values: Mapping[str, str | None] | None
) -> SampledRecord:
    label = found.label
    others = [name for name in found.posterior if name != label]
    runner_up = max(others, key=lambda name: found.posterior[name], default=None)

    def adds(terms: Mapping[str, float] | None) -> float | None:
        if terms is None or runner_up is None:
            return None
        return terms[label] - terms[runner_up]

    votes = [DecidingVote(vote.function, vote.label, adds(vote.terms)) for vote in found.votes]
    votes.sort(key=lambda vote: -abs(vote.adds or 0.0))
    terms = [
        ("class balance" if found.covered else "answer without votes", found.prior),
        ("all that abstain", found.abstain),
        ("last step of the model", found.adjustment),
    ]
    rest = [DecidingVote(name, None, adds(term)) for name, term in terms if any(term.values())]
    hidden = votes[MOST_VOTES:]
    if hidden:
        total = sum(vote.adds or 0.0 for vote in hidden)
        rest.append(DecidingVote(f"{len(hidden):,} more votes", None, total))
    return SampledRecord(
        id=found.id,
        label=label if found.covered or found.origin != "votes" else None,
        confidence=found.confidence,
        runner_up=runner_up,
        gold=gold,
        origin=found.origin,
        values=values,
        votes=tuple(votes[:MOST_VOTES]),
        others=tuple(rest),
    )


def _values(
    manifest: Manifest, places: Mapping[_Candidate, RecordPlace], columns: Sequence[str]
) -> tuple[dict[_Candidate, Mapping[str, str | None]] | None, str]:
    """Return what the records hold; or None, and why the corpus does not tell."""
    spec = InputSpec.model_validate(manifest.spec["input"])
    ids = {one: place.labels.column("id")[0].as_py() for one, place in places.items()}
    found: dict[_Candidate, Mapping[str, str | None]] = {}
    try:
        for shard_id in sorted({one.shard for one in places}):
            here = [one for one in places if one.shard == shard_id]
            shard = places[here[0]].shard
            schema = _schema(manifest, spec, shard, columns)
            texts = _read(shard, schema, spec.id, [ids[one] for one in here])
            found |= {one: texts[ids[one]] for one in here if ids[one] in texts}
    except (CorpusError, CorpusReadError) as error:
        if columns and isinstance(error, CorpusError):
            raise
        return None, str(error)
    return found, ""


def _schema(manifest: Manifest, spec: InputSpec, shard: Shard, columns: Sequence[str]) -> pa.Schema:
    """Return the columns to show; by default text, columns that declared functions read first."""
    asked = list(columns) or None
    schema = plan_corpus(
        shard.uri,
        columns=asked or spec.columns,
        id_column=spec.id,
        format=shard.format,
        types={name: kind for name, kind in spec.types.items() if not asked or name in asked},
        shard_bytes=1 << 40,
        multiline_csv=spec.multiline,
        delimiter=spec.delimiter,
    ).schema
    if asked:
        return schema
    gold = manifest.spec.get("gold") or {}
    hidden = {spec.id, None if gold.get("uri") else gold.get("column")}
    named = set(_fields(manifest.spec["lfs"])) | {"text"}
    kept = [f for f in schema if f.name not in hidden and pa.types.is_string(f.type)]
    kept.sort(key=lambda field: field.name not in named)
    return pa.schema(kept[:MOST_COLUMNS])


def _fields(entry: Any) -> Iterator[str]:
    """Yield the columns that entries of a job file name."""
    if isinstance(entry, Mapping):
        if isinstance(entry.get("field"), str):
            yield entry["field"]
        entry = list(entry.values())
    if isinstance(entry, list):
        for item in entry:
            yield from _fields(item)


def _read(
    shard: Shard, schema: pa.Schema, id_column: str | None, wanted: Sequence[str]
) -> dict[str, Mapping[str, str | None]]:
    """Read a shard until all wanted records are found."""
    found: dict[str, Mapping[str, str | None]] = {}
    values = pa.array(wanted, pa.string())
    for read in read_shard(shard, schema, id_column=id_column):
        batch = read.batch
        for row in batch.filter(pc.is_in(batch.column(ID), values)).to_pylist():
            texts = {n: None if v is None else str(v) for n, v in row.items() if n != ID}
            found.setdefault(row[ID], texts)
        if len(found) == len(set(wanted)):
            break
    return found
