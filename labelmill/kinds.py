"""Telling labeling functions from other values, and their kinds from each other."""

from __future__ import annotations

from labelmill.combining import Combination
from labelmill.labeling import (
    AnyLabelingFunction,
    BatchFunction,
    LabelingFunction,
    Matcher,
    NamedCallable,
)


def kind_of(lf: AnyLabelingFunction) -> str:
    """Return the kind shown in tables: keywords, regex, batch, python, or what the object says."""
    if isinstance(lf, Matcher | BatchFunction | Combination):
        return lf.kind
    return "batch" if isinstance(lf, LabelingFunction) and lf.batch else "python"


def is_labeling_function(value: object) -> bool:
    """Whether a module-level `value` counts as a labeling function."""
    if isinstance(value, LabelingFunction | Matcher | BatchFunction | Combination):
        return True
    is_snorkel = any(
        cls.__module__.startswith("snorkel.") and "LabelingFunction" in cls.__name__
        for cls in type(value).__mro__
    )
    return is_snorkel and isinstance(value, NamedCallable)
