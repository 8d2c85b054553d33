"""Reading published labels as a pyarrow dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.dataset

from labelmill.errors import CorruptFileError
from labelmill.store import Store
from labelmill.versions import read_manifest


def labels_schema(k: int, *, with_gold: bool = False) -> pa.Schema:
    """Return the columns of a label file.

    Args:
        k: Number of classes, the length of `probs`.
        with_gold: Whether the job has gold labels.
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
        `gold`. A filtered dataset cannot be pickled; open it where it is read.

    Raises:
        ValueError: `min_confidence` is no probability.
        VersionNotFoundError: There is no such version, or none at all.
        CorruptFileError: The manifest or a label file's columns are not what they should be.
    """
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise ValueError(f"{min_confidence=} is not between 0 and 1")
    store = Store.open(uri, storage_options)
    manifest = read_manifest(store, version)
    filesystem = store.arrow_filesystem()
    parquet = pa.dataset.ParquetFileFormat()
    fragments = [
        parquet.make_fragment(file.path, filesystem, file_size=file.bytes)
        for file in manifest.files_of("labels")
    ]
    schema = labels_schema(len(manifest.class_names))
    if fragments:
        schema = _schema_of(store, fragments[0], schema)
    dataset = pa.dataset.FileSystemDataset(fragments, schema, parquet, filesystem)
    filters = _filters(min_confidence, covered)
    return dataset.filter(reduce(and_, filters)) if filters else dataset


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
    return labels_schema(k, with_gold="gold" in found.names)


def _filters(min_confidence: float | None, covered: bool | None) -> list[pa.dataset.Expression]:
    filters = []
    if min_confidence is not None:
        # As float32, which the column is: 0.9 stored so is less than 0.9 as a double.
        least = pa.scalar(min_confidence, pa.float32())
        filters.append(pa.dataset.field("confidence") >= least)
    if covered is not None:
        filters.append(pa.dataset.field("covered") == covered)
    return filters
