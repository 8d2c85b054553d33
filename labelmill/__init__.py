"""What users import: labeling functions, votes, job files and published data sets.

Names are loaded when they are first used, so that ``import labelmill`` costs little in the
processes that run functions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from labelmill.labeling import ABSTAIN, LabelingFunction, keywords, labeling_function, regex

if TYPE_CHECKING:
    from labelmill.combining import all_of as all_of
    from labelmill.combining import any_of as any_of
    from labelmill.combining import at_least as at_least
    from labelmill.combining import none_of as none_of
    from labelmill.combining import not_ as not_
    from labelmill.comparing import compare as compare
    from labelmill.datafiles import data_file as data_file
    from labelmill.datafiles import resource as resource
    from labelmill.dataset import open_faults as open_faults
    from labelmill.dataset import open_labels as open_labels
    from labelmill.embedding import near_examples as near_examples
    from labelmill.lookups import lookup as lookup
    from labelmill.modelhandlers import model_handler_function as model_handler_function
    from labelmill.models import model_function as model_function
    from labelmill.prompts import prompted as prompted
    from labelmill.sentenceencoder import SentenceEncoder as SentenceEncoder
    from labelmill.votetable import vote_table as vote_table

_LATER = {
    "SentenceEncoder": "sentenceencoder",
    "all_of": "combining",
    "any_of": "combining",
    "at_least": "combining",
    "compare": "comparing",
    "data_file": "datafiles",
    "lookup": "lookups",
    "model_function": "models",
    "model_handler_function": "modelhandlers",
    "near_examples": "embedding",
    "none_of": "combining",
    "not_": "combining",
    "open_faults": "dataset",
    "open_labels": "dataset",
    "prompted": "prompts",
    "resource": "datafiles",
    "vote_table": "votetable",
}

__all__ = [
    "ABSTAIN",
    "LabelingFunction",
    "SentenceEncoder",
    "all_of",
    "any_of",
    "at_least",
    "compare",
    "data_file",
    "keywords",
    "labeling_function",
    "lookup",
    "model_function",
    "model_handler_function",
    "near_examples",
    "none_of",
    "not_",
    "open_faults",
    "open_labels",
    "prompted",
    "regex",
    "resource",
    "vote_table",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"labelmill.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
