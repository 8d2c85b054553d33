"""Documents parsed by spaCy as a preprocessor, many at a time and once for all functions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from labelmill.compat.snorkel.map.core import prepared
from labelmill.compat.snorkel.preprocess.core import Preprocessor
from labelmill.compat.snorkel.types import DataPoint, FieldMap, HashingFunction
from labelmill.labeling import LoadsFirst
from labelmill.nlp import Pipeline, pipeline, require_pipeline

EN_CORE_WEB_SM = "en_core_web_sm"


class SpacyPreprocessor(Preprocessor, LoadsFirst):
    """Adds the parsed document (a `spacy.tokens.Doc`) of a text field to a record.

    The pipeline is loaded when it first parses, once per process. Functions whose preprocessors
    have the same settings share the documents of a record.

    Args:
        text_field: Field with the text.
        doc_field: Field that gets the document.
        language: What `spacy.load` takes: an installed package, a folder, or ``"blank:en"``.
        disable: Components of the pipeline to leave out.
        pre: Preprocessors that run before it.
        memoize: Keep documents of single records, see `BaseMapper`; those of a batch are not
            kept, for each of its records is parsed once.
        memoize_key: What makes records equal, see `BaseMapper`.
        gpu: Run on a GPU where there is one.

    Raises:
        LabelingFunctionError: spaCy or the pipeline is not installed.
    """

    memo_size: ClassVar[int] = 1_000

    def __init__(
        self,
        text_field: str,
        doc_field: str,
        language: str | Path = EN_CORE_WEB_SM,
        disable: Sequence[str] | None = None,
        pre: Sequence[Callable[[Any], Any]] | None = None,
        memoize: bool = False,
        memoize_key: HashingFunction | None = None,
        gpu: bool = False,
    ) -> None:
        require_pipeline(language)
        super().__init__(
            type(self).__name__,
            field_names={"text": text_field},
            mapped_field_names={"doc": doc_field},
            pre=pre,
            memoize=memoize,
            memoize_key=memoize_key,
        )
        self.gpu = gpu
        self.language = str(language)
        self.disable = (disable,) if isinstance(disable, str) else tuple(disable or ())

    @property
    def _nlp(self) -> Pipeline:
        return pipeline(self.language, self.disable, gpu=self.gpu)

    def load_first(self) -> None:
        """Load the pipeline."""
        self._nlp.load()

    def run(self, text: str) -> FieldMap:  # type: ignore[override]  # Snorkel's signature
        """Return the parsed document of `text` as ``{"doc": document}``."""
        return {"doc": self._nlp.parse_one(text)}

    def map_batch(
        self, records: Sequence[DataPoint], *, pre: Sequence[Callable[[Any], Any]] | None = None
    ) -> list[Any]:
        """Return editable records with their documents, parsed together.

        Args:
            records: Copies of records; they are edited.
            pre: Preprocessors to run first; those of this preprocessor by default.

        Returns:
            As many: records, or the exception where one could not be parsed.
        """
        steps = self._pre if pre is None else pre
        if not self._is_as_here():
            return [_outcome(lambda x: self._remembered(x, steps), x) for x in records]
        ready = [_outcome(lambda x: prepared(x, steps), x) for x in records]
        field, target = self.field_names["text"], (self.mapped_field_names or {})["doc"]
        texts = [_outcome(lambda x: getattr(x, field), x) for x in ready]
        for n, doc in enumerate(self._nlp.parse(texts)):
            failed = next((v for v in (ready[n], texts[n], doc) if isinstance(v, Exception)), None)
            if failed is None:
                setattr(ready[n], target, doc)
            else:
                ready[n] = failed
        return ready

    def _is_as_here(self) -> bool:
        """Whether no subclass changes how a record is mapped."""
        methods = ("__call__", "run", "_generate_mapped_data_point", "_update_fields")
        own = (getattr(type(self), name) is getattr(SpacyPreprocessor, name) for name in methods)
        return all(own)

    def _shared(self) -> SpacyPreprocessor:
        """Return the first living preprocessor with these settings, so that functions share it."""
        if type(self) is not SpacyPreprocessor:
            return self
        return _SHARED.setdefault(self._settings(), self)

    def _settings(self) -> Hashable:
        fields = (self.field_names["text"], (self.mapped_field_names or {})["doc"])
        pre = tuple(id(step) for step in self._pre)  # alive as long as this is
        memo = (self.memoize, id(self._memoize_key))
        return (*fields, self.language, self.disable, pre, *memo, self.gpu)


_SHARED: WeakValueDictionary[Hashable, SpacyPreprocessor] = WeakValueDictionary()


def _outcome(function: Callable[[Any], Any], x: Any) -> Any:
    """Return what `function` makes of `x`, or the exception that it raises."""
    if isinstance(x, Exception):
        return x
    try:
        return function(x)
    except Exception as error:
        return error
