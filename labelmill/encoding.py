"""What functions return, as codes: a class index, or `ABSTAINED`, `FAULTED` or `INVALID`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

ABSTAINED, FAULTED, INVALID = -1, -2, -3
Codes = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Wrong:
    """A result that is no class."""

    value: Any


Problems = dict[int, "BaseException | Wrong"]
FAILED = object()
_PLAIN = {int, str, type(None)}
"""Types of results of which equal ones mean the same; True would be 1."""


class VoteEncoder:
    """Turns what functions return into codes.

    Args:
        class_names: The classes, in index order.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        codes: dict[Any, int] = {None: ABSTAINED, -1: ABSTAINED}
        codes.update((index, index) for index in range(len(class_names)))
        codes.update((name, index) for index, name in enumerate(class_names))
        self._codes = codes
        self._n_classes = len(class_names)

    def encode(self, results: list[Any], codes: Codes, problems: Problems) -> None:
        """Write the codes of `results`; the fast path has only known ints and names."""
        types = set(map(type, results))
        if types == {int}:
            try:
                numbers = np.fromiter(results, dtype=np.int64, count=len(results))
                self._encode_numbers(numbers, codes, problems)
                return
            except OverflowError:  # larger than any index
                pass
        table = self._codes
        if types <= _PLAIN:
            codes[:] = [table.get(value, INVALID) for value in results]
        else:
            codes[:] = [self.code(value) for value in results]
        for row in np.flatnonzero(codes == INVALID).tolist():
            value = results[row]
            if value is FAILED:
                codes[row] = FAULTED
                continue
            problems[row] = Wrong(value)

    def encode_batch(self, results: Any, codes: Codes, problems: Problems) -> None:
        """Write the codes of a batch function's results: a list or an array.

        An exception in a list stands for a record that could not be voted on.
        """
        if isinstance(results, pa.Array):
            distinct = _distinct(results)
            if distinct is None:
                results = results.to_pylist()
            else:
                values, indices = distinct
                table = np.array([self.code(v) for v in values] + [ABSTAINED], dtype=np.int16)
                codes[:] = table[indices]
                for row in np.flatnonzero(codes == INVALID).tolist():
                    problems[row] = Wrong(values[indices[row]])
                return
        if isinstance(results, np.ndarray):
            self._encode_numbers(results, codes, problems)
            return
        errors = {row: v for row, v in enumerate(results) if isinstance(v, BaseException)}
        self.encode([FAILED if row in errors else v for row, v in enumerate(results)]
                    if errors else results, codes, problems)  # fmt: skip
        problems.update(errors)

    def _encode_numbers(
        self, numbers: npt.NDArray[np.integer[Any]], codes: Codes, problems: Problems
    ) -> None:
        known = (numbers >= 0) & (numbers < self._n_classes)
        codes[:] = np.where(known, numbers, np.where(numbers == -1, ABSTAINED, INVALID))
        for row in np.flatnonzero(codes == INVALID).tolist():
            problems[row] = Wrong(numbers[row].item())

    def code(self, value: Any) -> int:
        """Return the code of one value."""
        if isinstance(value, bool | np.bool_):
            return INVALID
        if isinstance(value, float | np.floating):
            if not math.isfinite(value):
                return ABSTAINED if math.isnan(value) else INVALID
            return self._codes.get(int(value), INVALID) if value == int(value) else INVALID
        if type(value).__name__ == "NAType":  # what pandas has for null
            return ABSTAINED
        try:
            return self._codes.get(value, INVALID)
        except Exception:  # unhashable, or its own __hash__ or __eq__ raises
            return INVALID


def _distinct(array: pa.Array) -> tuple[list[Any], npt.NDArray[np.int64]] | None:
    """Return an array's distinct values, and the index of each element among them, -1 for null."""
    kind = array.type
    if not (pa.types.is_dictionary(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind)
            or pa.types.is_large_string(kind) or pa.types.is_null(kind)):  # fmt: skip
        return None
    if pa.types.is_null(kind):
        return [], np.full(len(array), -1, dtype=np.int64)
    encoded = array if pa.types.is_dictionary(kind) else pc.dictionary_encode(array)
    indices = np.asarray(encoded.indices.cast(pa.int64()).fill_null(-1))
    return encoded.dictionary.to_pylist(), indices
