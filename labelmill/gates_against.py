"""Gates that compare a new version with the current one."""

from __future__ import annotations

from collections.abc import Iterator

from labelmill.gates_result import Candidate, GateResult, at_most, coverage_of, gold_score_of
from labelmill.jobspec import JobSpec
from labelmill.manifest import Manifest
from labelmill.shifts import jensen_shannon, rate_shift


def gates_against(parent: Manifest, job: JobSpec, candidate: Candidate) -> Iterator[GateResult]:
    """Yield what is checked of a version against the current one.

    Args:
        parent: Manifest of the current version.
        job: The job, with the thresholds.
        candidate: The new version.
    """
    gates, counts, before = job.gates, candidate.counts, parent.counts

    def gate(name: str, value: float, limit: float, message: str) -> GateResult:
        advice = f"if that is right, run again with --accept {name}"
        return at_most(name, value, limit, f"{message} version {parent.version}; {advice}")

    loss = max(0.0, 1 - counts["rows"] / before["rows"]) if before["rows"] else 0.0
    yield gate(
        "row_loss",
        loss,
        gates.max_row_loss,
        f"{counts['rows']:,} records, {loss:.1%} fewer than the {before['rows']:,} of",
    )
    covered, covered_before = candidate.coverage, coverage_of(before)
    yield gate(
        "coverage_loss",
        max(0.0, 1 - covered / covered_before) if covered_before else 0.0,
        gates.max_coverage_loss,
        f"functions vote on {covered:.1%} of the records, on {covered_before:.1%} in",
    )
    shift = _label_shift(parent, job, candidate)
    others = "" if set(parent.class_names) == set(job.labels) else ", with other classes,"
    yield gate(
        "label_shift",
        shift,
        gates.max_label_shift,
        f"the labels' distribution moved by {shift:.3f} bits (Jensen-Shannon){others} against",
    )
    moved = _vote_shifts(parent, candidate)
    worst = max(moved, key=moved.__getitem__, default="")
    shift = moved.get(worst, 0.0)
    yield gate(
        "vote_shift",
        shift,
        gates.max_vote_shift,
        f"the share of records that {worst!r} votes on, which was not edited, moved by {shift:.0%} "
        "against",
    )
    gold, gold_before = candidate.gold_score, gold_score_of(parent.summary)
    if gold is not None and gold_before is not None:
        yield gate(
            "gold_loss",
            max(0.0, gold_before["accuracy"] - gold["accuracy_high"]),
            gates.max_gold_loss,
            f"{gold['accuracy']:.1%} of {gold['n']:,.0f} gold records are right (95 % interval up "
            f"to {gold['accuracy_high']:.1%}), {gold_before['accuracy']:.1%} in",
        )
    fallback = candidate.summary["model"]["fallback"]
    is_new = fallback is not None and parent.summary["model"]["fallback"] is None
    yield gate(
        "model_fallback",
        float(is_new),
        float(gates.allow_fallback),
        f"the label model cannot be trusted ({fallback}), other than in",
    )


def _label_shift(parent: Manifest, job: JobSpec, candidate: Candidate) -> float:
    """Return how far the labels' distribution moved, classes told by their names."""
    before = dict(zip(parent.class_names, parent.counts["class_counts"], strict=True))
    now = dict(zip(job.labels, candidate.counts["class_counts"], strict=True))
    names = sorted({*before, *now})
    return jensen_shannon([before.get(n, 0) for n in names], [now.get(n, 0) for n in names])


def _vote_shifts(parent: Manifest, candidate: Candidate) -> dict[str, float]:
    """Return how far the share of records moved that each function votes on, if it is no other."""
    lost = candidate.quarantined
    before = {
        (lf["name"], lf["fingerprint"]): votes
        for lf, votes, found in zip(
            parent.lfs, parent.counts["votes"], parent.summary["lfs"], strict=True
        )
        if not found["quarantined"]
    }
    return {
        lf.name: rate_shift(
            before[lf.name, lf.fingerprint],
            parent.counts["rows"],
            0 if lf.name in lost else votes,
            candidate.counts["rows"],
        )
        for lf, votes in zip(candidate.lfs, candidate.counts["votes"], strict=True)
        if (lf.name, lf.fingerprint) in before
    }
