"""Votes in, probabilities out: label models on numpy and scipy, usable with no pipeline."""

from __future__ import annotations

from labelmodel.analysis import LFAnalysis, analyse
from labelmodel.answers import AnswerCounts, answer_counts
from labelmodel.base import BaseLabelModel, LabelModelProtocol, break_ties
from labelmodel.bwa import BWA
from labelmodel.calibrated import CalibratedModel
from labelmodel.calibration import IsotonicCalibration, TemperatureScaling
from labelmodel.checks import Check, Diagnosis
from labelmodel.convert import from_crowdkit, from_snorkel
from labelmodel.convert_files import read_mace, read_wrench, write_mace, write_wrench
from labelmodel.dawid_skene import DawidSkene
from labelmodel.dependence import NearDuplicates, find_near_duplicates, pair_counts
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
from labelmodel.estimator import clone
from labelmodel.explain import VoteLogOdds, vote_log_odds
from labelmodel.frames import from_frame
from labelmodel.glad import GLAD
from labelmodel.ibcc import IBCC
from labelmodel.label_model import LabelModel
from labelmodel.lf_report import LFReport, lf_report
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
from labelmodel.reliability import ReliabilityCurve, reliability_curve, score_intervals
from labelmodel.selection import Selection, select_model
from labelmodel.snorkel_model import SnorkelLabelModel
from labelmodel.staged import StagedModel, blocks_of, fit_blocks
from labelmodel.state import Parameters, Statistics
from labelmodel.triplets import Triplets
from labelmodel.trust import diagnose, trusted_model
from labelmodel.votes import ABSTAIN, from_dense, from_dense_with_inverse, from_long
from labelmodel.voteset import VoteSet
from labelmodel.weighted_vote import WeightedVote

__all__ = [
    "ABSTAIN",
    "BWA",
    "EBCC",
    "GLAD",
    "IBCC",
    "MACE",
    "MODELS",
    "AnswerCounts",
    "BaseLabelModel",
    "CalibratedModel",
    "Check",
    "ClassConditionalOneCoin",
    "ConvergenceWarning",
    "DawidSkene",
    "Diagnosis",
    "EMModel",
    "EMState",
    "EMTerms",
    "IsotonicCalibration",
    "LFAnalysis",
    "LFReport",
    "LabelModel",
    "LabelModelError",
    "LabelModelProtocol",
    "LabelModelWarning",
    "MajorityVote",
    "NearDuplicates",
    "NotFittedError",
    "OneCoin",
    "Parameters",
    "ParametersError",
    "PatternTable",
    "ReliabilityCurve",
    "Selection",
    "SnorkelLabelModel",
    "StagedModel",
    "Statistics",
    "TemperatureScaling",
    "Triplets",
    "VoteLogOdds",
    "VoteSet",
    "VotesError",
    "WeightedVote",
    "accuracy",
    "analyse",
    "answer_counts",
    "blocks_of",
    "break_ties",
    "brier",
    "clone",
    "count_patterns",
    "count_patterns_with_inverse",
    "diagnose",
    "ece",
    "empty",
    "find_near_duplicates",
    "fit_blocks",
    "from_crowdkit",
    "from_dense",
    "from_dense_with_inverse",
    "from_frame",
    "from_json",
    "from_long",
    "from_snorkel",
    "lf_report",
    "log_loss",
    "merge_patterns",
    "pair_counts",
    "read_mace",
    "read_wrench",
    "reliability_curve",
    "score",
    "score_intervals",
    "select_model",
    "to_json",
    "trusted_model",
    "vote_log_odds",
    "wilson_interval",
    "write_mace",
    "write_wrench",
]
