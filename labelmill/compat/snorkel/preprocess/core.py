"""Preprocessors are mappers by another name."""

from __future__ import annotations

from typing import ClassVar

from labelmill.compat.snorkel.map.core import BaseMapper, LambdaMapper, Mapper, lambda_mapper

BasePreprocessor = BaseMapper


class Preprocessor(Mapper):
    """A preprocessor whose `run` gets some fields and returns new ones; see `Mapper`."""


class LambdaPreprocessor(LambdaMapper):
    """A preprocessor made of a function; see `LambdaMapper`."""


class preprocessor(lambda_mapper):  # noqa: N801 - Snorkel's name
    """Decorator that makes a function a preprocessor; see `lambda_mapper` for its arguments.

    Example:
        >>> from types import SimpleNamespace
        >>> from labelmill.compat.snorkel.labeling import labeling_function
        >>> @preprocessor(memoize=True)
        ... def sized(x):
        ...     x.size = len(x.text)
        ...     return x
        >>> @labeling_function(pre=[sized])
        ... def short(x):
        ...     return 0 if x.size < 10 else -1
        >>> short(SimpleNamespace(text="hello"))
        0
    """

    _made: ClassVar[type[LambdaMapper]] = LambdaPreprocessor
