"""Labeling functions as people write them: the decorator, keyword and regex matchers, ABSTAIN.

How they are run over a batch is in `labelmill.apply`; how a file of them is found and loaded is in
`labelmill.code`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from labelmill.errors import LabelingFunctionError

ABSTAIN = -1
"""What a labeling function returns when it has no opinion; ``None`` means the same."""


@runtime_checkable
class NamedCallable(Protocol):
    """The least that labelmill asks of a labeling function; Snorkel's own objects satisfy it."""

    name: str

    def __call__(self, x: Any, /) -> Any:  # Any: a vote in whatever form its author returns it
        """Return the vote on record `x`."""


@dataclass(frozen=True)
class LabelingFunction:
    """A Python function that votes on one record, or on a whole batch of them.

    Attributes:
        name: Unique within a job.
        fn: ``fn(record, **resources)`` or, with `batch`, ``fn(record_batch, **resources)``.
        batch: Whether `fn` takes a `pyarrow.RecordBatch` and returns one vote per row.
        resources: Extra keyword arguments of every call.
        pre: Preprocessors, applied to the record in order before `fn`; one shared by several
            functions runs once per record.
        fields: Columns that `fn` reads; found from its source where not given.
        version: Changes the function's fingerprint when its source alone does not tell.
    """

    name: str
    fn: Callable[..., Any]
    batch: bool = False
    resources: Mapping[str, Any] = field(default_factory=dict)
    pre: tuple[Callable[[Any], Any], ...] = ()
    fields: tuple[str, ...] | None = None
    version: str = ""

    def __call__(self, x: Any) -> Any:
        """Vote on `x` as the job would: preprocessors, then the function with its resources."""
        for preprocessor in self.pre:
            x = preprocessor(x)
        return self.fn(x, **self.resources)


def labeling_function(
    function: Callable[..., Any] | str | None = None,
    /,
    *,
    name: str | None = None,
    batch: bool = False,
    resources: Mapping[str, Any] | None = None,
    pre: Iterable[Callable[[Any], Any]] | None = None,
    fields: Sequence[str] | None = None,
    version: str = "",
) -> Any:  # Any: a LabelingFunction when used bare, a decorator of one when called
    """Turn a function into a labeling function.

    Works bare (``@labeling_function``) and called (``@labeling_function(batch=True)``). The
    function returns a class index, a class name, `ABSTAIN` or ``None``.

    Args:
        function: The function, when used bare; a name, as Snorkel also allows.
        name: The function's name in tables and files; its Python name by default.
        batch: The function takes a `pyarrow.RecordBatch` and returns one vote per row.
        resources: Keyword arguments passed to every call.
        pre: Preprocessors applied to each record first.
        fields: The columns that the function reads, when its source does not show them.
        version: Declared version, part of the fingerprint.

    Raises:
        LabelingFunctionError: `batch` and `pre` are both given.

    Example:
        >>> from types import SimpleNamespace
        >>> @labeling_function()
        ... def has_link(x):
        ...     return "spam" if "http" in x.text else ABSTAIN
        >>> has_link(SimpleNamespace(text="see http://x"))
        'spam'
    """
    if isinstance(function, str):
        function, name = None, function
    if batch and pre:
        raise LabelingFunctionError(
            f"labeling function {name or function}: pre= works on one record, so it cannot be "
            "combined with batch=True; call the preprocessor inside the function"
        )

    def wrap(fn: Callable[..., Any]) -> LabelingFunction:
        return LabelingFunction(
            name=name or str(getattr(fn, "__name__", type(fn).__name__)),
            fn=fn,
            batch=batch,
            resources=dict(resources or {}),
            pre=tuple(pre or ()),
            fields=None if fields is None else _names(fields),
            version=version,
        )

    return wrap if function is None else wrap(function)


def _names(fields: str | Sequence[str]) -> tuple[str, ...]:
    return (fields,) if isinstance(fields, str) else tuple(fields)


@dataclass(frozen=True)
class Matcher:
    """A declarative text function: votes `label` where `pattern` is found in `field`.

    Attributes:
        name: Unique within a job.
        label: The class voted for, by name or index.
        pattern: A Python regular expression, searched as `re.search` does.
        field: The text column; a null text is an abstain.
        flags: `re` flags.
        kind: ``"keywords"`` or ``"regex"``, for tables.
        words: The words, when `pattern` is a list of whole words; it is `pattern` that decides.
    """

    name: str
    label: str | int
    pattern: str
    field: str = "text"
    flags: int = 0
    kind: str = "regex"
    words: tuple[str, ...] = ()

    def __call__(self, x: Any) -> str | int:
        """Vote on one record."""
        text = getattr(x, self.field)
        found = text is not None and re.search(self.pattern, text, self.flags)
        return self.label if found else ABSTAIN


