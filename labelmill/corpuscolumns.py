"""Columns of the corpus beside the labels of a version, shard by shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from labelmill.corpus import Corpus, plan_corpus
from labelmill.errors import JobSpecError
from labelmill.jobspec import InputSpec
from labelmill.manifest import Manifest
from labelmill.readers import batch_schema, read_shard
from labelmill.records import ID
from labelmill.rowmatching import match_ids
from labelmill.shard import Shard
from labelmill.suggestion import did_you_mean


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
        spec, corpus = _planned(manifest, columns)
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


@dataclass(frozen=True)
class ColumnsThere:
    """The columns of the corpus of a version.

    Attributes:
        names: All of them, but gold.
        texts: Those of text but the id, for people to read, or all but the id where none is text.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]

    def check(self, name: str) -> None:
        """Raise a JobSpecError when there is no such column."""
        if name not in self.names:
            hint = did_you_mean(name, self.names, f"it has {', '.join(self.names)}")
            raise JobSpecError(f"the corpus has no column {name!r} to show{hint}")


def columns_of(manifest: Manifest) -> ColumnsThere:
    """Find the columns of the corpus of a version that people may see.

    Raises:
        CorpusError: The corpus is gone.
    """
    spec, corpus = _planned(manifest, None)
    gold = manifest.spec.get("gold")
    hidden = gold["column"] if gold and gold.get("uri") is None else None
    fields = [field for field in corpus.schema if field.name != hidden]
    others = [field for field in fields if field.name != spec.id]
    texts = [field.name for field in others if pa.types.is_string(field.type)]
    names = tuple(field.name for field in fields)
    return ColumnsThere(names, tuple(texts or [field.name for field in others]))


def _planned(manifest: Manifest, columns: Sequence[str] | None) -> tuple[InputSpec, Corpus]:
    spec = InputSpec.model_validate(manifest.spec["input"])
    types = {n: kind for n, kind in spec.types.items() if columns is None or n in columns}
    corpus = plan_corpus(
        spec.uri,
        columns=None if columns is None else list(columns),
        id_column=spec.id,
        format=spec.format,
        types=types,
        shard_bytes=int(spec.shard_mb * 2**20),
        multiline_csv=spec.multiline,
        delimiter=spec.delimiter,
    )
    return spec, corpus
