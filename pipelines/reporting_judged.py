"""What people judged of a version: accuracy by audit or gold, and the effort it took."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labelmill.errors import JobSpecError
from labelmill.judging.ledger import Judgement, read_ledger
from labelmill.manifest import Manifest
from labelmill.report.content import Accuracy, Effort, Histogram, Interval
from labelmill.store import Store

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
        minutes: What it took; None where nobody said.
        per_class: Precision and recall by class.
    """

    accuracy: Interval
    records: int
    auditors: int
    alpha: float | None
    minutes: float | None
    per_class: Mapping[str, tuple[Interval | None, Interval | None]] = field(default_factory=dict)


def latest_audit_of(store: Store, version: int) -> Audited | None:
    """Return the latest audit of a version; None without one."""
    try:
        audits = importlib.import_module("labelmill.audits")
    except ModuleNotFoundError:
        return None
    found = audits.latest_audit(store, version)
    if found is None:
        return None
    auditors = found.auditors if isinstance(found.auditors, int) else len(found.auditors)
    accuracy = Interval(found.accuracy, found.low, found.high)
    return Audited(accuracy, found.n, auditors, found.alpha, found.minutes)


def accuracies(manifest: Manifest, audit: Audited | None, histogram: Histogram) -> list[Accuracy]:
    """Return what is known of the labels' accuracy, the most to be trusted first."""
    known = []
    if audit is not None:
        people = "one auditor" if audit.auditors == 1 else f"{audit.auditors} auditors"
        alpha = "" if audit.alpha is None else f", who agree with alpha {audit.alpha:.2f}"
        note = f"By {people}{alpha}, on a sample drawn for this version."
        known.append(Accuracy(audit.accuracy, "audit", audit.records, "records", (note,)))
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


def effort_of(manifest: Manifest, audit: Audited | None) -> Effort:
    """Return the human effort that is known of: judgements, gold, the audit."""
    lines: list[tuple[str, int, float | None]] = []
    judged = _ledger(manifest)
    for role, title in (("fit", "judged to inform the fit"), ("eval", "judged to score")):
        mine = [one for one in judged if one.role == role]
        if mine:
            judges = {one.judge for one in mine if one.judge}
            who = f", by {len(judges)} {'people' if len(judges) > 1 else 'person'}"
            lines.append((title + (who if judges else ""), len(mine), _minutes(mine)))
    gold = manifest.summary.get("gold") or {}
    if not judged and gold:
        for key, title in (
            ("fit_records", "gold records that informed the fit"),
            ("eval_records", "gold records that scored"),
        ):
            if gold.get(key):
                lines.append((title, gold[key], None))
    if audit is not None:
        lines.append(("audited", audit.records, audit.minutes))
    total = sum(judgements for _, judgements, _ in lines)
    return Effort(tuple(lines), manifest.counts["covered"], total)


def _ledger(manifest: Manifest) -> list[Judgement]:
    """Return the judgements that the job's gold reads; none where it is something else."""
    gold = manifest.spec.get("gold") or {}
    uri = gold.get("uri")
    if not isinstance(uri, str) or "://" in uri or not uri.endswith(".jsonl"):
        return []
    try:
        return read_ledger(Path(uri))
    except (JobSpecError, OSError, UnicodeDecodeError):
        return []  # gold of another form


def _minutes(judged: list[Judgement]) -> float | None:
    told = [one.minutes for one in judged if one.minutes is not None]
    return sum(told) if told else None
