"""Votes in, probabilities out: label models on numpy and scipy, usable with no pipeline."""

from __future__ import annotations

from labelmodel.analysis import LFAnalysis, analyse
from labelmodel.base import BaseLabelModel, LabelModelProtocol, break_ties, clone
from labelmodel.calibrated import CalibratedModel
from labelmodel.calibration import IsotonicCalibration, TemperatureScaling
from labelmodel.checks import Check, Diagnosis, diagnose, trusted_model
from labelmodel.convert import from_crowdkit, from_snorkel
from labelmodel.convert_files import read_mace, read_wrench, write_mace, write_wrench
from labelmodel.dependence import NearDuplicates, find_near_duplicates, pair_counts
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
from labelmodel.label_model import LabelModel
from labelmodel.lf_report import LFReport, learned_lift, lf_report
from labelmodel.majority import MajorityVote
from labelmodel.metrics import accuracy, brier, ece, log_loss, score, wilson_interval
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
from labelmodel.state import Parameters, Statistics, initial_parameters
from labelmodel.votes import ABSTAIN, from_dense, from_dense_with_inverse, from_long
from labelmodel.voteset import VoteSet

__all__ = [
    "ABSTAIN",
    "MAX_STAGES",
    "BaseLabelModel",
    "CalibratedModel",
    "Check",
    "ConvergenceWarning",
    "Diagnosis",
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
    "Parameters",
    "ParametersError",
    "PatternTable",
    "ReliabilityCurve",
    "Selection",
    "Statistics",
    "TemperatureScaling",
    "VoteLogOdds",
    "VoteSet",
    "VotesError",
    "accuracy",
    "analyse",
    "break_ties",
    "brier",
    "clone",
    "count_patterns",
    "count_patterns_with_inverse",
    "diagnose",
    "ece",
    "empty",
    "expected_counts",
    "find_near_duplicates",
    "from_crowdkit",
    "from_dense",
    "from_dense_with_inverse",
    "from_json",
    "from_long",
    "from_snorkel",
    "initial_parameters",
    "learned_lift",
    "lf_report",
    "log_loss",
    "m_step",
    "merge_patterns",
    "pair_counts",
    "posteriors",
    "read_mace",
    "read_wrench",
    "reliability_curve",
    "run",
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
