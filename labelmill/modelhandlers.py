"""Labeling functions that ask a model through a ModelHandler of Apache Beam.

A handler is known by its methods, so that nothing here imports Beam.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import pyarrow as pa

from labelmill.datafiles import DataFile, data_file
from labelmill.errors import LabelingFunctionError
from labelmill.modelinputs import EXAMPLES, inputs_of
from labelmill.models import AsksModel, check_size, followed
from labelmill.predictions import Classes, Label, predictions

_METHODS = ("load_model", "run_inference")


@dataclass(frozen=True, eq=False)
class ModelHandlerFunction(AsksModel):
    """Votes as the model of a ModelHandler predicts; see `model_handler_function`.

    Attributes:
        handler: The handler, or a function that makes it.
        inference_args: Passed to every inference.
    """

    handler: Any
    inference_args: Mapping[str, Any] | None

    def _code(self) -> Mapping[str, Any]:
        return {"handler": followed(self.handler), "inference_args": self.inference_args}

    def _model(self) -> tuple[Any, Any]:
        """Return the handler and the model that it has loaded."""
        value: tuple[Any, Any] = self._loaded_by(self._open)
        return value

    def _open(self, *path: str) -> tuple[Any, Any]:
        handler = self.handler if _is_handler(self.handler) else self.handler(*path)
        if not _is_handler(handler):
            raise LabelingFunctionError(
                f"{self.predictions.owner}: handler= made an object of class "
                f"{type(handler).__name__}, which has no {' and '.join(_METHODS)}"
            )
        if self.inference_args is not None:
            _say(handler, "validate_inference_args", None, self.inference_args)
        _say(handler, "set_environment_vars", None)
        return handler, handler.load_model()

    def _rows_at_once(self, model: tuple[Any, Any]) -> int:
        if _say(model[0], "should_skip_batching", False):
            return self.batch_size
        most = _say(model[0], "batch_elements_kwargs", {}).get("max_batch_size")
        return self.batch_size if most is None else max(1, min(self.batch_size, int(most)))

    def _ask(self, model: tuple[Any, Any], batch: pa.RecordBatch) -> list[Any]:
        handler, loaded = model
        examples = list(self.inputs.of(batch))
        takes_batches = _say(handler, "should_skip_batching", False)
        for step in _say(handler, "get_preprocess_fns", ()):
            examples = list(step(examples)) if takes_batches else list(map(step, examples))
        results = list(handler.run_inference(examples, loaded, self.inference_args))
        for step in _say(handler, "get_postprocess_fns", ()):
            results = list(map(step, results))
        outputs = [getattr(result, "inference", result) for result in results]
        return self.predictions.votes(outputs, batch.num_rows)


def _is_handler(value: Any) -> bool:
    return all(hasattr(value, method) for method in _METHODS) and not isinstance(value, type)


def _say(handler: Any, method: str, default: Any, *arguments: Any) -> Any:
    """Call an optional method of a handler."""
    return getattr(handler, method)(*arguments) if hasattr(handler, method) else default


def model_handler_function(
    name: str,
    *,
    handler: Any,
    file: str | PathLike[str] | DataFile | None = None,
    fields: str | Sequence[str] = "text",
    inputs: str = "texts",
    classes: Classes,
    threshold: float | Mapping[Label, float] | None = None,
    returns: str = "probabilities",
    skip_nulls: bool = True,
    batch_size: int = 1024,
    inference_args: Mapping[str, Any] | None = None,
    version: str = "",
) -> ModelHandlerFunction:
    """Vote as the model of an Apache Beam ModelHandler predicts.

    The handler's model is loaded once per process, and its `run_inference` is given one example
    per record, with the handler's preprocessing and postprocessing functions before and after.
    What a `PredictionResult` holds as `inference`, or another result itself, becomes a vote as
    with `model_function`.

    Args:
        name: Unique within a job.
        handler: A ModelHandler, or a function that makes one, called once per process with
            nothing, or with the path of `file`.
        file: The model file, as of `model_function`.
        fields: The columns that an example is made of.
        inputs: What an example is: ``"texts"``, the text of one column; ``"array"``, a float64
            array of numbers, shape (values,); ``"records"``, a dict.
        classes: The classes in the order of the model's columns, or a mapping from the model's
            own classes, in that order, to the job's; None for one that is never voted for.
        threshold: The least probability, for all classes or by class.
        returns: ``"probabilities"``: an inference is the probabilities of the classes, or the
            score of one class. ``"labels"``: an inference is a class.
        skip_nulls: With False, the model sees records with nulls too.
        batch_size: Most records that the model is given at once; the handler's own
            `max_batch_size` counts where it is less.
        inference_args: Passed to every `run_inference`.
        version: Declared version, part of the fingerprint.

    Raises:
        LabelingFunctionError: The arguments do not fit together.

    Example:
        >>> from types import SimpleNamespace
        >>> class Shouting:  # of apache_beam.ml.inference.base.ModelHandler in real life
        ...     def load_model(self):
        ...         return str.isupper
        ...     def run_inference(self, batch, model, inference_args=None):
        ...         return [float(model(text)) for text in batch]
        >>> loud = model_handler_function(
        ...     "loud", handler=Shouting, classes=["spam"], threshold=0.5)
        >>> [loud(SimpleNamespace(text=text)) for text in ("FREE!", "Hello", None)]
        ['spam', None, None]
    """
    owner = f"model function {name!r}"
    if not _is_handler(handler) and not callable(handler):
        raise LabelingFunctionError(
            f"{owner}: handler= must be a ModelHandler (with {' and '.join(_METHODS)}) or a "
            f"function that makes one, got {handler!r:.200}"
        )
    if file is not None and _is_handler(handler):
        raise LabelingFunctionError(
            f"{owner}: with file=, handler= must be a function that makes the ModelHandler from "
            "the file's path"
        )
    check_size(owner, batch_size)
    return ModelHandlerFunction(
        name=name,
        inputs=inputs_of(owner, fields, inputs, EXAMPLES, skip_nulls),
        predictions=predictions(owner, classes, threshold, returns),
        batch_size=batch_size,
        file=file if file is None or isinstance(file, DataFile) else data_file(file),
        version=version,
        handler=handler,
        inference_args=inference_args,
    )
