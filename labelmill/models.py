"""Labeling functions that ask a model: a scikit-learn estimator, an ONNX session, any callable.

A model is loaded once per process, when it first has a record to see, and is given batches. What
it is given is in `labelmill.modelinputs`, what becomes of its outputs in `labelmill.predictions`;
`labelmill.modelhandlers` has models of Apache Beam, `labelmill.embedding` sentence embeddings.
"""

from __future__ import annotations

import functools
import os
import sysconfig
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from types import FunctionType
from typing import Any, ClassVar

import pyarrow as pa

from labelmill.datafiles import DataFile, data_file, load_once
from labelmill.errors import LabelingFunctionError
from labelmill.labeling import BatchFunction
from labelmill.modelinputs import INPUTS, Inputs, inputs_of
from labelmill.predictions import Classes, Label, Predictions, predictions

_RETRY_SECONDS = 30.0
"""A model that does not load is not asked for again at once: each half of a batch would do so."""


class PerProcess:
    """A value that is made when first asked for, once per process and version of its source.

    Threads wait for the first one; a forked process makes its own; a pickle holds nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made_for: tuple[int, Hashable] | None = None
        self._value: Any = None
        self._failure: tuple[float, Exception] | None = None

    def get(self, make: Callable[[], Any], version: Hashable = None) -> Any:
        """Return the value, made by `make` if need be.

        Args:
            make: Makes the value.
            version: What it is made from; where that has changed, it is made again.

        Raises:
            Exception: What `make` raised, now or a moment ago.
        """
        with self._lock:
            if self._made_for == (os.getpid(), version):
                return self._value
            if self._failure and time.monotonic() < self._failure[0] + _RETRY_SECONDS:
                raise self._failure[1].with_traceback(None)  # else it grows with each raise
            try:
                self._value = make()
            except Exception as error:
                self._failure = time.monotonic(), error
                raise
            self._made_for, self._failure = (os.getpid(), version), None
            return self._value

    def __reduce__(self) -> tuple[Any, ...]:
        return PerProcess, ()


@dataclass(frozen=True, eq=False)
class AsksModel(BatchFunction):
    """What functions share that give a model batches and read its outputs.

    Attributes:
        name: Unique within a job.
        inputs: What the model is given.
        predictions: How its outputs become votes.
        batch_size: Most records that it is given at once.
        file: The model file.
        version: Declared version.
    """

    kind: ClassVar[str] = "model"

    name: str
    inputs: Inputs
    predictions: Predictions
    batch_size: int
    file: DataFile | None
    version: str
    _loaded: PerProcess = field(default_factory=PerProcess, init=False, repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the model is given."""
        return self.inputs.fields

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes that it may vote for."""
        return self.predictions.labels

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The model file."""
        return () if self.file is None else (self.file,)

    def check(self, schema: pa.Schema) -> None:
        """Check that the columns are there and of a type that fits.

        Raises:
            LabelingFunctionError: They are not.
        """
        self.inputs.check(schema)

    @property
    def batch_rows(self) -> int:
        """Records that it is given at once."""
        return self.batch_size

    def load_first(self) -> None:
        """Load the model.

        Raises:
            LabelingFunctionError: It does not load.
        """
        self._model()

    def votes(self, batch: pa.RecordBatch) -> list[Any]:
        """Return labels, None where it abstains, exceptions where the model has no answer.

        Raises:
            LabelingFunctionError: The model does not load.
        """
        found: list[Any] = [None] * batch.num_rows
        rows = self.inputs.rows(batch)
        if not len(rows):
            return found
        model = self._model()
        size = self._rows_at_once(model)
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            part = batch.take(pa.array(some))
            for row, vote in zip(some.tolist(), self._ask(model, part), strict=True):
                found[row] = vote
        return found

    def identity(self) -> Mapping[str, Any]:
        """Return code, settings and the model file's content; the loaded model is no part."""
        return {
            **self._code(),
            "file": None if self.file is None else self.file.identity(),
            "fields": list(self.inputs.fields),
            "inputs": self.inputs.form,
            "skip_nulls": self.inputs.skip_nulls,
            "predictions": self.predictions.identity(),
            "version": self.version,
        }

    def _rows_at_once(self, model: Any) -> int:
        return self.batch_size

    def _loaded_by(self, load: Callable[..., Any]) -> Any:
        """Return what `load` makes of the model file's path, or of nothing without a file."""
        version = None if self.file is None else self.file.sha256
        return self._loaded.get(lambda: self._load_by(load), version)

    def _load_by(self, load: Callable[..., Any]) -> Any:
        owner = self.predictions.owner

        def call(*path: str) -> Any:
            try:
                return load(*path)
            except LabelingFunctionError:
                raise
            except Exception as error:
                raise LabelingFunctionError(
                    f"{owner}: its model does not load: {type(error).__name__}: {error}"
                ) from error

        if self.file is None:
            return call()
        return load_once(self.file, ("model", load), lambda path, _: call(path), owner)

    @abstractmethod
    def _code(self) -> Mapping[str, Any]:
        """Return the functions and objects that determine the votes."""

    @abstractmethod
    def _model(self) -> Any:
        """Return the loaded model."""

    @abstractmethod
    def _ask(self, model: Any, batch: pa.RecordBatch) -> list[Any]:
        """Return the votes on records that are all for the model to see."""


