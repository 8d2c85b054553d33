"""Reading published labels and dead letters as pyarrow datasets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.dataset

from labelmill.deadletters import DEAD_LETTERS
from labelmill.errors import CorruptFileError
from labelmill.manifest import FileEntry
from labelmill.store import Store
from labelmill.versions import read_manifest

_PARQUET = pa.dataset.ParquetFileFormat()


SOURCE = "source"
"""Column of labels that a classifier assists: ``votes``, ``assisted`` or ``model``."""


def labels_schema(k: int, *, with_gold: bool = False, assisted: bool = False) -> pa.Schema:
    """Return the columns of a label file.

    Args:
        k: Number of classes, the length of `probs`.
        with_gold: Whether the job has gold labels.
        assisted: Whether a classifier assists.
    """
    columns = [
        pa.field("id", pa.string()),
        pa.field("label", pa.string()),
        pa.field("confidence", pa.float32()),
        pa.field("probs", pa.list_(pa.float32(), k)),
        pa.field("n_votes", pa.int16()),
        pa.field("covered", pa.bool_()),
    ]
    if with_gold:
        columns.append(pa.field("gold", pa.string()))
    if assisted:
        columns.append(pa.field(SOURCE, pa.string()))
    return pa.schema(columns)


def open_labels(
    uri: str | os.PathLike[str],
    version: int | None = None,
    *,
    min_confidence: float | None = None,
    covered: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,  # fsspec's own, of any type
) -> pa.dataset.Dataset:
    """Open the labels of one version.

    The dataset names the files of that version and no others, so it stays the same while newer
    versions are published. Nothing but a manifest and one file's schema is read here; scanning
    does the rest, in pyarrow, pandas, polars or DuckDB.

    Args:
        uri: The data set.
        version: Its version; by default the current one.
        min_confidence: Keep records whose label is at least this probable, 0 to 1.
        covered: Keep records that a labeling function voted on (True) or none did (False).
        storage_options: Passed to the fsspec file system.

    Returns:
        Columns `id, label, confidence, probs, n_votes, covered` and, for a job with gold labels,
        `gold`; with `assist`, `source`. A filtered dataset cannot be pickled; open it where it is
        read.

    Raises:
        ValueError: `min_confidence` is no probability.
        VersionNotFoundError: There is no such version, or none at all.
        CorruptFileError: The manifest or a label file's columns are not what they should be.
    """
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise ValueError(f"{min_confidence=} is not between 0 and 1")
    store = Store.open(uri, storage_options)
    manifest = read_manifest(store, version)
    fragments = _fragments(store, manifest.files_of("labels"))
    schema = labels_schema(len(manifest.class_names))
    if fragments:
        schema = _schema_of(store, fragments[0], schema)
    dataset = _dataset(store, fragments, schema)
    filters = _filters(min_confidence, covered)
    return dataset.filter(reduce(and_, filters)) if filters else dataset


def open_faults(
    uri: str | os.PathLike[str],
    version: int | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,  # fsspec's own, of any type
) -> pa.dataset.Dataset:
    """Open the dead letters of one version: what could not be read, and samples of what failed.

    Args:
        uri: The data set.
        version: Its version; by default the current one.
        storage_options: Passed to the fsspec file system.

    Returns:
        Columns `outcome` (``bad_record``, ``fault`` or ``invalid``), `file` and, where they are
        known, `line` and `offset` in it and the `text` of a bad record, or `id`, `lf`, `type` and
        `traceback` of a failure; `message` says what is wrong. Of a function, a shard has the
        first hundred failures.

    Raises:
        VersionNotFoundError: There is no such version, or none at all.
        CorruptFileError: The manifest is not what it should be.
    """
    store = Store.open(uri, storage_options)
    files = read_manifest(store, version).files_of("faults")
    return _dataset(store, _fragments(store, files), DEAD_LETTERS)


def _fragments(store: Store, files: Iterable[FileEntry]) -> list[pa.dataset.Fragment]:
    filesystem = store.arrow_filesystem()
    return [_PARQUET.make_fragment(f.path, filesystem, file_size=f.bytes) for f in files]


def _dataset(
    store: Store, fragments: list[pa.dataset.Fragment], schema: pa.Schema
) -> pa.dataset.Dataset:
    return pa.dataset.FileSystemDataset(fragments, schema, _PARQUET, store.arrow_filesystem())


def _schema_of(store: Store, fragment: pa.dataset.Fragment, expected: pa.Schema) -> pa.Schema:
    """Return the expected columns, with gold when the file has it."""
    location = f"{store.uri}/{fragment.path}"
    try:
        found = fragment.physical_schema
    except FileNotFoundError as error:
        raise CorruptFileError(f"{location} is missing") from error
    except pa.ArrowInvalid as error:
        raise CorruptFileError(f"{location} is not a Parquet file: {error}") from error
    for column in expected:
        index = found.get_field_index(column.name)
        if index < 0:
            raise CorruptFileError(f"{location} has no column {column.name!r}")
        if found.field(index).type != column.type:
            raise CorruptFileError(
                f"{location}: column {column.name!r} is {found.field(index).type}, expected "
                f"{column.type}"
            )
    k = expected.field("probs").type.list_size
    return labels_schema(k, with_gold="gold" in found.names, assisted=SOURCE in found.names)


def _filters(min_confidence: float | None, covered: bool | None) -> list[pa.dataset.Expression]:
    filters = []
    if min_confidence is not None:
        # As float32, which the column is: 0.9 stored so is less than 0.9 as a double.
        least = pa.scalar(min_confidence, pa.float32())
        filters.append(pa.dataset.field("confidence") >= least)
    if covered is not None:
        filters.append(pa.dataset.field("covered") == covered)
    return filters
