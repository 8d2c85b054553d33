"""What users import: labeling functions, votes, job files and published data sets."""

from labelmill.dataset import open_labels
from labelmill.labeling import ABSTAIN, LabelingFunction, keywords, labeling_function, regex

__all__ = [
    "ABSTAIN",
    "LabelingFunction",
    "keywords",
    "labeling_function",
    "open_labels",
    "regex",
]
