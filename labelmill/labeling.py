"""Labeling functions as people write them: the decorator, keyword and regex matchers, ABSTAIN.

How they are run over a batch is in `labelmill.apply`; how a file of them is found and loaded is in
`labelmill.code`.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeGuard, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.datafiles import DataFile, Resource, data_file, resolved
from labelmill.errors import LabelingFunctionError
from labelmill.textfiles import listed

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
        timeout: Seconds that a call may take; more is a fault.
    """

    name: str
    fn: Callable[..., Any]
    batch: bool = False
    resources: Mapping[str, Any] = field(default_factory=dict)
    pre: tuple[Callable[[Any], Any], ...] = ()
    fields: tuple[str, ...] | None = None
    version: str = ""
    timeout: float | None = None

    def __call__(self, x: Any) -> Any:
        """Vote on `x` as the job would: preprocessors, then the function with its resources."""
        for preprocessor in self.pre:
            x = preprocessor(x)
        return self.fn(x, **self.loaded_resources())

    def loaded_resources(self) -> Mapping[str, Any]:
        """Return `resources` with the contents of data files in the place of `Resource` values."""
        if not any(isinstance(value, Resource) for value in self.resources.values()):
            return self.resources
        return resolved(self.resources, f"labeling function {self.name!r}")


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
    timeout: float | None = None,
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
        timeout: Seconds that a call may take, on one record or with `batch` on one batch; more is
            a fault.

    Raises:
        LabelingFunctionError: `batch` and `pre` are both given, or `timeout` is no positive number.

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

    if timeout is not None and not timeout > 0:
        raise LabelingFunctionError(
            f"labeling function {name or function}: timeout must be more than 0 seconds, got "
            f"{timeout!r}"
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
            timeout=timeout,
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
        files: The file that the words came from.
    """

    name: str
    label: str | int
    pattern: str
    field: str = "text"
    flags: int = 0
    kind: str = "regex"
    words: tuple[str, ...] = ()
    files: tuple[DataFile, ...] = ()

    def __call__(self, x: Any) -> str | int:
        """Vote on one record."""
        text = getattr(x, self.field)
        found = text is not None and re.search(self.pattern, text, self.flags)
        return self.label if found else ABSTAIN


def keywords(
    name: str,
    *,
    label: str | int,
    words: Collection[str] | None = None,
    words_file: str | os.PathLike[str] | DataFile | None = None,
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
        words_file: A text file of them instead, one per line; blank lines and lines that begin
            with ``#`` are skipped. A path relative to the Python file that calls this, or any
            fsspec URL; `.gz` and other compressed files too.
        field: The text column.
        ignore_case: Compare as `re.IGNORECASE` does.

    Raises:
        LabelingFunctionError: No words, or an empty one; both `words` and `words_file`, or a file
            that cannot be read.

    Example:
        >>> from types import SimpleNamespace
        >>> money = keywords("money", label="spam", words=["cash", "free prize"])
        >>> [money(SimpleNamespace(text=t)) for t in ("CASH now", "cashier", "a free  prize")]
        ['spam', -1, 'spam']
    """
    files: tuple[DataFile, ...] = ()
    if words_file is not None:
        if words is not None:
            raise LabelingFunctionError(
                f"keywords {name!r}: words and words_file={str(words_file)!r} are both given; "
                "keep one of them"
            )
        files = (words_file if isinstance(words_file, DataFile) else data_file(words_file),)
        words = listed(files[0], f"keywords {name!r}")
    if isinstance(words, str | bytes) or not words:
        raise LabelingFunctionError(
            f"keywords {name!r}: words must be a list of at least one word, got {words!r}"
        )
    distinct = sorted({" ".join(str(word).split()) for word in words})  # `words` may be a set
    if "" in distinct:
        empty = next(word for word in words if not str(word).split())
        raise LabelingFunctionError(f"keywords {name!r}: {empty!r} is an empty word")
    for word in distinct:
        if re.search("[\ud800-\udfff]", word):
            raise LabelingFunctionError(
                f"keywords {name!r}: {word!r} holds half of a character (a lone surrogate), which "
                "no text has"
            )
    parts = [r"\s+".join(map(re.escape, word.split(" "))) for word in distinct]
    pattern = rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)"
    flags = re.IGNORECASE if ignore_case else 0
    return Matcher(name, label, pattern, field, flags, "keywords", tuple(distinct), files)


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


