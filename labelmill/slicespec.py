"""Slices as a job file declares them: what the records of each have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator

from labelmill.combining import Not, all_of
from labelmill.errors import LabelingFunctionError
from labelmill.lfspec import CompareFields, Entry, PartEntry, made_part


def _is_of_columns(predicate: PartEntry) -> PartEntry:
    """Check that a predicate looks at columns alone, and as far as it can be told that it is one.

    Raises:
        ValueError: It names a function, or cannot be made.
    """
    parts = list(_parts(predicate))
    named = [part for part in parts if isinstance(part, str)]
    if named:
        raise ValueError(
            f"{named[0]!r} would be the name of a function; a slice is told by columns: use "
            "keywords, regex, lookup or a comparison"
        )
    if not any(_names_files(part) for part in parts):  # their paths are not resolved yet
        try:
            made_part(predicate, "slice")
        except LabelingFunctionError as error:
            raise ValueError(str(error).partition(": ")[2] or str(error)) from error
    return predicate


Predicate = Annotated[PartEntry, AfterValidator(_is_of_columns)]
"""A part of a combination that names no function of the job."""


def _parts(part: PartEntry) -> Iterator[Any]:
    """Yield a predicate and all that it is made of."""
    yield part
    if isinstance(part, Entry):
        inner = [part.spec] if part.kind == "not" else getattr(part.spec, "of", ())
        for one in inner:
            yield from _parts(one)


def _names_files(part: PartEntry) -> bool:
    if isinstance(part, str | CompareFields) or part.kind == "not":
        return False
    return any(isinstance(getattr(part.spec, key), str) for key in part.spec.paths)


@dataclass(frozen=True)
class Slice:
    """A slice as an entry of a `labelmill.job.PreparedJob`: a function that votes where it holds.

    Attributes:
        name: Its name.
        predicate: What its records have in common.
    """

    name: str
    predicate: PartEntry

    def build(self) -> list[Any]:
        """Return the function.

        Raises:
            LabelingFunctionError: The predicate cannot be made.
        """
        try:
            made = made_part(self.predicate, self.name)
        except LabelingFunctionError as error:
            raise LabelingFunctionError(f"slices: {error}") from error
        return [all_of(self.name, label=0, of=[made]) if isinstance(made, Not) else made]


def slices_of(declared: Mapping[str, PartEntry]) -> tuple[Slice, ...]:
    """Return the slices of a job file, in its order."""
    return tuple(Slice(name, predicate) for name, predicate in declared.items())
