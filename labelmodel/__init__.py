"""Votes in, probabilities out: label models on numpy and scipy, usable with no pipeline."""

from __future__ import annotations

from labelmodel.analysis import LFAnalysis, analyse
from labelmodel.base import BaseLabelModel, LabelModelProtocol, break_ties
from labelmodel.em import MAX_STAGES, expected_counts, m_step, posteriors, run
from labelmodel.errors import (
    ConvergenceWarning,
    LabelModelError,
    LabelModelWarning,
    NotFittedError,
    ParametersError,
    VotesError,
)
from labelmodel.explain import VoteLogOdds, vote_log_odds
from labelmodel.glad import GLAD
from labelmodel.label_model import LabelModel
from labelmodel.mace import MACE
from labelmodel.majority import MajorityVote
from labelmodel.metrics import accuracy, brier, ece, log_loss, score, wilson_interval
from labelmodel.models import MODELS
from labelmodel.parameters import from_json, to_json
from labelmodel.patterns import (
    PatternTable,
    count_patterns,
    count_patterns_with_inverse,
    empty,
    merge_patterns,
)
from labelmodel.snorkel_model import SnorkelLabelModel
from labelmodel.state import Parameters, Statistics, initial_parameters
from labelmodel.triplets import Triplets
from labelmodel.votes import ABSTAIN, from_dense, from_dense_with_inverse, from_long

__all__ = [
    "ABSTAIN",
    "GLAD",
    "MACE",
    "MAX_STAGES",
    "MODELS",
    "BaseLabelModel",
    "ConvergenceWarning",
    "LFAnalysis",
    "LabelModel",
    "LabelModelError",
    "LabelModelProtocol",
    "LabelModelWarning",
    "MajorityVote",
    "NotFittedError",
    "Parameters",
    "ParametersError",
    "PatternTable",
    "SnorkelLabelModel",
    "Statistics",
    "Triplets",
    "VoteLogOdds",
    "VotesError",
    "accuracy",
    "analyse",
    "break_ties",
    "brier",
    "count_patterns",
    "count_patterns_with_inverse",
    "ece",
    "empty",
    "expected_counts",
    "from_dense",
    "from_dense_with_inverse",
    "from_json",
    "from_long",
    "initial_parameters",
    "log_loss",
    "m_step",
    "merge_patterns",
    "posteriors",
    "run",
    "score",
    "to_json",
    "vote_log_odds",
    "wilson_interval",
]
