"""What judgements bought: accuracy and log loss before and after them, on records not fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labelmill.gold import RANDOM
from labelmill.judging.ledger import Judgement
from labelmill.teach.features import Floats
from labelmill.teach.tokens import Ints
from pipelines.lesson import Lesson

_LEAST_SCORED = 20
_FOLDS = 4
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Scored:
    """How right something is on records that it was not fitted to.

    Attributes:
        accuracy: Share of records that it is right on.
        log_loss: In nats.
    """

    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class Effect:
    """What judgements bought.

    Attributes:
        on: What the scores are of: ``gold that scores``, or ``random judgements, each left out``.
        records: How many records that are.
        scores: Before and after, by what answers: ``classifier``, ``label model``.
    """

    on: str
    records: int
    scores: Mapping[str, tuple[Scored | None, Scored | None]]


def effect_of(lesson: Lesson, fit: Sequence[Judgement], new: set[str]) -> Effect | None:
    """Return what new judgements bought; None where too few records can tell."""
    places = {name: row for row, name in enumerate(lesson.ids)}
    fresh = np.array([places[name] for name in new if name in places], dtype=np.int64)
    after = lesson.judged
    before = np.setdiff1d(after, fresh)
    scoring = np.flatnonzero(lesson.scoring >= 0)
    if len(scoring) >= _LEAST_SCORED:
        on, folds, gold = "gold that scores", [scoring], lesson.scoring
    else:
        drawn = [places[one.id] for one in fit if one.chosen == RANDOM and one.id in places]
        usual = np.intersect1d(np.array(drawn, dtype=np.int64), after)
        if len(usual) < _LEAST_SCORED:
            return None
        on, gold = "random judgements, each left out", lesson.labels
        folds = [usual[n::_FOLDS] for n in range(_FOLDS)]
    scores = {
        "classifier": (
            _classifier(lesson, before, folds, gold),
            _classifier(lesson, after, folds, gold),
        ),
        "label model": (_model(lesson, before, folds, gold), _model(lesson, after, folds, gold)),
    }
    return Effect(on, sum(map(len, folds)), scores)


def _classifier(lesson: Lesson, rows: Ints, folds: Sequence[Ints], gold: Ints) -> Scored | None:
    probs = []
    for fold in folds:
        known = np.setdiff1d(rows, fold)
        if len(known) < _LEAST_SCORED or len(np.unique(lesson.labels[known])) < 2:
            return None
        probs.append(lesson.train(known).heads.probabilities(lesson.features.take(fold)))
    return _scored(np.concatenate(probs), gold[np.concatenate(folds)])


def _model(lesson: Lesson, rows: Ints, folds: Sequence[Ints], gold: Ints) -> Scored | None:
    if not lesson.covered.any():
        return None
    probs = []
    for fold in folds:
        labels = np.full_like(lesson.labels, -1)
        known = np.setdiff1d(rows, fold)
        labels[known] = lesson.labels[known]
        probs.append(lesson.voted(labels=labels)[fold])
    return _scored(np.concatenate(probs), gold[np.concatenate(folds)])


def _scored(probs: Floats, gold: Ints) -> Scored:
    said = np.maximum(probs[np.arange(len(gold)), gold], _LEAST_PROBABILITY)
    return Scored(float((probs.argmax(axis=1) == gold).mean()), float(-np.log(said).mean()))
