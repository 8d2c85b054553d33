"""Labeling functions on documents that spaCy parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labelmill.compat.snorkel.labeling.lf.core import LabelingFunction, labeling_function
from labelmill.compat.snorkel.preprocess.nlp import EN_CORE_WEB_SM, SpacyPreprocessor
from labelmill.compat.snorkel.types import HashingFunction


class NLPLabelingFunction(LabelingFunction):
    """A labeling function on records with a parsed document in the field `doc_field`.

    Functions with the same settings share the documents. Other settings are allowed beside them,
    unlike in Snorkel.

    Args:
        name: Unique within a job.
        f: The function, called as ``f(record, **resources)``.
        resources: Keyword arguments of every call.
        pre: Preprocessors that run before the document is parsed.
        text_field: See `SpacyPreprocessor`, as for all that follow.
        doc_field: The document's field.
        language: The pipeline.
        disable: Components to leave out.
        memoize: Keep documents of single records.
        memoize_key: What makes records equal.
        gpu: Run on a GPU where there is one.

    Raises:
        LabelingFunctionError: spaCy or the pipeline is not installed.
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        resources: Mapping[str, Any] | None = None,
        pre: Sequence[Callable[[Any], Any]] | None = None,
        text_field: str = "text",
        doc_field: str = "doc",
        language: str | Path = EN_CORE_WEB_SM,
        disable: Sequence[str] | None = None,
        memoize: bool = True,
        memoize_key: HashingFunction | None = None,
        gpu: bool = False,
    ) -> None:
        preprocessor = SpacyPreprocessor(
            text_field, doc_field, language, disable, pre, memoize, memoize_key, gpu
        )
        super().__init__(name, f, resources, [preprocessor._shared()])


class nlp_labeling_function(labeling_function):  # noqa: N801 - Snorkel's name
    """Decorator that makes a function an `NLPLabelingFunction`.

    Args:
        name: The function's name; its Python name by default.
        resources: Keyword arguments of every call.
        pre: Preprocessors that run before the document is parsed.
        text_field: See `NLPLabelingFunction`, as for all that follow.
        doc_field: The document's field.
        language: The pipeline.
        disable: Components to leave out.
        memoize: Keep documents of single records.
        memoize_key: What makes records equal.
        gpu: Run on a GPU where there is one.
    """

    def __init__(
        self,
        name: str | None = None,
        resources: Mapping[str, Any] | None = None,
        pre: Sequence[Callable[[Any], Any]] | None = None,
        text_field: str = "text",
        doc_field: str = "doc",
        language: str | Path = EN_CORE_WEB_SM,
        disable: Sequence[str] | None = None,
        memoize: bool = True,
        memoize_key: HashingFunction | None = None,
        gpu: bool = False,
    ) -> None:
        super().__init__(name, resources, pre)
        self.text_field = text_field
        self.doc_field = doc_field
        self.language = language
        self.disable = disable
        self.memoize = memoize
        self.memoize_key = memoize_key
        self.gpu = gpu

    def __call__(self, f: Callable[..., Any]) -> NLPLabelingFunction:
        """Return `f` as a labeling function."""
        return NLPLabelingFunction(
            self._name_of(f),
            f,
            self.resources,
            self.pre,
            self.text_field,
            self.doc_field,
            self.language,
            self.disable,
            self.memoize,
            self.memoize_key,
            self.gpu,
        )
