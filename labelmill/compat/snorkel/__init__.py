"""Snorkel's interface for writing labeling functions, for files where only the import changes.

The modules have the places that they have in Snorkel, so that ``from snorkel.labeling import
labeling_function`` becomes ``from labelmill.compat.snorkel.labeling import labeling_function``; the
names are here as well. What they make are labelmill's own functions. Applying and analysing them,
label models and slicing are not here: that is what a job does.
"""

from labelmill.compat.snorkel.labeling import (
    LabelingFunction,
    NLPLabelingFunction,
    labeling_function,
    nlp_labeling_function,
)
from labelmill.compat.snorkel.map import BaseMapper, LambdaMapper, Mapper, lambda_mapper
from labelmill.compat.snorkel.preprocess import (
    BasePreprocessor,
    LambdaPreprocessor,
    Preprocessor,
    preprocessor,
)
from labelmill.compat.snorkel.preprocess.nlp import SpacyPreprocessor

__all__ = [
    "BaseMapper",
    "BasePreprocessor",
    "LabelingFunction",
    "LambdaMapper",
    "LambdaPreprocessor",
    "Mapper",
    "NLPLabelingFunction",
    "Preprocessor",
    "SpacyPreprocessor",
    "labeling_function",
    "lambda_mapper",
    "nlp_labeling_function",
    "preprocessor",
]
