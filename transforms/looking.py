"""What is counted of patterns once a model is fitted; of blocks, it adds to that of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from labelmodel.analysis import LFAnalysis, analyse
from labelmodel.answers import AnswerCounts, answer_counts
from labelmodel.base import BaseLabelModel
from labelmodel.patterns import PatternTable, merge_patterns
from labelmodel.staged import blocks_of


@dataclass(frozen=True)
class Looked:
    """What is seen of patterns after the fit; that of blocks adds (`+`) to that of all.

    Attributes:
        patterns: Number of patterns; no two blocks share one.
        every: Analysis of all functions.
        used: Analysis without the votes of functions that are left out.
        judged: Patterns with gold that scores, without those votes.
        fit_records: Records with gold for the fit.
        answers: What the fitted model answers.
    """

    patterns: int
    every: LFAnalysis
    used: LFAnalysis
    judged: PatternTable
    fit_records: int
    answers: AnswerCounts

    def __add__(self, other: Looked) -> Looked:
        """Return what is seen of both."""
        return Looked(
            self.patterns + other.patterns,
            self.every + other.every,
            self.used + other.used,
            merge_patterns([self.judged, other.judged]),
            self.fit_records + other.fit_records,
            self.answers + other.answers,
        )


def look_at(patterns: PatternTable, dropped: Sequence[int], model: BaseLabelModel) -> Looked:
    """Count what a report says of functions and of a fitted model; keep what is scored."""
    used = patterns.drop_lfs(dropped) if dropped else patterns
    every = reduce(add, map(analyse, blocks_of(patterns)))
    return Looked(
        len(patterns),
        every,
        reduce(add, map(analyse, blocks_of(used))) if dropped else every,
        _without_fit_gold(used.take(used.eval_gold >= 0)),
        int(used.counts[used.gold >= 0].sum()),
        answer_counts(model, used),
    )


def _without_fit_gold(table: PatternTable) -> PatternTable:
    """Return the patterns with gold that scores and no other, equal ones as one."""
    return merge_patterns([replace(table, gold=np.full(len(table), -1, dtype=np.int16))])