@dataclass(frozen=True, eq=False)
class ModelFunction(AsksModel):
    """Votes as a model predicts; see `model_function`.

    Attributes:
        predict: The model, or a function of inputs, or with `load` of the model and inputs.
        load: Loads the model.
    """

    predict: Any
    load: Callable[..., Any] | None

    def _code(self) -> Mapping[str, Any]:
        return {"predict": followed(self.predict), "load": followed(self.load)}

    def _model(self) -> Any:
        return self.predict if self.load is None else self._loaded_by(self.load)

    def _ask(self, model: Any, batch: pa.RecordBatch) -> list[Any]:
        given = self.inputs.of(batch)
        if self.load is not None and self.predict is not None:
            return self.predictions.votes(self.predict(model, given), batch.num_rows)
        method = _method(self.predictions)
        if hasattr(model, method):
            output = getattr(model, method)(given)
            own = getattr(model, "classes_", None)
            return self.predictions.votes(output, batch.num_rows, own)
        if not callable(model):
            raise LabelingFunctionError(
                f"{self.predictions.owner}: the model, of class {type(model).__name__}, has no "
                f"{method}() and cannot be called; give predict=, a function of the model and its "
                "inputs"
            )
        return self.predictions.votes(model(given), batch.num_rows)


def _method(outputs: Predictions) -> str:
    """Return the method of scikit-learn's estimators that returns such outputs."""
    return "predict" if outputs.thresholds is None else "predict_proba"


def model_function(
    name: str,
    *,
    predict: Any = None,
    load: Callable[..., Any] | None = None,
    file: str | PathLike[str] | DataFile | None = None,
    fields: str | Sequence[str] = "text",
    inputs: str = "texts",
    classes: Classes | None = None,
    threshold: float | Mapping[Label, float] | None = None,
    returns: str = "probabilities",
    skip_nulls: bool = True,
    batch_size: int = 1024,
    version: str = "",
) -> ModelFunction:
    """Vote for the class that a model finds likeliest, where it is sure enough.

    A record's vote is the class with the highest probability if that is at least (``>=``) the
    threshold of this class, else an abstain, as is a tie of the highest. A record for which the
    model returns NaN is a fault. A record with a null in one of `fields` is an abstain, and the
    model does not see it.

    Args:
        name: Unique within a job.
        predict: A function of the inputs, or an object with `predict_proba`, such as a
            scikit-learn estimator. With `load`, a function of the model and the inputs; without
            it, the model's own `predict_proba` is called, or the model itself.
        load: Makes the model, once per process, from nothing, or from the path of `file`.
        file: The model file: a path relative to the Python file that calls this, or any fsspec
            URL. Its content counts in the fingerprint, and workers get a copy.
        fields: The columns that the model is given.
        inputs: ``"texts"``, the texts of one column as a list; ``"array"``, numbers and lists of
            numbers as float64 of shape (records, values), null as NaN; ``"records"``, a list of
            dicts; ``"columns"``, a dict of a numpy array per column; ``"batch"``, the
            `pyarrow.RecordBatch`.
        classes: The classes in the order of the model's columns, or a mapping from the model's
            own classes, in that order, to the job's; None for one that is never voted for.
            Where the model has `classes_`, its columns are found by name, and classes that are
            not listed are never voted for; whole numbers are taken as positions in a list. By
            default the `classes_` of `predict`.
        threshold: The least probability, for all classes or by class; one that a mapping leaves
            out is never voted for.
        returns: ``"probabilities"``: shape (records, classes), each in 0..1; or a score of one
            class, any number, shape (records,). ``"labels"``: a class per record (of `predict`
            of an estimator), without threshold; None is an abstain.
        skip_nulls: With False, the model sees records with nulls too.
        batch_size: Most records that the model is given at once.
        version: Declared version, part of the fingerprint.

    Raises:
        LabelingFunctionError: The arguments do not fit together.

    Example:
        >>> from types import SimpleNamespace
        >>> def shouting(texts):
        ...     return [sum(map(str.isupper, text)) / max(len(text), 1) for text in texts]
        >>> loud = model_function("loud", predict=shouting, classes=["spam"], threshold=0.5)
        >>> [loud(SimpleNamespace(text=text)) for text in ("FREE!", "Hello", None)]
        ['spam', None, None]
    """
    owner = f"model function {name!r}"
    if predict is None and load is None:
        raise LabelingFunctionError(f"{owner}: give the model as predict= or how to load= it")
    if file is not None and load is None:
        raise LabelingFunctionError(f"{owner}: file= needs load=, a function of the file's path")
    if load is not None and not callable(load):
        raise LabelingFunctionError(f"{owner}: load= must be a function, got {load!r}")
    if predict is not None and not callable(predict):
        method = "predict" if returns == "labels" else "predict_proba"
        if load is not None or not hasattr(predict, method):
            raise LabelingFunctionError(
                f"{owner}: predict= must be a function, or without load= an object with "
                f"{method}(), got {predict!r:.200}"
            )
    if classes is None and hasattr(predict, "classes_"):
        classes = predict.classes_.tolist()
    check_size(owner, batch_size)
    return ModelFunction(
        name=name,
        inputs=inputs_of(owner, fields, inputs, INPUTS, skip_nulls),
        predictions=predictions(owner, classes, threshold, returns),
        batch_size=batch_size,
        file=file if file is None or isinstance(file, DataFile) else data_file(file),
        version=version,
        predict=predict,
        load=load,
    )


def followed(value: Any) -> Any:
    """Return a part of an identity: a project's function as such, anything else in a list.

    A function at the top of an identity tells a fingerprint which modules its author wrote; that
    of an installed package would have the whole package described.
    """
    innermost = value
    while isinstance(innermost, functools.partial):
        innermost = innermost.func
    if isinstance(innermost, FunctionType):
        installed = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
        if not innermost.__code__.co_filename.startswith(installed):
            return value
    return [value]


def check_size(owner: str, batch_size: int) -> None:
    """Check a batch size.

    Raises:
        LabelingFunctionError: It is no whole number above 0.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise LabelingFunctionError(f"{owner}: batch_size must be at least 1, got {batch_size!r}")
