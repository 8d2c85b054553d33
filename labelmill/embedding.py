"""Labeling functions that vote on texts like given examples, by their sentence embeddings.

The encoder is any object that turns texts into vectors; `labelmill.sentenceencoder` has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.datafiles import DataFile
from labelmill.embeddingmemory import Floats, memory_of
from labelmill.errors import LabelingFunctionError
from labelmill.labeling import BatchFunction
from labelmill.modelinputs import Inputs
from labelmill.models import PerProcess, followed
from labelmill.predictions import Label
from labelmill.sentenceencoder import SentenceEncoder

_TEXTS_AT_ONCE = 1024
_DECIMALS = 5
"""Similarities are rounded, for their last bits depend on which texts are computed together."""


ENCODED_AT_ONCE = 256
"""Records whose texts are encoded between two looks at the clock."""


@dataclass(frozen=True, eq=False)
class NearExamples(BatchFunction):
    """Votes on texts like given examples; see `near_examples`.

    Attributes:
        name: Unique within a job.
        field: The column of texts.
        examples: Classes, and the texts that stand for each.
        against: Texts that stand for an abstain.
        threshold: The least similarity.
        margin: By how much it has to exceed that to any other class and to `against`.
        nearest: How many examples a similarity is the mean of.
        encoder: Turns texts into vectors.
        version: Declared version.
    """

    kind: ClassVar[str] = "embedding"

    name: str
    field: str
    examples: tuple[tuple[Label, tuple[str, ...]], ...]
    against: tuple[str, ...]
    threshold: float
    margin: float
    nearest: int
    encoder: Any
    version: str
    _vectors: PerProcess = attribute(default_factory=PerProcess, init=False, repr=False)

    @property
    def trusted(self) -> bool:  # type: ignore[override]
        """Whether the encoder is labelmill's own."""
        return isinstance(self.encoder, SentenceEncoder)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of texts."""
        return (self.field,)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes that have examples."""
        return tuple(label for label, _ in self.examples)

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files of the encoder's model, as far as it declares any."""
        return tuple(getattr(self.encoder, "files", ()))

    def check(self, schema: pa.Schema) -> None:
        """Check that the column is there and holds text, and that the encoder can be loaded.

        Raises:
            LabelingFunctionError: One of this is not so.
        """
        Inputs(self._owner, (self.field,), "texts", True).check(schema)
        if isinstance(self.encoder, SentenceEncoder):
            self.encoder.check()

    def identity(self) -> Mapping[str, Any]:
        """Return examples, settings and what the encoder says determines its embeddings.

        Of an encoder that does not say, it is the code that counts: a function's, or the class
        of an object.
        """
        encoder = self.encoder
        if hasattr(encoder, "identity"):
            known_by = [encoder.identity()]
        else:
            known_by = [type(encoder)] if hasattr(encoder, "encode") else followed(encoder)
        return {
            "encoder": known_by,
            "field": self.field,
            "examples": sorted(([label, sorted(set(e))] for label, e in self.examples), key=repr),
            "against": sorted(set(self.against)),
            "settings": [self.threshold, self.margin, self.nearest],
            "version": self.version,
        }

    @property
    def batch_rows(self) -> int:
        """Records that it is given at once."""
        return ENCODED_AT_ONCE

    def votes(self, batch: pa.RecordBatch) -> list[Any]:
        """Return labels, None where it abstains, exceptions for texts without an embedding."""
        texts = batch.column(self.field).to_pylist()
        distinct = list(dict.fromkeys(text for text in texts if text and not text.isspace()))
        found: dict[str | None, Any] = {}
        for start in range(0, len(distinct), _TEXTS_AT_ONCE):
            some = distinct[start : start + _TEXTS_AT_ONCE]
            found.update(zip(some, self._decide(self._embed(some)), strict=True))
        return [found.get(text) for text in texts]

    def similarities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return how similar texts are to each class's examples, to choose a threshold by.

        Args:
            texts: Texts.

        Returns:
            float64, shape (texts, classes), in the order of `labels`; then one more column if
            there are examples `against`.
        """
        given = list(texts)
        return self._similarities(self._embed(given)) if given else np.empty((0, 0))

    @property
    def _owner(self) -> str:
        return f"near_examples {self.name!r}"

    def _embed(self, texts: list[str]) -> Floats:
        encode = getattr(self.encoder, "encode", self.encoder)
        return memory_of(self.encoder).embed(encode, texts, self._version_of_model())

    def _version_of_model(self) -> Hashable:
        """Return what tells that the encoder's model has changed while it was loaded."""
        return self.encoder.digests() if isinstance(self.encoder, SentenceEncoder) else None

    def _embed_examples(self) -> list[Floats]:
        groups = [examples for _, examples in self.examples]
        vectors = [self._embed(list(texts)) for texts in (*groups, self.against) if texts]
        for texts, found in zip((*groups, self.against), vectors, strict=False):
            if np.isnan(found).any():
                wrong = texts[int(np.isnan(found).any(axis=1).argmax())]
                raise LabelingFunctionError(
                    f"{self._owner}: the encoder has no finite embedding of example {wrong!r:.80}"
                )
        return vectors

    def _similarities(self, vectors: Floats) -> npt.NDArray[np.float64]:
        columns = []
        for examples in self._vectors.get(self._embed_examples, self._version_of_model()):
            cosines = vectors @ examples.T
            count = min(self.nearest, cosines.shape[1])
            if count == 1:
                columns.append(cosines.max(axis=1))
            else:
                columns.append(-np.partition(-cosines, count - 1, axis=1)[:, :count].mean(axis=1))
        rounded: npt.NDArray[np.float64] = np.column_stack(columns).astype(np.float64)
        return rounded.round(_DECIMALS)

    def _decide(self, vectors: Floats) -> list[Any]:
        similarities = self._similarities(vectors)
        best = similarities.argmax(axis=1)
        rows = np.arange(len(best))
        highest = similarities[rows, best]
        votes = (best < len(self.examples)) & (highest >= self.threshold)
        if similarities.shape[1] > 1:
            similarities[rows, best] = -np.inf
            lead = np.round(highest - similarities.max(axis=1), _DECIMALS)
            votes &= (lead > 0) & (lead >= self.margin)
        labels = self.labels
        found: list[Any] = [
            labels[n] if vote else None
            for n, vote in zip(best.tolist(), votes.tolist(), strict=True)
        ]
        for row in np.flatnonzero(np.isnan(highest)).tolist():
            found[row] = ValueError(f"{self._owner}: the encoder returned NaN or infinity")
        return found