def keywords(
    name: str,
    *,
    label: str | int,
    words: Collection[str],
    field: str = "text",
    ignore_case: bool = True,
) -> Matcher:
    r"""Vote `label` where one of `words` stands in the text as a whole word.

    A word may be a phrase: its parts match with any white space between them. "Whole" means that
    no word character (`re`'s ``\w``) stands directly before or after.

    Args:
        name: Unique within a job.
        label: Class name or index.
        words: At least one word or phrase.
        field: The text column.
        ignore_case: Compare as `re.IGNORECASE` does.

    Raises:
        LabelingFunctionError: No words, or an empty one.

    Example:
        >>> from types import SimpleNamespace
        >>> money = keywords("money", label="spam", words=["cash", "free prize"])
        >>> [money(SimpleNamespace(text=t)) for t in ("CASH now", "cashier", "a free  prize")]
        ['spam', -1, 'spam']
    """
    if isinstance(words, str | bytes) or not words:
        raise LabelingFunctionError(
            f"keywords {name!r}: words must be a list of at least one word, got {words!r}"
        )
    distinct = sorted({" ".join(str(word).split()) for word in words})  # `words` may be a set
    if "" in distinct:
        empty = next(word for word in words if not str(word).split())
        raise LabelingFunctionError(f"keywords {name!r}: {empty!r} is an empty word")
    parts = [r"\s+".join(map(re.escape, word.split(" "))) for word in distinct]
    pattern = rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)"
    flags = re.IGNORECASE if ignore_case else 0
    return Matcher(name, label, pattern, field, flags, "keywords", tuple(distinct))


def regex(
    name: str, *, label: str | int, pattern: str, field: str = "text", flags: int = 0
) -> Matcher:
    """Vote `label` where `pattern` is found in the text, exactly as `re.search` finds it.

    Args:
        name: Unique within a job.
        label: Class name or index.
        pattern: A Python regular expression on text.
        field: The text column.
        flags: `re` flags, such as `re.IGNORECASE`.

    Raises:
        LabelingFunctionError: The pattern does not compile.

    Example:
        >>> from types import SimpleNamespace
        >>> regex("link", label="spam", pattern=r"https?://")(SimpleNamespace(text="http://x"))
        'spam'
    """
    if not isinstance(pattern, str):
        raise LabelingFunctionError(
            f"regex {name!r}: pattern must be text, got {pattern!r}; give a compiled pattern as "
            "pattern=compiled.pattern, flags=compiled.flags"
        )
    try:
        re.compile(pattern, flags)
    except (re.error, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LabelingFunctionError(
            f"regex {name!r}: pattern {pattern!r} does not compile: {error}"
        ) from error
    words = _words_of(pattern, re.compile(pattern, flags).flags)
    return Matcher(name, label, pattern, field, int(flags), "regex", words)


_WORD_LIST = re.compile(r"(?:\(\?i\))?\\b(?:\w+|\((?:\?:)?(\w+(?: \w+)*(?:\|\w+(?: \w+)*)*)\))\\b")


def _words_of(pattern: str, flags: int) -> tuple[str, ...]:
    r"""Return the words of an expression that is a list of them, such as ``\b(?:cash|prize)\b``."""
    if flags & ~(re.UNICODE | re.IGNORECASE) or not _WORD_LIST.fullmatch(pattern):
        return ()
    inside = pattern.removeprefix("(?i)").removeprefix("\\b").removesuffix("\\b")
    return tuple(inside.removeprefix("(").removeprefix("?:").removesuffix(")").split("|"))


AnyLabelingFunction = LabelingFunction | Matcher | NamedCallable
"""Whatever a job may contain: our functions, matchers, or a foreign object such as Snorkel's."""


def kind_of(lf: AnyLabelingFunction) -> str:
    """Return the kind shown in tables: keywords, regex, batch or python."""
    if isinstance(lf, Matcher):
        return lf.kind
    return "batch" if isinstance(lf, LabelingFunction) and lf.batch else "python"


def is_labeling_function(value: object) -> bool:
    """Whether a module-level `value` counts as a labeling function."""
    if isinstance(value, LabelingFunction | Matcher):
        return True
    is_snorkel = any(
        cls.__module__.startswith("snorkel.") and "LabelingFunction" in cls.__name__
        for cls in type(value).__mro__
    )
    return is_snorkel and isinstance(value, NamedCallable)
