"""Labels and votes of two versions in common terms: the same number for the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.errors import CorruptFileError
from labelmill.manifest import FileEntry, Manifest
from labelmill.store import Store
from labelmill.tablefile import TableFile
from labelmill.versionchanges import quarantined_functions
from labelmill.votes import lf_table, unpack_votes

ROWS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("label", pa.int16()),
        pa.field("confidence", pa.float32()),
        pa.field("lfs", pa.list_(pa.int32())),
        pa.field("labels", pa.list_(pa.int16())),
    ]
)
"""Rows in common terms. `label` is -1 for a record without votes; `lfs` ascend within a row."""

NO_LABEL = -1


@dataclass(frozen=True)
class CommonNames:
    """The functions and classes of two versions, numbered together.

    Attributes:
        functions: Names of functions, those of the later version first.
        classes: Names of classes, those of the later version first.
        renamed: Classes of the earlier version that are to count as another of the later.
    """

    functions: tuple[str, ...]
    classes: tuple[str, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, before: Manifest, after: Manifest, renamed: Mapping[str, str]) -> CommonNames:
        """Number the names of two versions."""
        lfs = dict.fromkeys(lf["name"] for version in (after, before) for lf in version.lfs)
        classes = [*after.class_names, *(renamed.get(c, c) for c in before.class_names)]
        return cls(tuple(lfs), tuple(dict.fromkeys(classes)), renamed)

    @cached_property
    def _function_numbers(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.functions)}

    @cached_property
    def _class_numbers(self) -> Mapping[str, int]:
        numbers = {name: number for number, name in enumerate(self.classes)}
        return numbers | {old: numbers[new] for old, new in self.renamed.items()}

    def numbers_of_functions(self, names: tuple[str, ...]) -> npt.NDArray[np.int32]:
        """Return the common numbers of functions, -1 for one that neither manifest has."""
        return np.array([self._function_numbers.get(n, -1) for n in names], dtype=np.int32)

    def numbers_of_classes(self, names: tuple[str, ...]) -> npt.NDArray[np.int16]:
        """Return the common numbers of classes.

        Raises:
            CorruptFileError: A class that no manifest has.
        """
        unknown = [name for name in names if name not in self._class_numbers]
        if unknown:
            raise CorruptFileError(f"class {unknown[0]!r} is none of {list(self.classes)}")
        return np.array([self._class_numbers[n] for n in names], dtype=np.int16)


@dataclass(frozen=True)
class VersionRows:
    """Reads the rows of one version, shard by shard.

    Attributes:
        store: The data set.
        manifest: The version.
        names: The common names.
    """

    store: Store
    manifest: Manifest
    names: CommonNames

    @cached_property
    def labels(self) -> Mapping[str, FileEntry]:
        """The labels file of each shard, by the shard's id."""
        return {str(file.shard): file for file in self.manifest.files_of("labels")}

    @cached_property
    def votes(self) -> Mapping[str, FileEntry]:
        """The votes file of each shard, by the shard's id."""
        return {str(file.shard): file for file in self.manifest.files_of("votes")}

    def read(self, shard: str, *, with_votes: bool = True) -> pa.RecordBatch:
        """Return the rows of a shard; without votes when they are not asked for.

        Raises:
            CorruptFileError: A file is missing, damaged, or does not fit the others.
        """
        labels = read_table(
            self.store, self.labels[shard], ["id", "label", "confidence", "covered"]
        )
        ids = labels.column("id")
        if with_votes:
            votes = read_table(self.store, self.votes[shard], ["id", "lfs", "labels"])
            if not votes.column("id").equals(ids):
                raise CorruptFileError(
                    f"{self.votes[shard].path} and {self.labels[shard].path} hold other records"
                )
            lists = self._votes_of(votes)
        else:
            none = pa.array(np.zeros(len(ids) + 1, dtype=np.int32))
            lists = [
                pa.ListArray.from_arrays(none, pa.array([], kind.value_type))
                for kind in (ROWS.field("lfs").type, ROWS.field("labels").type)
            ]
        label = pc.if_else(labels.column("covered"), self._classes_of(labels.column("label")), -1)
        columns = [ids, label.cast(pa.int16()), labels.column("confidence"), *lists]
        return pa.RecordBatch.from_arrays(columns, schema=ROWS)

    def _classes_of(self, labels: pa.Array) -> pa.Array:
        encoded = labels.dictionary_encode()
        numbers = self.names.numbers_of_classes(tuple(encoded.dictionary.to_pylist()))
        return pa.array(numbers).take(encoded.indices)

    def _votes_of(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """Return the votes that were used, in common numbers."""
        table = lf_table(batch.schema)
        dropped = [table.names.index(name) for name in quarantined_functions(self.manifest)]
        votes = unpack_votes(batch).without(dropped)
        lfs = self.names.numbers_of_functions(table.names)[votes.lfs]
        labels = self.names.numbers_of_classes(table.class_names)[votes.labels]
        rows = np.repeat(np.arange(batch.num_rows), np.diff(votes.indptr))
        order = np.lexsort((lfs, rows))
        offsets = pa.array(votes.indptr.astype(np.int32))
        return [pa.ListArray.from_arrays(offsets, pa.array(part[order])) for part in (lfs, labels)]


def read_table(store: Store, file: FileEntry, columns: Sequence[str] = ()) -> pa.RecordBatch:
    """Return a stored table, whole, or some columns of it.

    Raises:
        CorruptFileError: It is missing or damaged, or lacks a column.
    """
    try:
        table = TableFile(store.get(file.path), f"{store.uri}/{file.path}")
    except FileNotFoundError as error:
        raise CorruptFileError(f"{store.uri}/{file.path} is missing") from error
    return table.whole(columns)