class LoadsFirst:
    """What loads something heavy, so that loading does not count as time spent on a record."""

    def load_first(self) -> None:
        """Load what the first record would have to wait for; no more than once per process."""


class BatchFunction(LoadsFirst, ABC):
    """A labeling function made of data rather than written as code: it votes on whole batches.

    Comparisons, look-ups, models, prompts and vote tables are such functions. A subclass is small
    enough to pickle and loads what is heavy when it first votes.

    Attributes:
        kind: What tables call this kind of function.
        trusted: Whether it runs labelmill's own code alone, which always ends; other functions
            run where a time limit can stop them.
        name: Unique within a job.
        group: What it shares with functions that vote together with it.
    """

    kind: ClassVar[str]
    trusted: ClassVar[bool] = False
    name: str
    group: FunctionGroup | None = None

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...] | None:
        """Columns that it reads; None where it may read any."""

    @property
    @abstractmethod
    def labels(self) -> tuple[str | int, ...]:
        """Classes that it may vote for, by name or index; they are checked before a run."""

    @abstractmethod
    def votes(self, batch: pa.RecordBatch) -> Any:  # Any: an array or list, as its author has it
        """Return one vote per row: class indices or names, -1 or null where it abstains."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Return what determines its votes, for its fingerprint: plain data and functions."""

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Data files that it reads."""
        return ()

    @property
    def batch_rows(self) -> int:
        """Records that it is given at once, each time within the time limit; 0 for any number."""
        return 0

    def check(self, schema: pa.Schema) -> None:
        """Check that the columns that it reads have types that it can read.

        Raises:
            LabelingFunctionError: One has not; names function, column and type.
        """

    def __call__(self, x: Any, /) -> Any:
        """Vote on one record."""
        names = self.columns if self.columns is not None else tuple(x.keys())
        batch = pa.RecordBatch.from_pydict({name: [getattr(x, name)] for name in names})
        result = self.votes(batch)
        return (result.tolist() if hasattr(result, "tolist") else list(result))[0]


class PaidFunction(BatchFunction):
    """A function whose votes cost money or time elsewhere: it is asked last, and within a budget.

    Attributes:
        only_where: Records that it is asked about: ``all``, ``uncovered`` (no other function
            voted) or ``conflicting`` (others voted for different classes).
    """

    trusted: ClassVar[bool] = True

    @property
    def only_where(self) -> str:
        """Records that it is asked about."""
        return "all"

    @abstractmethod
    def bind(self, store_uri: str) -> None:
        """Keep answers in a data set, and wait for `allow` before asking."""

    @abstractmethod
    def allow(self, share: float) -> None:
        """Let this process use a further share of the budget."""

    @abstractmethod
    def usage(self) -> Mapping[str, float]:
        """Return what has been used so far in this process, by name."""

    @abstractmethod
    def estimate(self, batch: pa.RecordBatch) -> Mapping[str, float]:
        """Return what votes on `batch` would use, by the same names, without asking."""


class SparseVotes(NamedTuple):
    """Votes of several functions on a batch; what is not listed is an abstain.

    Attributes:
        functions: int64, shape (votes,): positions among the functions that were asked.
        rows: int64, shape (votes,).
        labels: int16, shape (votes,): class indices, or -3 for a value that is no class.
        invalid: The values that are no class, by position in the arrays.
    """

    functions: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int16]
    invalid: Mapping[int, Any] = MappingProxyType({})


class FunctionGroup(ABC):
    """What functions share that vote together because one by one would be slow."""

    @abstractmethod
    def votes(
        self, functions: Sequence[BatchFunction], batch: pa.RecordBatch, class_names: Sequence[str]
    ) -> SparseVotes:
        """Return the votes of `functions`, all of this group, on a batch; each pair once."""


def takes_batches(lf: object) -> TypeGuard[LabelingFunction | BatchFunction]:
    """Whether a function is called with whole batches rather than with records."""
    return isinstance(lf, BatchFunction) or (isinstance(lf, LabelingFunction) and lf.batch)


AnyLabelingFunction = LabelingFunction | Matcher | BatchFunction | NamedCallable
"""Whatever a job may contain: our functions, matchers, or a foreign object such as Snorkel's."""
