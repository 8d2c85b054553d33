"""Publishing a version: row accounting, gates, manifest, commit, and the record of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labelmill.apply import Outcomes
from labelmill.deadletters import failures_of_the_worst
from labelmill.errors import ConcurrentRefreshError, LabelmillError, RowAccountingError
from labelmill.gates import check_gates, refused
from labelmill.gates_result import Candidate
from labelmill.jobspec import spec_content
from labelmill.manifest import FileEntry, Manifest
from labelmill.retention import DELETED, keep_young
from labelmill.shard import Shard
from labelmill.shardtask import ShardTask
from labelmill.store import Store
from labelmill.versions import commit, read_manifest, run_path

MEASURED = ("lf_seconds", "lf_times", "lf_searched")
"""What is measured of each function in a run; where it does not run, what was last measured."""


@dataclass(frozen=True)
class RunInfo:
    """Who runs, on what plan; travels to the step that publishes.

    Attributes:
        id: Run id, unique.
        started: ISO 8601 time in UTC.
        runner: The Beam runner.
        labelmill: Version of the code.
        version: Number of the version to be published.
        parent: Number of the version that the plan was made against, None for the first.
        parent_digest: Its content digest.
        inputs_digest: Digest of all that determines the result.
        accept: Gates that the operator overrides.
        audited: Lower end of the accuracy that an audit of the parent found; None without one.
        files: What was stored before the run: the functions' code and the data files they read.
    """

    id: str
    started: str
    runner: str
    labelmill: str
    version: int
    parent: int | None
    parent_digest: str | None
    inputs_digest: str
    accept: tuple[str, ...] = ()
    audited: float | None = None
    files: tuple[FileEntry, ...] = ()


@dataclass(frozen=True)
class ShardRecord:
    """Everything that publishing needs to know of one shard.

    Attributes:
        shard: The shard.
        files: Its stored files.
        outcomes: Exact counts of its votes.
        bad_records: Records that could not be read.
        duplicate_ids: Records whose id stands earlier in the shard.
        reused: Whether its votes had been stored before.
        rows_labeled: Records in its labels file.
        covered: Records with a vote.
        class_counts: Per class, covered records with that label.
    """

    shard: Shard
    files: tuple[FileEntry, ...]
    outcomes: Outcomes
    bad_records: int
    duplicate_ids: int
    reused: bool
    rows_labeled: int
    covered: int
    class_counts: tuple[int, ...]


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        run_id: The run.
        status: ``published``, ``refused`` (by a gate), ``conflict`` (another run published
            first) or ``failed``.
        version: The version published, or None.
        message: One sentence for a person.
        details: Counts, summary and gates of the version, published or not, and a failure of each
            of the functions that failed most.
    """

    run_id: str
    status: str
    version: int | None
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunOutcome:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Publication:
    """All that a version is made of.

    Attributes:
        records: All shards.
        parameters: The label model as JSON.
        summary: What was found about functions and model.
        repeats: Ids that occur more than once in the whole corpus; None when not looked for.
        task: What all shards share.
        run: The run.
    """

    records: Sequence[ShardRecord]
    parameters: str
    summary: Mapping[str, Any]
    repeats: int | None
    task: ShardTask
    run: RunInfo


def publish(publication: Publication, store: Store) -> RunOutcome:
    """Check and commit a version, and store how the run ended.

    Args:
        publication: The version to be.
        store: The data set's store.
    """
    run = publication.run
    try:
        outcome = _publish(publication, store)
    except ConcurrentRefreshError as error:
        outcome = RunOutcome(run.id, "conflict", None, str(error))
    except FileNotFoundError as error:
        outcome = RunOutcome(run.id, "failed", None, f"{error.filename} {DELETED}")
    except LabelmillError as error:
        outcome = RunOutcome(run.id, "failed", None, str(error))
    store.put(run_path(run.id), outcome.to_json().encode())
    return outcome


