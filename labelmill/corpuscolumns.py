"""Columns of the corpus beside the labels of a version, shard by shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from labelmill.corpus import plan_corpus
from labelmill.jobspec import InputSpec
from labelmill.manifest import Manifest
from labelmill.readers import batch_schema, read_shard
from labelmill.records import ID
from labelmill.rowmatching import match_ids
from labelmill.shard import Shard


@dataclass(frozen=True)
class CorpusColumns:
    """Reads columns of the corpus in the order of the labels of a version.

    Attributes:
        input: How the job reads the corpus.
        schema: The columns and their types.
    """

    input: InputSpec
    schema: pa.Schema

    @classmethod
    def of(cls, manifest: Manifest, columns: Sequence[str]) -> CorpusColumns:
        """Find the types of columns.

        Raises:
            CorpusError: The corpus is gone, or has no such column.
        """
        spec = InputSpec.model_validate(manifest.spec["input"])
        corpus = plan_corpus(
            spec.uri,
            columns=list(columns),
            id_column=spec.id,
            format=spec.format,
            types={name: kind for name, kind in spec.types.items() if name in columns},
            shard_bytes=int(spec.shard_mb * 2**20),
            multiline_csv=spec.multiline,
            delimiter=spec.delimiter,
        )
        return cls(spec, pa.schema([corpus.schema.field(name) for name in columns]))

    def read(self, shard: Shard, ids: pa.Array) -> pa.Table:
        """Return the columns of records of a shard, null where a record cannot be read.

        Args:
            shard: The shard.
            ids: string array, shape (n,): ids of the labels of the shard.

        Raises:
            CorpusReadError: The file changed since the version was made, or is gone.
        """
        batches = [read.batch for read in read_shard(shard, self.schema, id_column=self.input.id)]
        table = pa.Table.from_batches(batches, batch_schema(self.schema)).combine_chunks()
        found, theirs = match_ids(ids, pa.concat_arrays(table.column(ID).chunks or [ids[:0]]))
        positions = np.full(len(ids), -1, dtype=np.int64)
        positions[found] = theirs
        return table.drop_columns([ID]).take(pa.array(positions, mask=positions < 0))
