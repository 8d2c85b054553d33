"""Mappers as Snorkel has them: each maps an edited copy of a record, after those in its ``pre``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from labelmill.compat.snorkel.map.copying import copied
from labelmill.compat.snorkel.map.memo import MISSING, Memo, get_hashable
from labelmill.compat.snorkel.types import DataPoint, FieldMap, HashingFunction
from labelmill.errors import LabelingFunctionError

MapFunction = Callable[[DataPoint], DataPoint | None]


class BaseMapper:
    """What all mappers do: copy the record, run the mappers of ``pre``, remember results.

    Args:
        name: Its name.
        pre: Mappers that run before it.
        memoize: Keep results and return them for equal records. At most `memo_size` are kept, the
            most recently used; in Snorkel all are.
        memoize_key: Returns what two records must have equal to share a result; all values by
            default.

    Attributes:
        memoize: See above.
        memo_size: Most results that are kept.
    """

    memo_size: ClassVar[int] = 10_000

    def __init__(
        self,
        name: str,
        pre: Sequence[Callable[[Any], Any]],
        memoize: bool,
        memoize_key: HashingFunction | None = None,
    ) -> None:
        self.name = name
        self._pre = pre
        self._memoize_key = memoize_key or get_hashable
        self.memoize = memoize
        self.reset_cache()

    def reset_cache(self) -> None:
        """Forget all results."""
        self._memo = Memo(self.memo_size)

    def _generate_mapped_data_point(self, x: DataPoint) -> DataPoint | None:
        raise NotImplementedError(f"{type(self).__name__} does not say how it maps a record")

    def __call__(self, x: DataPoint) -> DataPoint | None:
        """Return the mapped record; `x` stays as it is."""
        return self._remembered(x, self._pre)

    def _remembered(self, x: DataPoint, pre: Sequence[Callable[[Any], Any]]) -> DataPoint | None:
        if not self.memoize:
            return self._mapped(x, pre)
        try:
            key = (bool(pre), self._memoize_key(x))
        except ValueError:
            if self._memoize_key is not get_hashable:
                raise
            return self._mapped(x, pre)
        result = self._memo.get(key)
        if result is MISSING:
            result = self._mapped(x, pre)
            self._memo.put(key, result)
        return result

    def _mapped(self, x: DataPoint, pre: Iterable[Callable[[Any], Any]]) -> DataPoint | None:
        return self._generate_mapped_data_point(prepared(copied(x), pre))

    def _may_run_apart(self) -> bool:
        """Whether `pre` may run as steps of their own: nothing else sees the record before them."""
        return type(self).__call__ is BaseMapper.__call__ and not self._has_own_key()

    def _has_own_key(self) -> bool:
        return self.memoize and self._memoize_key is not get_hashable

    def _shared(self) -> BaseMapper:
        """Return the mapper to run in its place: one that means the same, or itself."""
        return self

    def _own_fields(self) -> Fields | None:
        """Return the fields that it reads and makes, without `pre`; None where it may be others."""
        return None

    def _without_pre(self) -> Callable[[Any], Any]:
        """Return this mapper as a step after those of its `pre`, always the same object."""
        if "_step" not in vars(self):
            make = _BatchStep if hasattr(self, "map_batch") else _Step
            self._step = make(self)
        return self._step

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ("_step", "_memo")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.reset_cache()

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.name}, Pre: {list(self._pre)}"


def prepared(x: DataPoint, pre: Iterable[Callable[[Any], Any]]) -> DataPoint | None:
    """Return what the mappers `pre` make of `x`, which may be edited without harm."""
    remembered = False
    for mapper in pre:
        x = mapper(x)
        remembered = getattr(mapper, "memoize", False)
    return copied(x) if remembered else x


class _Step:
    """A mapper without the mappers of its `pre`, which have run."""

    def __init__(self, mapper: BaseMapper) -> None:
        self._mapper = mapper

    def __call__(self, x: DataPoint) -> DataPoint | None:
        return self._mapper._remembered(x, ())


class _BatchStep(_Step):
    def map_batch(self, records: Sequence[Any]) -> list[Any]:
        """Return what the mapper makes of `records`."""
        mapper: Any = self._mapper  # Any: one that maps batches
        result: list[Any] = mapper.map_batch(records, pre=())
        return result


def steps_of(pre: Iterable[Callable[[Any], Any]]) -> tuple[Callable[[Any], Any], ...]:
    """Return preprocessors in the order in which they run, those inside others first.

    labelmill runs each once per record for all functions, and knows them by identity.
    """
    steps: list[Callable[[Any], Any]] = []
    for given in pre:
        mapper = given._shared() if isinstance(given, BaseMapper) else given
        if isinstance(mapper, BaseMapper) and mapper._pre and mapper._may_run_apart():
            steps += [*steps_of(mapper._pre), mapper._without_pre()]
        else:
            steps.append(mapper)
    return tuple(steps)


class Fields(NamedTuple):
    """Fields of a record.

    Attributes:
        read: Those that mappers read and did not make before.
        made: Those that they make.
    """

    read: frozenset[str]
    made: frozenset[str]


def fields_of(pre: Iterable[Callable[[Any], Any]]) -> Fields | None:
    """Return the fields that preprocessors read and make; None where they do not declare them."""
    read: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    for mapper in pre:
        if not isinstance(mapper, BaseMapper):
            return None
        for fields in (fields_of(mapper._pre), mapper._own_fields()):
            if fields is None:
                return None
            read, made = read | (fields.read - made), made | fields.made
    return Fields(read, made)


class Mapper(BaseMapper):
    """A mapper whose `run` gets some fields of a record and returns new ones.

    Args:
        name: Its name.
        field_names: The record's field for each argument of `run`; ``None`` where they have the
            same names.
        mapped_field_names: The record's field for each key that `run` returns; ``None`` where they
            have the same names.
        pre: Mappers that run before it.
        memoize: Keep results, see `BaseMapper`.
        memoize_key: What makes records equal, see `BaseMapper`.

    Raises:
        ValueError: `field_names` is None and `run` has ``*args`` or ``**kwargs``.

    Example:
        >>> from types import SimpleNamespace
        >>> class Joined(Mapper):
        ...     def run(self, title, body):
        ...         return {"article": f"{title} {body}"}
        >>> Joined("joined")(SimpleNamespace(title="my title", body="my text")).article
        'my title my text'
    """

    def __init__(
        self,
        name: str,
        field_names: Mapping[str, str] | None = None,
        mapped_field_names: Mapping[str, str] | None = None,
        pre: Sequence[Callable[[Any], Any]] | None = None,
        memoize: bool = False,
        memoize_key: HashingFunction | None = None,
    ) -> None:
        if field_names is None:
            field_names = {name: name for name in _arguments_of(self.run)}
        self.field_names = field_names
        self.mapped_field_names = mapped_field_names
        super().__init__(name, pre or [], memoize, memoize_key)

    def run(self, **kwargs: Any) -> FieldMap | None:
        """Return new fields by name, or None for no record at all; subclasses say how.

        Args:
            **kwargs: The fields of `field_names`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method run")

    def _generate_mapped_data_point(self, x: DataPoint) -> DataPoint | None:
        fields = {argument: getattr(x, field) for argument, field in self.field_names.items()}
        made = self.run(**fields)
        return None if made is None else self._update_fields(x, self._renamed(made))

    def _renamed(self, made: FieldMap) -> FieldMap:
        if self.mapped_field_names is None:
            return made
        return {field: made[key] for key, field in self.mapped_field_names.items()}

    def _update_fields(self, x: DataPoint, mapped_fields: FieldMap) -> DataPoint:
        for field, value in mapped_fields.items():
            setattr(x, field, value)
        return x

    def _own_fields(self) -> Fields | None:
        names = ("__call__", "_generate_mapped_data_point", "_update_fields")
        as_here = all(getattr(type(self), name) is getattr(Mapper, name) for name in names)
        if not as_here or self.mapped_field_names is None or self._has_own_key():
            return None
        read, made = self.field_names.values(), self.mapped_field_names.values()
        return Fields(frozenset(read), frozenset(made))


