"""Beam steps around labelmill and labelmodel, each usable alone in somebody else's pipeline.

Importing this package registers the coders of `transforms.coders`; there is no other side effect.
"""

from transforms import coders
from transforms.apply import ApplyLabelingFunctions
from transforms.fit import FitLabelModel
from transforms.label import PredictLabels
from transforms.patterns import CountVotePatterns

coders.register()

__all__ = ["ApplyLabelingFunctions", "CountVotePatterns", "FitLabelModel", "PredictLabels"]
