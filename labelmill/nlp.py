"""spaCy pipelines: looked for when a job is read, loaded once per process, fed many texts at once.

spaCy itself is imported when the first text is parsed; it comes with the extra ``labelmill[nlp]``.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from labelmill.errors import LabelingFunctionError

_MOST_NEW_STRINGS = 1_000_000
"""A pipeline keeps each new word it meets; after so many it is loaded again, without them."""


def require_pipeline(language: str | Path) -> None:
    """Check that spaCy and a pipeline are there, without importing or loading either.

    Args:
        language: What `spacy.load` takes: an installed package, a folder, or ``"blank:en"``.

    Raises:
        LabelingFunctionError: spaCy is not installed, or there is no such pipeline.
    """
    if importlib.util.find_spec("spacy") is None:
        raise LabelingFunctionError(
            f"parsing with {str(language)!r} needs spaCy, which is not installed; "
            "pip install 'labelmill[nlp]'"
        )
    name = str(language)
    is_package = name.isidentifier() and importlib.util.find_spec(name) is not None
    if is_package or name.startswith("blank:") or Path(name).exists():
        return
    hint = f"; python -m spacy download {name}" if name.isidentifier() else ""
    raise LabelingFunctionError(
        f"spaCy pipeline {name!r} is neither an installed package nor a folder; it has to be here "
        f"and where the job runs{hint}"
    )


@cache
def pipeline(language: str | Path, disable: tuple[str, ...] = (), *, gpu: bool = False) -> Pipeline:
    """Return this process's pipeline with these settings, not loaded yet.

    Args:
        language: What `spacy.load` takes.
        disable: Components to leave out.
        gpu: Run on a GPU where there is one.
    """
    return Pipeline(language, disable, gpu=gpu)


class Pipeline:
    """A spaCy pipeline that is loaded when it is first used; `pipeline` makes it.

    Args:
        language: What `spacy.load` takes.
        disable: Components to leave out.
        gpu: Run on a GPU where there is one.
    """

    def __init__(self, language: str | Path, disable: tuple[str, ...], *, gpu: bool) -> None:
        self._settings = (language, disable, gpu)
        self._loading = threading.Lock()
        self._nlp: Any = None  # Any: a spacy.Language; spaCy may not be installed
        self._strings = 0

    def __reduce__(self) -> tuple[Any, ...]:
        language, disable, gpu = self._settings
        return Pipeline._again, (language, disable, gpu)

    @staticmethod
    def _again(language: str | Path, disable: tuple[str, ...], gpu: bool) -> Pipeline:
        return pipeline(language, disable, gpu=gpu)

    def parse(self, texts: Sequence[Any]) -> list[Any]:
        """Parse texts together, with `spacy.Language.pipe`.

        Args:
            texts: The texts; what is no text gets spaCy's own error.

        Returns:
            As many: a `spacy.tokens.Doc` each, or the exception that the text raised.
        """
        nlp = self.load()
        usable = [text for text in texts if isinstance(text, str)]
        try:
            piped = list(nlp.pipe(usable))
        except Exception:  # one text ends the pipe for all: it is too long, a component fails on it
            return [_parse_one(nlp, text) for text in texts]
        docs = iter(piped)
        return [next(docs) if isinstance(text, str) else _parse_one(nlp, text) for text in texts]

    def parse_one(self, text: Any) -> Any:
        """Parse one text, with the errors of spaCy."""
        return self.load()(text)

    def load(self) -> Any:
        """Return the loaded `spacy.Language`."""
        with self._loading:
            if self._nlp is not None and len(self._nlp.vocab.strings) > self._strings:
                self._nlp = None
            if self._nlp is None:
                self._nlp = _load(*self._settings)
                self._strings = len(self._nlp.vocab.strings) + _MOST_NEW_STRINGS
            return self._nlp


def _load(language: str | Path, disable: tuple[str, ...], gpu: bool) -> Any:
    spacy: Any = importlib.import_module("spacy")  # takes a second or two, and is an extra
    if gpu:
        spacy.prefer_gpu()
    return spacy.load(language, disable=list(disable))


def _parse_one(nlp: Any, text: Any) -> Any:
    try:
        return nlp(text)
    except Exception as error:
        return error