def _arguments_of(run: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(run).parameters.values()
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise LabelingFunctionError(
                f"{getattr(run, '__qualname__', run)} takes *{parameter.name}, so that its "
                "arguments do not name fields; give field_names="
            )
    return [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]


class LambdaMapper(BaseMapper):
    """A mapper made of a function from a record to the mapped record.

    Args:
        name: Its name.
        f: The function; it may edit the record that it gets, which is a copy.
        pre: Mappers that run before it.
        memoize: Keep results, see `BaseMapper`.
        memoize_key: What makes records equal, see `BaseMapper`.
    """

    def __init__(
        self,
        name: str,
        f: MapFunction,
        pre: Sequence[Callable[[Any], Any]] | None = None,
        memoize: bool = False,
        memoize_key: HashingFunction | None = None,
    ) -> None:
        self._f = f
        super().__init__(name, pre or [], memoize, memoize_key)

    def _generate_mapped_data_point(self, x: DataPoint) -> DataPoint | None:
        return self._f(x)


class lambda_mapper:  # noqa: N801 - Snorkel's name
    """Decorator that makes a function a `LambdaMapper`.

    Args:
        name: Its name; the function's by default.
        pre: Mappers that run before it.
        memoize: Keep results, see `BaseMapper`.
        memoize_key: What makes records equal, see `BaseMapper`.

    Raises:
        LabelingFunctionError: It is used without parentheses.

    Example:
        >>> from types import SimpleNamespace
        >>> @lambda_mapper()
        ... def lowered(x):
        ...     x.lower = x.text.lower()
        ...     return x
        >>> lowered(SimpleNamespace(text="Hello")).lower
        'hello'
    """

    _made: ClassVar[type[LambdaMapper]] = LambdaMapper

    def __init__(
        self,
        name: str | None = None,
        pre: Sequence[Callable[[Any], Any]] | None = None,
        memoize: bool = False,
        memoize_key: HashingFunction | None = None,
    ) -> None:
        check_parentheses(type(self).__name__, name)
        self.name = name
        self.pre = pre
        self.memoize = memoize
        self.memoize_key = memoize_key

    def __call__(self, f: MapFunction) -> LambdaMapper:
        """Return `f` as a mapper."""
        name = self.name or str(getattr(f, "__name__", type(f).__name__))
        return self._made(name, f, self.pre, self.memoize, self.memoize_key)


def check_parentheses(decorator: str, name: object) -> None:
    """Refuse a function where a decorator expects its own arguments."""
    if callable(name):
        raise LabelingFunctionError(
            f"@{decorator} above {getattr(name, '__name__', name)} is missing its parentheses: "
            f"write @{decorator}()"
        )
