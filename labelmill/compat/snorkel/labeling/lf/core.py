"""Snorkel's `LabelingFunction` and its decorator, made of labelmill's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labelmill.columns import columns_used
from labelmill.compat.snorkel.map.core import check_parentheses, fields_of, steps_of
from labelmill.compat.snorkel.types import DataPoint
from labelmill.labeling import LabelingFunction as JobFunction


class LabelingFunction(JobFunction):
    """A function that votes on one record, built and called as Snorkel's is.

    In a job each of its preprocessors runs once per record for all functions that use it, those in
    another preprocessor's `pre` too. A subclass may add attributes and override ``__call__``.

    Args:
        name: Unique within a job.
        f: The function, called as ``f(record, **resources)``.
        resources: Keyword arguments of every call.
        pre: Preprocessors, applied in order before `f`.

    Example:
        >>> from types import SimpleNamespace
        >>> lf = LabelingFunction("long", lambda x, least: 1 if len(x.text) >= least else -1,
        ...                       resources={"least": 3})
        >>> lf(SimpleNamespace(text="hello")), lf
        (1, LabelingFunction long, Preprocessors: [])
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        resources: Mapping[str, Any] | None = None,
        pre: Sequence[Callable[[Any], Any]] | None = None,
    ) -> None:
        self._f = f
        self._resources = resources or {}
        self._pre = pre or []
        if type(self).__module__.startswith(_HERE):
            super().__init__(
                name, f, resources=self._resources, pre=steps_of(self._pre),
                fields=_fields_read(f, self._pre),
            )  # fmt: skip
        elif self._is_called_as_here():
            fn = _OfSubclass(self)
            super().__init__(name, fn, resources=self._resources, pre=steps_of(self._pre))
        else:
            super().__init__(name, _OfSubclass(self))

    __setattr__ = object.__setattr__  # subclasses keep what they like, as in Snorkel
    __delattr__ = object.__delattr__
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _is_called_as_here(self) -> bool:
        methods = ("__call__", "_preprocess_data_point")
        return all(getattr(type(self), m) is getattr(LabelingFunction, m) for m in methods)

    def _preprocess_data_point(self, x: DataPoint) -> DataPoint:
        for preprocessor in self._pre:
            x = preprocessor(x)
            if x is None:
                raise ValueError(f"{self.name}: preprocessor {preprocessor} returned None")
        return x

    def __call__(self, x: DataPoint) -> Any:
        """Vote on `x`: preprocessors, then the function with its resources."""
        return self._f(self._preprocess_data_point(x), **self._resources)

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.name}, Preprocessors: {list(self._pre)}"


_HERE = __name__.rpartition(".")[0]


class _OfSubclass:
    """What a job calls for an object of a subclass.

    Its fingerprint is that of the class and of all that the object holds, whenever that was set.
    """

    def __init__(self, lf: LabelingFunction) -> None:
        self._lf = lf
        self.__module__ = type(lf).__module__

    def __call__(self, x: DataPoint, **resources: Any) -> Any:
        if self._lf._is_called_as_here():
            return self._lf._f(x, **resources)
        return self._lf(x)

    def __getstate__(self) -> tuple[type, dict[str, Any]]:
        held = {name: value for name, value in vars(self._lf).items() if name != "fn"}
        return type(self._lf), held

    def __setstate__(self, state: tuple[type[LabelingFunction], dict[str, Any]]) -> None:
        cls, held = state
        lf = cls.__new__(cls)
        vars(lf).update(held, fn=self)
        self._lf = lf
        self.__module__ = cls.__module__


def _fields_read(
    f: Callable[..., Any], pre: Sequence[Callable[[Any], Any]]
) -> tuple[str, ...] | None:
    """Return the columns that `f` and its preprocessors read, where all of these declare theirs."""
    fields = fields_of(pre) if pre else None
    if fields is None:
        return None
    use = columns_used(JobFunction("", f))
    return tuple(sorted(fields.read | ({*use.columns} - fields.made))) if use.complete else None


class labeling_function:  # noqa: N801 - Snorkel's name
    """Decorator that makes a function a `LabelingFunction`.

    Args:
        name: The function's name; its Python name by default.
        resources: Keyword arguments of every call.
        pre: Preprocessors, applied in order first.

    Raises:
        LabelingFunctionError: It is used without parentheses.

    Example:
        >>> from types import SimpleNamespace
        >>> @labeling_function(resources={"words": {"cash"}})
        ... def money(x, words):
        ...     return 1 if words & set(x.text.split()) else -1
        >>> money(SimpleNamespace(text="cash now"))
        1
    """

    def __init__(
        self,
        name: str | None = None,
        resources: Mapping[str, Any] | None = None,
        pre: Sequence[Callable[[Any], Any]] | None = None,
    ) -> None:
        check_parentheses(type(self).__name__, name)
        self.name = name
        self.resources = resources
        self.pre = pre

    def __call__(self, f: Callable[..., Any]) -> LabelingFunction:
        """Return `f` as a labeling function."""
        return LabelingFunction(self._name_of(f), f, self.resources, self.pre)

    def _name_of(self, f: Callable[..., Any]) -> str:
        return self.name or str(getattr(f, "__name__", type(f).__name__))
