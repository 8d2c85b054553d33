"""Which records informed the fit of a version: they say nothing of how right the others are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelmill.gold import GoldTable, gold_by_role, gold_indices, read_gold, split_gold
from labelmill.jobspec import GoldSpec
from labelmill.manifest import Manifest


@dataclass(frozen=True)
class Informed:
    """Which records informed the fit, or will inform the next.

    Attributes:
        version: The section `gold` of the version; None without gold.
        tables: Gold files, of the version and of the job as it is now.
        classes: The classes.
    """

    version: GoldSpec | None
    tables: tuple[tuple[GoldSpec, GoldTable], ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest, gold: Sequence[GoldSpec]) -> Informed:
        """Read the gold of a version, and that of further sections `gold`.

        Raises:
            CorpusError: A gold file is gone, or holds what is no class.
        """
        section = manifest.spec.get("gold")
        version = None if section is None else GoldSpec.model_validate(section)
        files = [spec for spec in (version, *gold) if spec is not None and spec.uri is not None]
        different = {spec.model_dump_json(): spec for spec in files}.values()
        classes = manifest.class_names
        tables = tuple((spec, read_gold(spec, classes)) for spec in different)
        return cls(version, tables, classes)

    def mask(self, labels: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Return which records of a labels file are judged for the fit."""
        ids = labels.column("id")
        fit = np.zeros(len(ids), dtype=bool)
        known = np.zeros(len(ids), dtype=bool)
        for spec, table in self.tables:
            batch = table.add_to(pa.RecordBatch.from_arrays([ids], names=["id"]))
            for_fit, scoring = gold_by_role(batch, spec)
            fit |= for_fit >= 0
            known |= scoring >= 0
        if self.version is None or "gold" not in labels.schema.names:
            return fit
        had = labels.column("gold")
        if self.version.uri is None:
            index = gold_indices(had, self.classes, "gold").fill_null(-1)
            spec = self.version
            return fit | (split_gold(ids, np.asarray(index), fit=spec.fit, seed=spec.seed)[0] >= 0)
        # Gold of the version that no file has any more may have informed it.
        return fit | (np.asarray(had.is_valid()) & ~known)
