"""Labeling functions as Snorkel has them; running and analysing them is what a job does."""

from typing import NoReturn

from labelmill.compat.snorkel.labeling.lf.core import LabelingFunction, labeling_function
from labelmill.compat.snorkel.labeling.lf.nlp import NLPLabelingFunction, nlp_labeling_function

__all__ = [
    "LabelingFunction",
    "NLPLabelingFunction",
    "labeling_function",
    "nlp_labeling_function",
]

_INSTEAD = {
    "LFApplier": "a job applies the functions of its files: labelmill run",
    "PandasLFApplier": "a job applies the functions of its files: labelmill run",
    "LFAnalysis": "a job writes coverage, overlaps and conflicts into its summary",
    "filter_unlabeled_dataframe": "published labels tell which records no function covers",
}


def __getattr__(name: str) -> NoReturn:
    if name in _INSTEAD:
        raise ImportError(
            f"{__name__} has no {name}: {_INSTEAD[name]}; leave {name} out of the import"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
