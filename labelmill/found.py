"""What becomes known of a batch while functions run over it: single votes, failures, times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.calling import Called
from labelmill.encoding import ABSTAINED, FAULTED, INVALID, Codes
from labelmill.outcomes import Fault, Times, bucket_of

Ints = npt.NDArray[np.int64]

_Piece = tuple[int | Ints, Ints, Codes]
"""Functions (one, or one for each vote), rows and codes."""


class Found:
    """What is known so far of a batch: votes and failures one by one, times, samples of faults."""

    def __init__(self, batch: pa.RecordBatch, n_functions: int) -> None:
        self.batch = batch
        self.counts = np.zeros((3, n_functions), dtype=np.int64)
        """Votes, faults and invalid results of each function."""
        self.seconds = [0.0] * n_functions
        self.times: list[Times] = [{} for _ in range(n_functions)]
        self.faults: dict[int, dict[int, Fault]] = defaultdict(dict)
        self.usage: dict[str, Mapping[str, float]] = {}
        self.searched = [0] * n_functions
        self.estimates: dict[str, Mapping[str, float]] = {}
        self._votes: list[_Piece] = []
        self._failures: list[_Piece] = []

    def add(self, n: int, rows: Ints | None, called: Called) -> None:
        """Take what calling function `n` on `rows` gave; None stands for all rows."""
        for chosen, pieces in (
            (called.codes >= 0, self._votes),
            (called.codes < ABSTAINED, self._failures),
        ):
            places = np.flatnonzero(chosen)
            if len(places):
                pieces.append((n, places if rows is None else rows[places], called.codes[places]))
        self.counts[:, n] += [np.count_nonzero(chosen) for chosen in _by_kind(called.codes)]
        for row, fault in called.faults.items():
            self.faults[n][row if rows is None else int(rows[row])] = fault
        self.seconds[n] += called.seconds
        self.times[n] = called.times

    def add_sparse(self, functions: Ints, rows: Ints, codes: Codes) -> None:
        """Take single votes of many functions, and failures among them."""
        if not len(functions):
            return
        self._count(functions, codes)
        voted = codes >= 0
        if voted.all():
            self._votes.append((functions, rows, codes))
        else:
            self._votes.append((functions[voted], rows[voted], codes[voted]))
            self._failures.append((functions[~voted], rows[~voted], codes[~voted]))

    def _count(self, functions: Ints, codes: Codes) -> None:
        size = self.counts.shape[1]
        for kind, chosen in enumerate(_by_kind(codes)):
            if chosen.any():
                self.counts[kind] += np.bincount(functions[chosen], minlength=size)

    def spent(self, positions: Sequence[int], seconds: float) -> None:
        """Share the time of one pass among its functions."""
        if not positions:
            return
        rows = self.batch.num_rows
        for n in positions:
            self.seconds[n] += seconds / len(positions)
            self.times[n] = {bucket_of(self.seconds[n] * 1e9 / rows): rows} if rows else {}

    def codes_of(self, n: int) -> Codes:
        """Return the codes of one function, int16, shape (rows,)."""
        codes = np.full(self.batch.num_rows, ABSTAINED, dtype=np.int16)
        for functions, rows, values in (*self._votes, *self._failures):
            if isinstance(functions, int):
                if functions == n:
                    codes[rows] = values
            else:
                mine = functions == n
                codes[rows[mine]] = values[mine]
        return codes

    def range_of_votes(
        self, n_lfs: int, without: Collection[int]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the lowest and highest class voted for on each record; crossed where none is.

        Args:
            n_lfs: The first functions, which are looked at,
            without: but for these.
        """
        lowest = np.full(self.batch.num_rows, 1 << 30, dtype=np.int32)
        highest = np.full(self.batch.num_rows, -1, dtype=np.int32)
        functions, rows, labels = self.votes(n_lfs)
        counted = ~np.isin(functions, np.fromiter(without, np.int64))
        np.minimum.at(lowest, rows[counted], labels[counted])
        np.maximum.at(highest, rows[counted], labels[counted])
        return lowest, highest

    def votes(self, n_lfs: int) -> tuple[Ints, Ints, Codes]:
        """Return functions, rows and classes of the votes of the first `n_lfs` functions."""
        nothing = np.empty(0, dtype=np.int64)
        functions, rows, codes = [nothing], [nothing], [nothing.astype(np.int16)]
        for piece, places, labels in self._votes:
            if isinstance(piece, int):
                if piece >= n_lfs:
                    continue
                functions.append(np.full(len(places), piece))
            elif n_lfs < self.counts.shape[1]:
                own = piece < n_lfs
                functions.append(piece[own])
                places, labels = places[own], labels[own]  # noqa: PLW2901
            else:
                functions.append(piece)
            rows.append(places)
            codes.append(labels)
        return np.concatenate(functions), np.concatenate(rows), np.concatenate(codes)


def _by_kind(codes: Codes) -> tuple[npt.NDArray[np.bool_], ...]:
    """Return where there are votes, faults and invalid results."""
    return codes >= 0, codes == FAULTED, codes == INVALID
