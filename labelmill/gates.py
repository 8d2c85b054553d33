"""Gates: what must hold of a new version before it is published.

Those that compare it with the current version are in `labelmill.gates_against`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace

from labelmill.gates_against import gates_against
from labelmill.gates_result import Candidate, GateResult, at_most
from labelmill.jobspec import JobSpec
from labelmill.manifest import Manifest
from labelmill.slicecounts import coverage_of_slice

GATES = (
    "bad_records",
    "duplicate_ids",
    "coverage",
    "slice_coverage",
    "failing_functions",
    "gold_accuracy",
    "row_loss",
    "coverage_loss",
    "label_shift",
    "vote_shift",
    "gold_loss",
    "model_fallback",
    "audit_accuracy",
)
"""Names of all gates, in the order in which they are checked."""


def check_gates(
    job: JobSpec,
    candidate: Candidate,
    parent: Manifest | None,
    accept: Collection[str] = (),
    audited: float | None = None,
) -> tuple[GateResult, ...]:
    """Check all gates.

    Args:
        job: The job, with the thresholds.
        candidate: The new version.
        parent: Manifest of the current version, if there is one.
        accept: Names of gates that the operator overrides.
        audited: Lower end of the accuracy that an audit of the current version found.
    """
    results = [*_gates_of(job, candidate)]
    if parent is not None:
        results += gates_against(parent, job, candidate)
        if audited is not None:
            results.append(_audit_accuracy(audited, job.gates.min_audit_accuracy, parent))
    return tuple(
        replace(
            r,
            accepted=not r.passed and r.name in accept,
            message="" if r.passed else r.message,
        )
        for r in results
    )


def refused(results: Collection[GateResult]) -> tuple[GateResult, ...]:
    """Return the gates that stop the publication."""
    return tuple(r for r in results if not r.passed and not r.accepted)


def _audit_accuracy(audited: float, limit: float, parent: Manifest) -> GateResult:
    return GateResult(
        "audit_accuracy",
        audited >= limit,
        audited,
        limit,
        f"an audit found that version {parent.version}, the current one, may be right on no more "
        f"than {audited:.1%} of its labels, less than gates.min_audit_accuracy ({limit:.1%}); if "
        "the new version mends that, run again with --accept audit_accuracy and audit it",
    )


def _gates_of(job: JobSpec, candidate: Candidate) -> Iterator[GateResult]:
    """Yield what is checked of a version alone."""
    gates, counts, rows = job.gates, candidate.counts, candidate.counts["rows"]
    read = rows + counts["bad_records"]
    bad = counts["bad_records"] / read if read else 0.0
    yield at_most(
        "bad_records",
        bad,
        gates.max_bad_records,
        f"{counts['bad_records']:,} of {read:,} records could not be read ({bad:.2%}), "
        f"more than gates.max_bad_records ({gates.max_bad_records:.2%}); they are in the data "
        "set's faults/: mend the files or raise the limit",
    )
    yield at_most(
        "duplicate_ids",
        counts["duplicate_ids"],
        0 if job.input.on_duplicate_id == "error" else math.inf,
        f"{counts['duplicate_ids']:,} ids occur more than once in column {job.input.id!r}; "
        "labels are joined by id, so make ids unique or set input.on_duplicate_id: warn",
    )
    coverage = candidate.coverage
    yield GateResult(
        "coverage",
        coverage >= gates.min_coverage,
        coverage,
        gates.min_coverage,
        f"functions vote on {coverage:.1%} of the records, less than gates.min_coverage "
        f"({gates.min_coverage:.1%})",
    )
    yield from _slice_gate(candidate, gates.min_slice_coverage)
    failing = candidate.quarantined
    yield at_most(
        "failing_functions",
        len(failing) / len(candidate.lfs),
        gates.max_failing_functions,
        f"{len(failing)} of {len(candidate.lfs)} functions fail on more than gates.max_fault_rate "
        f"of the records ({', '.join(failing[:3])}), so that their votes are not used; mend them, "
        "or raise gates.max_failing_functions",
    )
    gold = candidate.gold_score
    if gold is not None:
        yield GateResult(
            "gold_accuracy",
            gold["accuracy_high"] >= gates.min_gold_accuracy,
            gold["accuracy"],
            gates.min_gold_accuracy,
            f"{gold['accuracy']:.1%} of {gold['n']:,.0f} gold records are right (95 % interval "
            f"{gold['accuracy_low']:.1%} to {gold['accuracy_high']:.1%}), surely less than "
            f"gates.min_gold_accuracy ({gates.min_gold_accuracy:.1%})",
        )


def _slice_gate(candidate: Candidate, least: float) -> Iterator[GateResult]:
    """Yield what is checked of the slice that is covered least, of those with records."""
    slices = [one for one in candidate.summary.get("slices", ()) if one["records"]]
    if slices:
        worst = min(slices, key=coverage_of_slice)
        coverage = coverage_of_slice(worst)
        yield GateResult(
            "slice_coverage",
            coverage >= least,
            coverage,
            least,
            f"functions vote on {coverage:.1%} of the {worst['records']:,} records of slice "
            f"{worst['name']!r}, less than gates.min_slice_coverage ({least:.1%})",
        )
