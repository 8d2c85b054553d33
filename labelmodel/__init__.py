"""Votes in, probabilities out: label models on numpy and scipy, usable with no pipeline."""

from __future__ import annotations

from labelmodel.analysis import LFAnalysis, analyse
from labelmodel.base import BaseLabelModel, LabelModelProtocol, break_ties
from labelmodel.dawid_skene import DawidSkene
from labelmodel.ebcc import EBCC
from labelmodel.em import EMModel
from labelmodel.em_state import EMState, EMTerms
from labelmodel.errors import (
    ConvergenceWarning,
    LabelModelError,
    LabelModelWarning,
    NotFittedError,
    ParametersError,
    VotesError,
)
from labelmodel.explain import VoteLogOdds, vote_log_odds
from labelmodel.frames import from_frame
from labelmodel.glad import GLAD
from labelmodel.ibcc import IBCC
from labelmodel.label_model import LabelModel
from labelmodel.mace import MACE
from labelmodel.majority import MajorityVote
from labelmodel.metrics import accuracy, brier, ece, log_loss, score, wilson_interval
from labelmodel.models import MODELS
from labelmodel.one_coin import ClassConditionalOneCoin, OneCoin
from labelmodel.parameters import from_json, to_json
from labelmodel.patterns import (
    PatternTable,
    count_patterns,
    count_patterns_with_inverse,
    empty,
    merge_patterns,
)
from labelmodel.snorkel_model import SnorkelLabelModel
from labelmodel.staged import StagedModel, blocks_of, fit_blocks
from labelmodel.state import Parameters, Statistics
from labelmodel.triplets import Triplets
from labelmodel.votes import ABSTAIN, from_dense, from_dense_with_inverse, from_long
from labelmodel.weighted_vote import WeightedVote

__all__ = [
    "ABSTAIN",
    "EBCC",
    "GLAD",
    "IBCC",
    "MACE",
    "MODELS",
    "BaseLabelModel",
    "ClassConditionalOneCoin",
    "ConvergenceWarning",
    "DawidSkene",
    "EMModel",
    "EMState",
    "EMTerms",
    "LFAnalysis",
    "LabelModel",
    "LabelModelError",
    "LabelModelProtocol",
    "LabelModelWarning",
    "MajorityVote",
    "NotFittedError",
    "OneCoin",
    "Parameters",
    "ParametersError",
    "PatternTable",
    "SnorkelLabelModel",
    "StagedModel",
    "Statistics",
    "Triplets",
    "VoteLogOdds",
    "VotesError",
    "WeightedVote",
    "accuracy",
    "analyse",
    "blocks_of",
    "break_ties",
    "brier",
    "count_patterns",
    "count_patterns_with_inverse",
    "ece",
    "empty",
    "fit_blocks",
    "from_dense",
    "from_dense_with_inverse",
    "from_frame",
    "from_json",
    "from_long",
    "log_loss",
    "merge_patterns",
    "score",
    "to_json",
    "vote_log_odds",
    "wilson_interval",
]
