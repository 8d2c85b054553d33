"""What people spent on a data set: judgements for the fit, scoring and audits, and minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelmill.audits.results import all_results
from labelmill.audits.sheets import AUDIT
from labelmill.judging.ledger import Judgement, read_ledger
from labelmill.manifest import Manifest
from labelmill.store import Store


@dataclass(frozen=True)
class Effort:
    """Human effort.

    Attributes:
        fit: Judgements made to inform the fit.
        eval: Judgements made to score.
        audit: Judgements made in audits, by all auditors, adjudications included.
        fit_minutes: Minutes that those for the fit took; None where nobody told.
        eval_minutes: Minutes that those for scoring took.
        audit_minutes: Minutes that the audits took.
        labels: Labels of records with votes in the version.
    """

    fit: int
    eval: int
    audit: int
    fit_minutes: float | None
    eval_minutes: float | None
    audit_minutes: float | None
    labels: int

    @property
    def judgements(self) -> int:
        """Judgements in all."""
        return self.fit + self.eval + self.audit

    @property
    def minutes(self) -> float | None:
        """Minutes in all, as far as they were told; None where nobody told."""
        return _sum([self.fit_minutes, self.eval_minutes, self.audit_minutes])

    @property
    def labels_per_judgement(self) -> float | None:
        """Labels for each judgement; None without judgements."""
        return self.labels / self.judgements if self.judgements else None


def effort(
    store: Store, manifest: Manifest, judgements: Sequence[Judgement] | None = None
) -> Effort:
    """Add up what people spent.

    Judgements of an audit that were written to the ledger are counted as the audit's, once.

    Args:
        store: The data set, with its audits.
        manifest: The version whose labels are counted.
        judgements: The ledger; by default the one that the version's gold was read from. Without
            a ledger, gold of the version counts.

    Raises:
        CorruptFileError: A stored audit is damaged.
        JobSpecError: The ledger is.
    """
    known = judgements if judgements is not None else _ledger(manifest)
    audits = [answered for _, answered in all_results(store)]
    audited = sum(one.spent for one in audits)
    spent = _sum([one.total_minutes for one in audits])
    labels = int(manifest.counts["covered"])
    if known is None:
        gold = manifest.summary.get("gold") or {}
        fit, scoring = (int(gold.get(f"{role}_records", 0)) for role in ("fit", "eval"))
        return Effort(fit, scoring, audited, None, None, spent, labels)
    own = {
        role: [one for one in known if one.role == role and one.chosen != AUDIT]
        for role in ("fit", "eval")
    }
    minutes = {role: _sum([one.minutes for one in ones]) for role, ones in own.items()}
    return Effort(
        len(own["fit"]),
        len(own["eval"]),
        audited,
        minutes["fit"],
        minutes["eval"],
        spent,
        labels,
    )


def _ledger(manifest: Manifest) -> list[Judgement] | None:
    gold = manifest.spec.get("gold") or {}
    uri = gold.get("uri")
    if not uri or not gold.get("role") or "://" in uri or not Path(uri).is_file():
        return None
    return read_ledger(Path(uri)) if uri.endswith(".jsonl") else None


def _sum(minutes: Sequence[float | None]) -> float | None:
    told = [one for one in minutes if one is not None]
    return sum(told) if told else None
