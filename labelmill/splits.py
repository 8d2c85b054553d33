"""Choosing records by a hash: splits that stay the same from version to version, and samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.errors import JobSpecError
from labelmill.hashing import text_hashes

_SPLIT_SEED, _SAMPLE_SEED = 21, 22
_SPAN = 2.0**64


@dataclass(frozen=True)
class Splits:
    """Named shares of the records.

    Attributes:
        names: The splits.
        edges: Where in [0, 1] each ends, ascending; the last may be less than one.
    """

    names: tuple[str, ...]
    edges: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> Splits:
        """Read ``train=.8,test=.2``.

        Raises:
            JobSpecError: It is no such list, a name is repeated, or the shares exceed one.
        """
        shares: dict[str, float] = {}
        for part in text.split(","):
            name, equals, share = part.strip().partition("=")
            if not equals or not name or not set(name) <= _LETTERS:
                raise JobSpecError(f"split {part!r}: expected NAME=SHARE, such as train=.8,test=.2")
            if name in shares:
                raise JobSpecError(f"split {name!r} is given twice")
            try:
                shares[name] = float(share)
            except ValueError:
                raise JobSpecError(f"split {part!r}: {share!r} is no number") from None
            if not 0 < shares[name] <= 1:
                raise JobSpecError(f"split {part!r}: a share is more than 0 and at most 1")
        total = math.fsum(shares.values())
        if total > 1 + 1e-9:
            raise JobSpecError(f"split {text!r}: the shares add up to {total:g}, more than 1")
        edges = np.cumsum(list(shares.values()))
        return cls(tuple(shares), tuple(1.0 if edge > 1 - 1e-9 else float(edge) for edge in edges))

    def of(self, keys: pa.Array) -> npt.NDArray[np.int64]:
        """Return the split of each key: its number, or that after the last for none of them."""
        return np.searchsorted(self.edges, _unit(keys, _SPLIT_SEED), side="right")


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
"""Characters of a split's name, which becomes part of a file's."""


def sampled(ids: pa.Array, classes: pa.Array, shares: Mapping[str, float]) -> npt.NDArray[np.bool_]:
    """Return which records a sample has that takes a share of each class, by the hash of the id."""
    limits = np.array([shares[name] for name in classes.to_pylist()])
    result: npt.NDArray[np.bool_] = _unit(ids, _SAMPLE_SEED) < limits
    return result


def balanced_shares(names: Sequence[str], counts: Sequence[int]) -> dict[str, float]:
    """Return of each class the share that leaves about as many as the rarest class has."""
    least = min((count for count in counts if count), default=0)
    return {n: least / count if count else 1.0 for n, count in zip(names, counts, strict=True)}


def _unit(keys: pa.Array, seed: int) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each key."""
    return text_hashes(keys, seed=seed).astype(np.float64) / _SPAN
