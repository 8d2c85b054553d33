"""Gates: what must hold of a new version before it is published."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from labelmill.jobspec import JobSpec
from labelmill.manifest import Manifest


@dataclass(frozen=True)
class GateResult:
    """What one gate found.

    Attributes:
        name: The gate; ``--accept NAME`` overrides it.
        passed: Whether the version may be published as far as this gate goes.
        value: What was measured.
        limit: What is allowed.
        message: What a person should know when it did not pass.
        accepted: Whether the operator overrode it by name.
    """

    name: str
    passed: bool
    value: float
    limit: float
    message: str
    accepted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


GATES = ("bad_records", "duplicate_ids", "coverage", "row_loss", "coverage_loss", "label_shift")
"""Names of all gates, in the order in which they are checked."""


def check_gates(
    job: JobSpec,
    counts: Mapping[str, Any],
    parent: Manifest | None,
    accept: Collection[str] = (),
) -> tuple[GateResult, ...]:
    """Check all gates.

    Args:
        job: The job, with the thresholds.
        counts: Exact counts of the new version: rows, bad_records, duplicate_ids, covered,
            class_counts.
        parent: Manifest of the current version, if there is one.
        accept: Names of gates that the operator overrides.
    """
    gates, rows = job.gates, counts["rows"]
    read = rows + counts["bad_records"]
    bad = counts["bad_records"] / read if read else 0.0
    coverage = counts["covered"] / rows if rows else 0.0
    results = [
        _at_most(
            "bad_records",
            bad,
            gates.max_bad_records,
            f"{counts['bad_records']:,} of {read:,} records could not be read ({bad:.2%}), "
            f"more than gates.max_bad_records ({gates.max_bad_records:.2%}); they are in the data "
            "set's faults/: mend the files or raise the limit",
        ),
        _at_most(
            "duplicate_ids",
            counts["duplicate_ids"],
            0 if job.input.on_duplicate_id == "error" else math.inf,
            f"{counts['duplicate_ids']:,} ids occur more than once in column {job.input.id!r}; "
            "labels are joined by id, so make ids unique or set input.on_duplicate_id: warn",
        ),
        GateResult(
            "coverage",
            coverage >= gates.min_coverage,
            coverage,
            gates.min_coverage,
            f"functions vote on {coverage:.1%} of the records, less than gates.min_coverage "
            f"({gates.min_coverage:.1%})",
        ),
    ]
    if parent is not None:
        results += _against_parent(job, counts, parent)
    return tuple(
        replace(
            r,
            accepted=not r.passed and r.name in accept,
            message="" if r.passed else r.message,
        )
        for r in results
    )


def refused(results: Sequence[GateResult]) -> tuple[GateResult, ...]:
    """Return the gates that stop the publication."""
    return tuple(r for r in results if not r.passed and not r.accepted)


def _against_parent(job: JobSpec, counts: Mapping[str, Any], parent: Manifest) -> list[GateResult]:
    before = parent.counts
    loss = max(0.0, 1 - counts["rows"] / before["rows"]) if before["rows"] else 0.0
    results = [
        _at_most(
            "row_loss",
            loss,
            job.gates.max_row_loss,
            f"{counts['rows']:,} records, {loss:.1%} fewer than the {before['rows']:,} of version "
            f"{parent.version}; if that is right, run again with --accept row_loss",
        )
    ]
    covered = counts["covered"] / counts["rows"] if counts["rows"] else 0.0
    covered_before = before["covered"] / before["rows"] if before["rows"] else 0.0
    lost = max(0.0, 1 - covered / covered_before) if covered_before else 0.0
    results.append(
        _at_most(
            "coverage_loss",
            lost,
            job.gates.max_coverage_loss,
            f"functions vote on {covered:.1%} of the records, on {covered_before:.1%} in version "
            f"{parent.version}; if that is right, run again with --accept coverage_loss",
        )
    )
    if list(parent.class_names) == list(job.labels):
        shift = jensen_shannon(before["class_counts"], counts["class_counts"])
        results.append(
            _at_most(
                "label_shift",
                shift,
                job.gates.max_label_shift,
                f"the labels' distribution moved by {shift:.3f} bits (Jensen-Shannon) against "
                f"version {parent.version}; if that is right, run again with --accept label_shift",
            )
        )
    return results


def _at_most(name: str, value: float, limit: float, message: str) -> GateResult:
    shown = limit if math.isfinite(limit) else -1.0  # JSON has no infinity; -1 means no limit
    return GateResult(name, value <= limit, float(value), shown, message)


def jensen_shannon(a: Sequence[int], b: Sequence[int]) -> float:
    """Return the Jensen-Shannon divergence of two histograms, in bits, between 0 and 1.

    Source: Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 1991.
    An empty histogram diverges from nothing: 0.

    Example:
        >>> jensen_shannon([1, 0], [0, 1]), jensen_shannon([3, 3], [1, 1])
        (1.0, 0.0)
    """
    total_a, total_b = sum(a), sum(b)
    if not total_a or not total_b:
        return 0.0
    divergence = 0.0
    for x, y in zip(a, b, strict=True):
        p, q = x / total_a, y / total_b
        mean = (p + q) / 2
        for share in (p, q):
            if share:
                divergence += share * math.log2(share / mean) / 2
    return min(1.0, max(0.0, divergence))  # rounding may leave the range
