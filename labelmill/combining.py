"""Functions made of others: all, any, none, at least n of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from labelmill.errors import LabelingFunctionError
from labelmill.labeling import ABSTAIN, NamedCallable

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Not:
    """A part that holds where its function does not vote."""

    part: Any


@dataclass(frozen=True)
class Combination:
    """Votes `label` where enough of its parts hold; a part holds where its function votes.

    Where a part fails, so does the combination. Parts that are functions of the job are not run
    twice; others are run for the combination alone, and their votes are not published.

    Attributes:
        name: Unique within a job.
        label: The class voted for, by name or index.
        parts: Functions, `Not`, combinations, or names of functions of the job.
        least: How many of the parts have to hold.
        word: ``all``, ``any``, ``none`` or ``at_least``, for messages.
    """

    name: str
    label: str | int
    parts: tuple[Any, ...]
    least: int
    word: str

    kind = "combination"

    def __call__(self, x: Any, /) -> str | int:
        """Vote on one record; parts that are named cannot be asked for here."""
        held = 0
        for part in self.parts:
            function, negated = _plain(part)
            if isinstance(function, str):
                raise LabelingFunctionError(
                    f"{self.name!r} names function {function!r}, which only a job can look up; "
                    "give the function itself"
                )
            held += (function(x) in (None, ABSTAIN)) == negated
        return self.label if held >= self.least else ABSTAIN


def all_of(name: str, *, label: str | int, of: Sequence[Any]) -> Combination:
    """Vote `label` where every part holds.

    Args:
        name: Unique within a job.
        label: Class name or index.
        of: Labeling functions, names of functions of the job, `not_` of these, or combinations. A
            function holds where it votes, whatever the class.

    Raises:
        LabelingFunctionError: No parts, or something that is none.

    Example:
        >>> from types import SimpleNamespace
        >>> from labelmill import keywords, regex
        >>> link = regex("link", label="spam", pattern="https?://")
        >>> thanks = keywords("thanks", label="ham", words=["thanks"])
        >>> rude = all_of("rude_link", label="spam", of=[link, not_(thanks)])
        >>> [rude(SimpleNamespace(text=t)) for t in ("see http://x", "thanks, http://x")]
        ['spam', -1]
    """
    return _combination(name, label, of, len(of), "all")


def any_of(name: str, *, label: str | int, of: Sequence[Any]) -> Combination:
    """Vote `label` where at least one part holds; see `all_of`."""
    return _combination(name, label, of, 1, "any")


def none_of(name: str, *, label: str | int, of: Sequence[Any]) -> Combination:
    """Vote `label` where no part holds; see `all_of`."""
    return _combination(name, label, [not_(part) for part in of], len(of), "none")


def at_least(n: int, name: str, *, label: str | int, of: Sequence[Any]) -> Combination:
    """Vote `label` where `n` or more parts hold; see `all_of`.

    Raises:
        LabelingFunctionError: `n` is not between 1 and the number of parts.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= len(of):
        raise LabelingFunctionError(
            f"at_least {name!r}: n must be between 1 and its {len(of)} parts, got {n!r}"
        )
    return _combination(name, label, of, n, "at_least")


def not_(part: Any) -> Any:
    """Return a part that holds where `part` does not."""
    return part.part if isinstance(part, Not) else Not(part)


def _combination(
    name: str, label: str | int, of: Sequence[Any], least: int, word: str
) -> Combination:
    if isinstance(of, str) or not of:
        raise LabelingFunctionError(
            f"{word} {name!r}: of must be a list of at least one function, got {of!r}"
        )
    for part in of:
        function, _ = _plain(part)
        if not (isinstance(function, str | NamedCallable)):
            hint = "; decorate it with @labeling_function()" if callable(function) else ""
            raise LabelingFunctionError(
                f"{word} {name!r}: {function!r} is no labeling function, nor the name of one{hint}"
            )
    return Combination(name, label, tuple(of), least, word)


