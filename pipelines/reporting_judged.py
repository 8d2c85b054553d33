"""What people judged of a version: accuracy by audit or gold, and the effort it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labelmill.audits import ClassAudit, effort, latest_audit
from labelmill.manifest import Manifest
from labelmill.report.content import Accuracy, Effort, Histogram, Interval
from labelmill.store import Store

EFFORTS = (
    "judgements that informed the fit",
    "judgements that scored",
    "judgements in audits",
)

FEW = 50
"""Gold records below which an accuracy says little."""


@dataclass(frozen=True)
class Audited:
    """An audit, as far as a report shows it.

    Attributes:
        accuracy: Share of labels that are right.
        records: Records that were audited.
        auditors: How many people.
        alpha: Krippendorff's alpha between them; None for one auditor.
        disputed: Records that they differ on and that nobody decided.
        per_class: Precision and recall by class.
    """

    accuracy: Interval
    records: int
    auditors: int
    alpha: float | None
    disputed: int
    per_class: Mapping[str, tuple[Interval | None, Interval | None]] = field(default_factory=dict)


def latest_audit_of(store: Store, version: int) -> Audited | None:
    """Return the latest audit of a version; None without one.

    Raises:
        CorruptFileError: It is damaged.
    """
    found = latest_audit(store, version)
    if found is None:
        return None
    return Audited(
        Interval(found.accuracy, found.low, found.high),
        found.n,
        len(found.auditors),
        found.alpha,
        found.disputed,
        {one.name: _precision_and_recall(one) for one in found.per_class},
    )


def _precision_and_recall(one: ClassAudit) -> tuple[Interval | None, Interval | None]:
    return (
        None
        if one.precision is None
        else Interval(one.precision, one.precision_low, one.precision_high),
        None if one.recall is None else Interval(one.recall, one.recall_low, one.recall_high),
    )


def accuracies(manifest: Manifest, audit: Audited | None, histogram: Histogram) -> list[Accuracy]:
    """Return what is known of the labels' accuracy, the most to be trusted first."""
    known = []
    if audit is not None:
        people = "one auditor" if audit.auditors == 1 else f"{audit.auditors} auditors"
        alpha = "" if audit.alpha is None else f", who agree with alpha {audit.alpha:.2f}"
        notes = [f"By {people}{alpha}, on a sample drawn for this version."]
        if audit.disputed:
            notes.append(f"On {audit.disputed:,} records they differ, and nobody decided.")
        known.append(Accuracy(audit.accuracy, "audit", audit.records, "records", tuple(notes)))
    gold = manifest.summary.get("gold") or {}
    scores = (gold.get("model") or {}).get("covered")
    if gold.get("eval_records") and scores is not None:
        share = Interval(scores["accuracy"], scores["accuracy_low"], scores["accuracy_high"])
        known.append(
            Accuracy(share, "gold", int(scores["n"]), "records with votes", _gold_notes(gold))
        )
    if histogram.mean is not None:
        note = (
            "This is the mean confidence of the labels: what the label model expects of itself. "
            "Nothing was measured."
        )
        known.append(
            Accuracy(Interval(histogram.mean), "expected", 0, "records with votes", (note,))
        )
    return known


def _gold_notes(gold: Mapping[str, Any]) -> tuple[str, ...]:
    notes = ["It holds for the corpus as far as the gold records are a random sample of it."]
    if gold["eval_covered"] < FEW:
        notes.append(f"With fewer than {FEW} gold records it says little.")
    everything = (gold.get("model") or {}).get("all")
    if everything is not None and gold["eval_covered"] < gold["eval_records"]:
        notes.append(
            f"Over all {gold['eval_records']:,} gold records, those without votes among them, it "
            f"is {everything['accuracy']:.1%}."
        )
    vote = (gold.get("majority_vote") or {}).get("covered")
    if vote is not None:
        notes.append(f"Majority vote on the same records: {vote['accuracy']:.1%}.")
    return tuple(notes)


def effort_of(store: Store, manifest: Manifest) -> Effort:
    """Return the human effort that is known of: judgements, gold, audits.

    Raises:
        CorruptFileError: A stored audit is damaged.
        JobSpecError: The ledger of judgements is.
    """
    found = effort(store, manifest)
    spent = (found.fit, found.eval, found.audit)
    minutes = (found.fit_minutes, found.eval_minutes, found.audit_minutes)
    lines = tuple(line for line in zip(EFFORTS, spent, minutes, strict=True) if line[1])
    return Effort(lines, found.labels, found.judgements)