def _publish(publication: Publication, store: Store) -> RunOutcome:
    run, task, summary = publication.run, publication.task, publication.summary
    records = sorted(
        publication.records, key=lambda record: (record.shard.name, record.shard.start)
    )
    check_rows(records)
    outcomes = _outcomes(records, len(task.table.lfs))
    counts = _counts(records, outcomes, publication.repeats, len(task.table.class_names))
    parent = None if run.parent is None else read_manifest(store, run.parent)
    candidate = Candidate(task.table.lfs, counts, summary)
    gates = check_gates(task.job, candidate, parent, run.accept, run.audited)
    times = {key: counts.pop(key) for key in (*MEASURED, "lf_usage")}
    if parent is not None:
        times |= _measured_before(times, parent, task.table.names)
    reused = counts.pop("shards_reused")
    letters = (file for record in records for file in record.files if file.kind == "faults")
    failures = failures_of_the_worst(outcomes, task.table.names, letters, store)
    details = {
        "counts": counts,
        "summary": dict(summary),
        "gates": [gate.to_dict() for gate in gates],
        **times,
        "shards_reused": reused,
        "failures": [asdict(fault) for fault in failures],
    }
    stopped = refused(gates)
    if stopped:
        message = "; ".join(f"gate {gate.name}: {gate.message}" for gate in stopped)
        return RunOutcome(run.id, "refused", None, message, details)
    parameters = publication.parameters
    model_digest = json.loads(parameters)["digest"]
    model = store.put(f"models/{model_digest}.json", parameters.encode())
    files = [
        *(file for record in records for file in record.files),
        *run.files,
        FileEntry.of(model, kind="model", rows=0, shard=None),
    ]
    keep_young(store, files, parent)
    manifest = commit(
        store,
        Manifest(
            version=run.version,
            parent=run.parent,
            parent_digest=run.parent_digest,
            name=task.job.name,
            class_names=task.table.class_names,
            lfs=tuple(asdict(lf) for lf in task.table.lfs),
            inputs_digest=run.inputs_digest,
            spec=spec_content(task.job),
            shards=tuple(record.shard.to_dict() for record in records),
            files=tuple(files),
            model_digest=model_digest,
            counts=counts,
            summary=summary,
            gates=tuple(gate.to_dict() for gate in gates),
            run={
                "id": run.id,
                "started": run.started,
                "runner": run.runner,
                "labelmill": run.labelmill,
                **times,
                "shards_reused": reused,
            },
        ),
    )
    return RunOutcome(
        run.id, "published", manifest.version, f"published version {manifest.version}", details
    )


def _measured_before(
    times: Mapping[str, Any], parent: Manifest, names: Sequence[str]
) -> dict[str, list[Any]]:
    """Return times with those of an earlier version where a function did not run in this one."""
    places = {lf["name"]: n for n, lf in enumerate(parent.lfs)}
    result = {key: list(times[key]) for key in MEASURED}
    for n, name in enumerate(names):
        if not times["lf_seconds"][n] and name in places:
            for key in MEASURED:
                if key in parent.run:
                    result[key][n] = parent.run[key][places[name]]
    return result


def check_rows(records: Sequence[ShardRecord]) -> None:
    """Check that no record was lost or made: read = voted on + unreadable, voted on = labeled.

    Raises:
        RowAccountingError: A shard does not add up; names it and the numbers.
    """
    for record in records:
        shard, voted, bad = record.shard, record.outcomes.rows, record.bad_records
        in_votes = next((f.rows for f in record.files if f.kind == "votes"), None)
        if shard.rows is not None and shard.rows != voted + bad:
            raise RowAccountingError(
                f"shard {shard.name}[{shard.start}:{shard.stop}] has {shard.rows} records, but "
                f"{voted} were voted on and {bad} were unreadable"
            )
        if not voted == in_votes == record.rows_labeled:
            raise RowAccountingError(
                f"shard {shard.name}[{shard.start}:{shard.stop}]: {voted} records voted on, "
                f"{in_votes} in the votes file, {record.rows_labeled} labeled"
            )


def _outcomes(records: Sequence[ShardRecord], n_lfs: int) -> Outcomes:
    outcomes = Outcomes.zero(n_lfs)
    for record in records:
        outcomes = outcomes.merge(record.outcomes)
    return outcomes


def _counts(
    records: Sequence[ShardRecord], outcomes: Outcomes, repeats: int | None, n_classes: int
) -> dict[str, Any]:
    n_lfs = len(outcomes.votes)
    class_counts = [0] * n_classes
    for record in records:
        class_counts = [a + b for a, b in zip(class_counts, record.class_counts, strict=True)]
    return {
        "rows": outcomes.rows,
        "covered": sum(record.covered for record in records),
        "class_counts": class_counts,
        "bad_records": sum(record.bad_records for record in records),
        "duplicate_ids": repeats or 0,
        "duplicate_ids_checked": repeats is not None,
        "duplicate_ids_within_shards": sum(record.duplicate_ids for record in records),
        "votes": list(outcomes.votes),
        "faults": list(outcomes.faults),
        "invalid": list(outcomes.invalid),
        "shards": len(records),
        "shards_reused": sum(record.reused for record in records),
        "lf_seconds": [round(s, 6) for s in outcomes.seconds],
        "lf_usage": outcomes.usage,
        "lf_searched": [n / max(outcomes.rows, 1) for n in outcomes.searched or (0,) * n_lfs],
        "lf_times": [[outcomes.seconds_at(n, q) for q in (0.5, 0.99)] for n in range(n_lfs)],
    }