def _plain(part: Any) -> tuple[Any, bool]:
    return (part.part, True) if isinstance(part, Not) else (part, False)


def names_in(lf: Any) -> list[str]:
    """Return the functions of the job that `lf` names, when it is a combination."""
    named = []
    for inner in with_parts([lf]):
        parts = inner.parts if isinstance(inner, Combination) else ()
        named += [part for part in (_plain(p)[0] for p in parts) if isinstance(part, str)]
    return named


def with_parts(lfs: Sequence[Any]) -> list[Any]:
    """Return the functions of a job and, after them, the parts that only combinations have.

    The order depends on `lfs` alone, so that every process numbers them alike.
    """
    known = {id(lf): lf for lf in lfs}
    every = list(lfs)
    waiting = list(lfs)
    while waiting:
        lf = waiting.pop(0)
        for part in lf.parts if isinstance(lf, Combination) else ():
            function, _ = _plain(part)
            if not isinstance(function, str) and id(function) not in known:
                known[id(function)] = function
                every.append(function)
                waiting.append(function)
    return every


class Combiner:
    """The combinations of a job, in an order in which each comes after its parts.

    Args:
        every: What `with_parts` returned.
        n_lfs: How many of them are the job's own, which names refer to.

    Raises:
        LabelingFunctionError: A name is no function of the job, or combinations form a circle.
    """

    def __init__(self, every: Sequence[Any], n_lfs: int) -> None:
        self._every = every
        by_name = {lf.name: n for n, lf in enumerate(every[:n_lfs])}
        by_id = {id(lf): n for n, lf in enumerate(every)}
        self._parts: dict[int, list[tuple[int, bool]]] = {}
        for n, lf in enumerate(every):
            if not isinstance(lf, Combination):
                continue
            self._parts[n] = []
            for part in lf.parts:
                function, negated = _plain(part)
                if isinstance(function, str):
                    if function not in by_name:
                        raise LabelingFunctionError(
                            f"{lf.word} {lf.name!r} names {function!r}, which is no function of "
                            f"this job ({', '.join(list(by_name)[:10])})"
                        )
                    self._parts[n].append((by_name[function], negated))
                else:
                    self._parts[n].append((by_id[id(function)], negated))
        self.order = tuple(self._ordered())

    def needed_by(self, n: int) -> set[int]:
        """Return the functions that combination `n` looks at, and those that its parts do."""
        needed: set[int] = set()
        for part, _ in self._parts.get(n, ()):
            needed |= {part, *self.needed_by(part)}
        return needed

    def _ordered(self) -> Iterator[int]:
        done: set[int] = set()
        waiting = list(self._parts)
        while waiting:
            ready = [n for n in waiting if self._needs(n) <= done]
            if not ready:
                names = ", ".join(repr(self._every[n].name) for n in waiting)
                raise LabelingFunctionError(
                    f"combinations refer to each other in a circle: {names}"
                )
            yield from ready
            done.update(ready)
            waiting = [n for n in waiting if n not in done]

    def _needs(self, n: int) -> set[int]:
        return {part for part, _ in self._parts[n] if part in self._parts}

    def holds(
        self, n: int, codes_of: Callable[[int], npt.NDArray[np.int16]]
    ) -> tuple[Flags, npt.NDArray[np.int64]]:
        """Tell where combination `n` votes.

        Args:
            n: The combination.
            codes_of: Gives the codes of a function, int16, shape (rows,); negative beyond -1 where
                it failed.

        Returns:
            Where it votes, bool, and the number of the part that failed, int64, -1 where none did.
        """
        held: Any = 0
        failed: Any = None
        for part, negated in self._parts[n]:
            codes = codes_of(part)
            failed = np.full(len(codes), -1, dtype=np.int64) if failed is None else failed
            failed[(codes < ABSTAIN) & (failed < 0)] = part
            held = held + ((codes >= 0) != negated).astype(np.int32)
        return (held >= self._every[n].least) & (failed < 0), failed