def near_examples(
    name: str,
    *,
    examples: Sequence[str] | Mapping[Label, Sequence[str]],
    label: Label | None = None,
    against: Sequence[str] = (),
    threshold: float = 0.6,
    margin: float = 0.0,
    nearest: int = 1,
    encoder: Any,
    field: str = "text",
    version: str = "",
) -> NearExamples:
    """Vote for the class whose examples a text is most like, where it is like enough.

    Alike is measured as the cosine of the angle between sentence embeddings, -1 to 1, rounded to
    five decimals. The similarity to a class is that to its nearest example, or the mean over the
    `nearest` ones. The class with the highest similarity is voted for if that is at least
    (``>=``) the threshold, higher than that to any other class and to the examples `against`, and
    by at least `margin`. A null or blank text is an abstain.

    Functions with the same encoder share its embeddings: a text of a batch is encoded once,
    on the account of the first of them.

    Args:
        name: Unique within a job.
        examples: Texts that stand for `label`; or classes with their texts.
        label: Class name or index.
        against: Texts that stand for no class of this function.
        threshold: The least similarity. What is alike differs between models: look at
            `NearExamples.similarities` of a few texts.
        margin: The least lead over the second most similar class, or over `against`.
        nearest: How many examples a similarity is the mean of: all where there are fewer.
        encoder: A model for `labelmill.SentenceEncoder`, a folder or an installed package; or an
            object with ``encode(texts)``, such as a `sentence_transformers.SentenceTransformer`;
            or a function of a list of texts. They return shape (texts, dimensions).
        field: The column of texts.
        version: Declared version, part of the fingerprint: declare it where the encoder is an
            object, whose class alone counts.

    Raises:
        LabelingFunctionError: The arguments do not fit together.

    Example:
        >>> from types import SimpleNamespace
        >>> def letters(texts):
        ...     return [[text.lower().count(c) for c in "abcdefghijklmnopqrstuvwxyz"]
        ...             for text in texts]
        >>> late = near_examples("late", label="complaint", encoder=letters, threshold=0.9,
        ...                      examples=["my parcel is late"], against=["nice weather"])
        >>> [late(SimpleNamespace(text=t)) for t in ("My parcels are late!", "Hi there", None)]
        ['complaint', None, None]
    """

    def error(problem: str) -> LabelingFunctionError:
        return LabelingFunctionError(f"near_examples {name!r}: {problem}")

    if isinstance(examples, Mapping) != (label is None):
        raise error(
            "give examples= as a list with label=, or as a mapping from classes to lists, got "
            f"label={label!r} and a {type(examples).__name__}"
        )
    if isinstance(examples, Mapping):
        groups = tuple((key, _texts(texts, error)) for key, texts in examples.items())
    else:
        assert label is not None
        groups = ((label, _texts(examples, error)),)
    if not groups or not all(texts for _, texts in groups):
        raise error("every class needs at least one example")
    for what, value, low, high in (("threshold", threshold, -1, 1), ("margin", margin, 0, 2)):
        if not (math.isfinite(value) and low <= value <= high):
            raise error(f"{what} must be from {low} to {high}, got {value!r}")
    if isinstance(nearest, bool) or not isinstance(nearest, int) or nearest < 1:
        raise error(f"nearest must be a number of examples from 1 on, got {nearest!r}")
    if isinstance(encoder, str):
        encoder = SentenceEncoder(encoder)
    if not callable(getattr(encoder, "encode", encoder)):
        raise error(
            "encoder= must be a model's name or folder, an object with encode(texts), or a "
            f"function of texts, got {encoder!r:.200}"
        )
    negative = _texts(against, error)
    settings = (float(threshold), float(margin), nearest)
    return NearExamples(name, field, groups, negative, *settings, encoder, version)


def _texts(texts: Sequence[str], error: Callable[[str], LabelingFunctionError]) -> tuple[str, ...]:
    if isinstance(texts, str) or not all(isinstance(t, str) and t.strip() for t in texts):
        raise error(f"examples must be lists of texts, none of them empty, got {texts!r:.200}")
    return tuple(texts)
