"""Exporting the labels of a version for training: which records, in which form, in which splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.corpuscolumns import CorpusColumns
from labelmill.errors import JobSpecError
from labelmill.exportwriters import Format, split_target, writing
from labelmill.manifest import FileEntry, Manifest
from labelmill.shard import Shard
from labelmill.slices import in_slice
from labelmill.splits import Splits, balanced_shares, sampled
from labelmill.store import Store
from labelmill.suggestion import did_you_mean
from labelmill.versionrows import read_table
from labelmill.versions import read_manifest

LabelForm = Literal["hard", "soft"]


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        format: Format of the files.
        labels: ``hard`` for label and confidence, ``soft`` for the probability of each class too.
        min_confidence: Leave out records whose label is less probable, 0 to 1.
        uncovered: Take records without votes too.
        balance: Sample each class to about the size of the rarest.
        splits: Named shares, a file each; None for one file.
        group: Column of the corpus whose values stay together in a split; by default the id.
        columns: Columns of the corpus to add.
        slice: Take records of this slice alone.
    """

    format: Format
    labels: LabelForm = "hard"
    min_confidence: float = 0.0
    uncovered: bool = False
    balance: bool = False
    splits: Splits | None = None
    group: str | None = None
    columns: tuple[str, ...] = ()
    slice: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise JobSpecError(f"min_confidence is {self.min_confidence}, not between 0 and 1")
        if self.group is not None and self.splits is None:
            raise JobSpecError(f"group {self.group!r} is for splits; give some")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        version: The version.
        files: Records in each file, by its path.
        class_counts: By class, records in all files.
    """

    version: int
    files: Mapping[str, int]
    class_counts: Mapping[str, int] = field(default_factory=dict)


def export_labels(
    store: Store, target: str, options: ExportOptions, version: int | None = None
) -> Exported:
    """Write labels of a version to files, shard by shard.

    Args:
        store: The data set.
        target: The file; splits have their name before its suffix.
        options: What to export.
        version: The version; by default the current one.

    Raises:
        VersionNotFoundError: There is no such version.
        CorruptFileError: A labels file is missing or damaged.
        CorpusError: A column of the corpus is not there.
        CorpusReadError: The corpus changed since the version was made.
        StoreError: A file cannot be written.
    """
    selection = _Selection(store, read_manifest(store, version), options)
    splits = options.splits
    names = [target] if splits is None else [split_target(target, name) for name in splits.names]
    rows = dict.fromkeys(names, 0)
    counts = dict.fromkeys(selection.manifest.class_names, 0)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(writing(name, options.format, selection.schema)) for name in names
        ]
        for batch, keys in selection.batches():
            number_of = np.zeros(batch.num_rows) if splits is None else splits.of(keys)
            for number, (name, writer) in enumerate(zip(names, writers, strict=True)):
                part = batch.filter(pa.array(number_of == number))
                if part.num_rows:
                    writer.write(part)
                    rows[name] += part.num_rows
                    for count in pc.value_counts(part.column("label")).to_pylist():
                        counts[count["values"]] += count["counts"]
    return Exported(selection.manifest.version, rows, counts)


@dataclass(frozen=True)
class _Selection:
    """The records of a version that are exported, in their form."""

    store: Store
    manifest: Manifest
    options: ExportOptions

    @cached_property
    def _corpus(self) -> CorpusColumns | None:
        group = self.options.group
        names = dict.fromkeys([*self.options.columns, *([group] if group else [])])
        return CorpusColumns.of(self.manifest, list(names)) if names else None

    @cached_property
    def _slices(self) -> Mapping[str | None, FileEntry]:
        return {file.shard: file for file in self.manifest.files_of("slices")}

    @cached_property
    def _place_of_slice(self) -> int | None:
        """The place of the slice among those of the version."""
        names = [one["name"] for one in self.manifest.summary.get("slices", ())]
        if self.options.slice is None:
            return None
        if self.options.slice not in names:
            known = f"slices: {', '.join(names)}" if names else "it has no slices"
            raise JobSpecError(
                f"version {self.manifest.version} has no slice {self.options.slice!r}"
                f"{did_you_mean(self.options.slice, names, known)}"
            )
        return names.index(self.options.slice)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that are exported."""
        fields = [
            pa.field("id", pa.string()),
            pa.field("label", pa.string()),
            pa.field("confidence", pa.float32()),
        ]
        if self.options.labels == "soft":
            classes = [pa.field(name, pa.float32()) for name in self.manifest.class_names]
            fields.append(pa.field("probs", pa.struct(classes)))
        taken = {field.name for field in fields}
        for name in self.options.columns:
            if name not in taken:  # the id is there
                assert self._corpus is not None
                fields.append(self._corpus.schema.field(name))
            elif name != self.manifest.spec["input"]["id"]:
                raise JobSpecError(
                    f"column {name!r} of the corpus has the name of a column of the labels; it "
                    "cannot be exported"
                )
        return pa.schema(fields)

    def batches(self) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
        """Yield what each shard has, and for each record the key that splits go by."""
        shares = self._shares()
        shards = {shard.id: shard for shard in map(Shard.from_dict, self.manifest.shards)}
        for file in self.manifest.files_of("labels"):
            labels, chosen = self._chosen(file)
            extra = None
            if self._corpus is not None:
                extra = self._corpus.read(shards[str(file.shard)], labels.column("id"))
            if shares is not None:
                chosen &= sampled(labels.column("id"), labels.column("label"), shares)
            mask = pa.array(chosen)
            keys = labels.column("id")
            if extra is not None and self.options.group is not None:
                keys = _as_text(extra.column(self.options.group).combine_chunks())
            yield self._formed(labels, extra).filter(mask), keys.filter(mask)

    def _chosen(self, file: FileEntry) -> tuple[pa.RecordBatch, np.ndarray[Any, Any]]:
        labels = read_table(self.store, file)
        chosen = np.asarray(labels.column("confidence")) >= np.float32(self.options.min_confidence)
        if not self.options.uncovered:
            chosen &= np.asarray(labels.column("covered").to_numpy(zero_copy_only=False))
        if self._place_of_slice is not None:
            members = read_table(self.store, self._slices[file.shard])
            chosen &= in_slice(members, self._place_of_slice)
        return labels, chosen

    def _shares(self) -> dict[str, float] | None:
        """Return the share of each class to sample, after a first pass that counts them."""
        if not self.options.balance:
            return None
        names = self.manifest.class_names
        counts = dict.fromkeys(names, 0)
        for file in self.manifest.files_of("labels"):
            labels, chosen = self._chosen(file)
            found = pc.value_counts(labels.column("label").filter(pa.array(chosen)))
            for count in found.to_pylist():
                counts[count["values"]] += count["counts"]
        return balanced_shares(names, [counts[name] for name in names])

    def _formed(self, labels: pa.RecordBatch, extra: pa.Table | None) -> pa.RecordBatch:
        columns = []
        for field_ in self.schema:
            if field_.name == "probs" and self.options.labels == "soft":
                flat = labels.column("probs").flatten()
                k = len(self.manifest.class_names)
                parts = [flat.take(pa.array(np.arange(n, len(flat), k))) for n in range(k)]
                columns.append(pa.StructArray.from_arrays(parts, fields=list(field_.type)))
            elif field_.name in ("id", "label", "confidence"):
                columns.append(labels.column(field_.name))
            else:
                assert extra is not None
                columns.append(extra.column(field_.name).combine_chunks())
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _as_text(column: pa.Array) -> pa.Array:
    """Return a column as text, null as an empty one."""
    return pc.fill_null(column.cast(pa.string()), "")
