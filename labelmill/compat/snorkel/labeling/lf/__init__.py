"""The classes and decorators of labeling functions."""

from labelmill.compat.snorkel.labeling.lf.core import LabelingFunction, labeling_function

__all__ = ["LabelingFunction", "labeling_function"]
