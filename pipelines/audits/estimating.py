"""From the answers to a draw to what it found: accuracy, precision and recall, and slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelmill.audits.answered import Answered
from labelmill.audits.draws import BY_CLASS, Draw
from labelmill.audits.results import AuditResult, ClassAudit, SliceAudit
from labelmill.errors import JobSpecError
from pipelines.audits.shares import Share, count_strata, merge_thin, share_interval
from pipelines.audits.truth import Truth, truth_of


def estimate(draw: Draw, answered: Answered) -> tuple[AuditResult, Truth]:
    """Estimate accuracy, precision and recall from the answers to a draw.

    Raises:
        JobSpecError: There is no answer.
    """
    truth = truth_of(draw, answered)
    judged = truth.probs.sum(axis=1) > 0
    if not judged.any():
        raise JobSpecError(f"no record of draw {draw.id} has a class; nothing can be estimated")
    number = {name: index for index, name in enumerate(draw.classes)}
    label = np.array([number[record.predicted] for record in draw.records])[judged]
    stratum = np.array([record.stratum for record in draw.records])[judged]
    probs = truth.probs[judged]
    right = probs[np.arange(len(label)), label]
    shares = _Shares(draw, stratum)
    overall = shares.of(np.ones(len(label)), right)
    assert overall.value is not None
    classes = []
    for index, name in enumerate(draw.classes):
        labeled, true = (label == index).astype(float), probs[:, index]
        precision = shares.of(labeled, labeled * right)
        recall = shares.of(true, labeled * true, domain_found=True)
        ends = [(s.value, s.low, s.high) for s in (precision, recall)]
        classes.append(ClassAudit(name, *ends[0], *ends[1], labeled=precision.n, true=recall.n))
    unsure = {one for ids in answered.unsure.values() for one in ids}
    silent = {draw.records[row].id for row in np.flatnonzero(~judged)}
    result = AuditResult(
        version=draw.version,
        draw=draw.id,
        accuracy=overall.value,
        low=overall.low,
        high=overall.high,
        n=len(label),
        n_eff=overall.n_eff if np.isfinite(overall.n_eff) else None,
        drawn=len(draw.records),
        population=draw.population,
        auditors=truth.auditors,
        awaited=tuple(name for name in draw.auditors if name and name not in truth.auditors),
        alpha=truth.alpha,
        pairs=tuple(truth.pairs()),
        checks=tuple(truth.checks()),
        twice=int(((truth.votes >= 0).sum(axis=1) >= 2).sum()),
        differed=truth.differed,
        disputed=len(truth.disputed),
        unsure=len(unsure & silent),
        saw=len(answered.saw),
        per_class=tuple(classes),
        slices=_slices(draw, shares, stratum, right),
        spent=answered.spent,
        minutes=answered.total_minutes,
    )
    return result, truth


@dataclass(frozen=True)
class _Shares:
    """Shares within domains of the judged records."""

    draw: Draw
    stratum: npt.NDArray[np.int64]

    def of(
        self,
        domain: npt.NDArray[np.float64],
        right: npt.NDArray[np.float64],
        *,
        domain_found: bool = False,
    ) -> Share:
        sizes = np.array([stratum.size for stratum in self.draw.strata])
        names = [stratum.group for stratum in self.draw.strata]
        groups = [names.index(name) for name in names]
        counted = count_strata(sizes, self.stratum, domain, right)
        return share_interval(merge_thin(counted, groups), domain_found=domain_found)


def _slices(
    draw: Draw,
    shares: _Shares,
    stratum: npt.NDArray[np.int64],
    right: npt.NDArray[np.float64],
) -> tuple[SliceAudit, ...]:
    if draw.by in ("", BY_CLASS):
        return ()
    groups = np.array([one.group for one in draw.strata])
    found = []
    for name in dict.fromkeys(groups.tolist()):
        inside = (groups[stratum] == name).astype(float)
        share = shares.of(inside, inside * right)
        records = sum(one.size for one in draw.strata if one.group == name)
        found.append(SliceAudit(name, records, share.n, share.value, share.low, share.high))
    return tuple(found)
