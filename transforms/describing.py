"""What a report says of functions and of a fitted model, as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

from labelmill.jobspec import ModelSpec
from labelmill.votes import LFTable
from labelmodel.arrays import BoolArray, FloatArray
from labelmodel.base import BaseLabelModel
from labelmodel.blocks import majority_winners
from labelmodel.checks import Diagnosis, checks_of, compare_with_vote
from labelmodel.lf_report import report_of
from labelmodel.majority import MajorityVote
from labelmodel.metrics import score
from labelmodel.notices import Notice, silent_sources
from labelmodel.patterns import PatternTable
from labelmodel.reliability import reliability_curve, score_intervals
from transforms.looking import Looked


def describe(
    model: BaseLabelModel, looked: Looked, table: LFTable, spec: ModelSpec, dropped: Sequence[int]
) -> dict[str, Any]:
    """Return LF table, totals, gold scores and model diagnosis as plain data."""
    analysis, totals = looked.every, looked.used
    polarity, gold_accuracy = analysis.polarity, analysis.gold_accuracy
    learned = getattr(model, "lf_accuracy_", np.full(len(table.lfs), np.nan))
    kinds = getattr(model, "source_kinds_", None)
    by_class = _learned_by_class(model, looked, table)
    guesses = _guesses(model, looked.judged)
    checks = _checks(looked, guesses["model"], table)
    lfs = [
        {
            "name": lf.name,
            "kind": lf.kind,
            "classes": [table.class_names[c] for c in polarity[n]],
            "votes": int(analysis.votes[n]),
            "coverage": float(analysis.coverage[n]),
            "overlap": float(analysis.overlap[n]),
            "conflict": float(analysis.conflict[n]),
            "learned_accuracy": _number(learned[n]),
            "learned": by_class[n],
            "gold_correct": int(analysis.gold_correct[n]),
            "gold_votes": int(analysis.gold_n[n]),
            "gold_accuracy": _number(gold_accuracy[n]),
            "quarantined": n in dropped,
            "taken_for": None if kinds is None else str(kinds[n]),
        }
        for n, lf in enumerate(table.lfs)
    ]
    return {
        "lfs": lfs,
        "totals": {
            "rows": analysis.n_records,
            "patterns": looked.patterns,
            "covered": totals.n_covered,
            "overlap": totals.n_overlap,
            "conflict": totals.n_conflict,
        },
        "model": {
            "name": spec.name,
            "regime": getattr(model, "regime_", None),
            "class_balance": [float(p) for p in model.class_balance_],
            "duplicates": [
                [table.names[lf] for lf in group]
                for group in getattr(model, "duplicate_groups_", ())
            ],
            "checks": [{**asdict(check), "value": _number(check.value)} for check in checks.checks],
            "warnings": _warnings(model, table, dropped, checks),
            "fallback": getattr(model, "fallback_", None),
        },
        "gold": _gold_scores(looked, guesses),
    }


def _learned_by_class(
    model: BaseLabelModel, looked: Looked, table: LFTable
) -> list[list[dict[str, Any]]]:
    """Return for each function what the model learned of its votes for each class."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in table.names}
    for row in report_of(model, looked.answers).rows(table.names, table.class_names):
        rows[str(row.pop("function"))].append(row)
    return list(rows.values())


def _checks(looked: Looked, guesses: FloatArray, table: LFTable) -> Diagnosis:
    """Return the checks of the model that need no further fit; none without votes."""
    if not looked.answers.n_covered:
        return Diagnosis(())
    judged, covered = looked.judged, looked.judged.n_votes > 0
    vote_on_gold = compare_with_vote(
        guesses[covered],
        majority_winners(judged)[covered],
        judged.eval_gold[covered],
        judged.counts[covered],
    )
    return checks_of(looked.answers, vote_on_gold, table.names, table.class_names)


def _warnings(
    model: BaseLabelModel, table: LFTable, dropped: Sequence[int], checks: Diagnosis
) -> list[str]:
    """Return the model's warnings, then what the checks found that these do not say."""
    notices: Sequence[Notice] = getattr(model, "notices_", ())
    if hasattr(model, "notices_"):
        said = [_worded(notice, table, dropped) for notice in notices]
    else:
        said = list(getattr(model, "warnings_", ()))
    found = [check for check in checks.checks if check.verdict in ("warn", "fail")]
    if any(notice.kind == "lost_class" for notice in notices):
        found = [check for check in found if check.name != "collapse"]
    sentences = [check.sentence for check in found]
    sentences += [check.sentence for check in checks.against_vote if check not in found]
    return [warning for warning in said if warning] + sentences


def _worded(notice: Notice, table: LFTable, dropped: Sequence[int]) -> str:
    """Return a notice with names; empty where it is about functions left out on purpose."""
    if notice.kind == "silent":
        notice = silent_sources(sorted(set(notice.sources) - set(dropped)), len(table.lfs))
    return notice.worded(table.names, table.class_names)


def _guesses(model: BaseLabelModel, judged: PatternTable) -> dict[str, FloatArray]:
    """Return what model and majority vote answer to patterns with gold that scores."""
    by_votes = _without_gold(judged)
    majority = MajorityVote(judged.n_classes).fit(by_votes)
    return {
        "model": model.predict_proba(by_votes),
        "majority_vote": majority.predict_proba(by_votes),
    }


def _gold_scores(looked: Looked, guesses: dict[str, FloatArray]) -> dict[str, Any] | None:
    """Score model and majority vote on eval gold, over all records and over covered ones."""
    fit_records, judged = looked.fit_records, looked.judged
    if not len(judged):
        return None if not fit_records else {"fit_records": fit_records, "eval_records": 0}
    covered = judged.n_votes > 0
    result: dict[str, Any] = {
        "fit_records": fit_records,
        "eval_records": judged.n_records,
        "eval_covered": int(judged.counts[covered].sum()),
    }
    for name, probs in guesses.items():
        result[name] = {
            "all": _score(probs, judged, np.ones(len(judged), dtype=bool)),
            "covered": _score(probs, judged, covered) if covered.any() else None,
        }
    if covered.any():
        result["reliability"] = _reliability(guesses["model"], judged, covered)
    return result


def _without_gold(table: PatternTable) -> PatternTable:
    """Return the patterns as the labels are made from them: by their votes alone."""
    nothing = np.full(len(table), -1, dtype=np.int16)
    return replace(table, gold=nothing, eval_gold=nothing)


def _score(probs: FloatArray, judged: PatternTable, rows: BoolArray) -> dict[str, float]:
    """Return scores, with 95 % intervals: Wilson's of the accuracy, of the others by bootstrap."""
    answers = probs[rows], judged.eval_gold[rows], judged.counts[rows]
    scores = score(*answers)
    for name, interval in score_intervals(*answers).items():
        if name != "accuracy":
            scores |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return scores


def _reliability(
    probs: FloatArray, judged: PatternTable, rows: BoolArray
) -> list[dict[str, float]]:
    """Return bins of the model's largest probability with the share of them that is right."""
    curve = reliability_curve(probs[rows], judged.eval_gold[rows], judged.counts[rows])
    names = [field.name for field in fields(curve)]
    columns = [getattr(curve, name).tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
