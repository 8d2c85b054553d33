"""From input URIs to a plan: which shards there are, and the schema that all files agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import pyarrow as pa

from labelmill.corpus_schema import FileSchema, agree, parse_types
from labelmill.errors import CorpusError
from labelmill.readers import csv_records, jsonl
from labelmill.readers.files import StorageOptions, open_raw, open_stream, planning
from labelmill.readers.listing import Listing, SourceFile, list_files
from labelmill.readers.parquet import cut_row_groups, read_footer
from labelmill.readers.sampling import (
    Sample,
    check_encoding,
    read_header,
    sample_csv,
    sample_jsonl,
)
from labelmill.readers.text import count_rows
from labelmill.records import ID
from labelmill.shard import Shard

_THREADS = 16


@dataclass(frozen=True)
class Corpus:
    """A planned corpus.

    Attributes:
        shards: sorted by name and start.
        schema: of the columns that the job reads, agreed over all files.
        id_column: column of the ids; None for `<name>#<row>`.
        warnings: what the user should know, in plain words.
        slice_schema: of the columns that the job's slices read, whether or not others read them.
    """

    shards: tuple[Shard, ...]
    schema: pa.Schema
    id_column: str | None
    warnings: tuple[str, ...]
    slice_schema: pa.Schema = field(default_factory=lambda: pa.schema([]))


@dataclass(frozen=True)
class _Inspected:
    """One file's columns (None for a file without any bytes to tell) and shards."""

    schema: pa.Schema | None
    shards: tuple[Shard, ...]
    any_rows: bool
    wrong: str | None = None  # why not one record of a text file's sample is good
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Options:
    """What the inspection of a file depends on."""

    shard_bytes: int
    number_rows: bool
    delimiter: str
    multiline: bool
    typed: frozenset[str]


def plan_corpus(
    uris: str | Sequence[str],
    *,
    columns: Sequence[str] | None,
    id_column: str | None,
    format: str | None = None,  # noqa: A002 - the name it has in the job file
    types: Mapping[str, str] | None = None,
    shard_bytes: int = 64 << 20,
    multiline_csv: bool = True,
    delimiter: str = ",",
    storage_options: StorageOptions = None,
    listing: Listing | None = None,
) -> Corpus:
    """List the corpus, cut it into shards and agree on a schema.

    Reads Parquet footers and the first megabyte of text files. Only when a text file is cut and
    there is no id column is all of it read, to number its rows.

    Args:
        uris: files, globs and folders (walked; names beginning with _ or . are skipped), as local
            paths or fsspec URLs.
        columns: columns to read, in this order; None for all.
        id_column: column of the ids, string or integer; None for `<name>#<row>`.
        format: "parquet", "jsonl" or "csv"; None to go by suffix.
        types: names of types (see `corpus_schema.TYPE_NAMES`) for columns, instead of what the
            files show.
        shard_bytes: how large shards become: uncompressed for Parquet, as stored for text.
            Compressed text files, and CSV files unless `multiline_csv` is False, stay whole.
        multiline_csv: whether a CSV value may hold line breaks.
        delimiter: between CSV fields; a tab for .tsv unless set.
        storage_options: what the fsspec file system takes.
        listing: what `list_files` gave for these URIs, when it is known already.

    Raises:
        CorpusError: if nothing matches, the corpus is empty, a file cannot be read, a column is
            missing, or files do not fit together.
    """
    given = parse_types(types)
    _check_options(shard_bytes, delimiter)
    files, warnings = listing or list_files(
        uris, file_format=format, storage_options=storage_options
    )
    options = _Options(
        shard_bytes=shard_bytes,
        number_rows=id_column is None,
        delimiter=delimiter,
        multiline=multiline_csv,
        typed=frozenset(given),
    )
    inspect = {"parquet": _inspect_parquet, "jsonl": _inspect_jsonl, "csv": _inspect_csv}
    with ThreadPoolExecutor(_THREADS) as pool:
        inspected = list(pool.map(partial(inspect[files[0].format], options=options), files))
    if not any(file.any_rows for file in inspected):
        raise CorpusError(f"the corpus is empty: no file of {uris} has a row")
    if all(file.wrong or not file.any_rows for file in inspected):
        raise CorpusError(next(file.wrong for file in inspected if file.wrong))
    schema = agree(
        [
            FileSchema(file.uri, found.schema)
            for file, found in zip(files, inspected, strict=True)
            if found.schema is not None
        ],
        columns=columns,
        id_column=id_column,
        types=given,
        mixed_is_string=files[0].format == "csv",
        sparse=files[0].format == "jsonl",
    )
    if ID in schema.names:
        raise CorpusError(f"column {ID!r} of the corpus: the name is labelmill's own; rename it")
    shards = (shard for found in inspected for shard in found.shards)
    return Corpus(
        shards=tuple(sorted(shards, key=lambda shard: (shard.name, shard.start))),
        schema=schema,
        id_column=id_column,
        warnings=(*warnings, *(warning for found in inspected for warning in found.warnings)),
    )


def _check_options(shard_bytes: int, delimiter: str) -> None:
    if shard_bytes < 1:
        raise CorpusError(f"shard size is {shard_bytes} bytes; it must be at least 1")
    if len(delimiter.encode()) != 1 or delimiter in '"\r\n':
        raise CorpusError(
            f"delimiter {delimiter!r} must be one ASCII character, no quote or newline"
        )


def _whole(file: SourceFile) -> Shard:
    """The file as one shard of nothing yet known."""
    return Shard(
        uri=file.uri,
        name=file.name,
        format=file.format,
        compression=file.compression,
        start=0,
        stop=file.size,
        first_row=0,
        rows=None,
        size=file.size,
        fingerprint=file.fingerprint,
    )


def _inspect_parquet(file: SourceFile, options: _Options) -> _Inspected:
    footer = read_footer(file.fs, file.path, file.uri)
    shards = tuple(
        replace(
            _whole(file),
            start=start,
            stop=stop,
            first_row=sum(footer.rows[:start]),
            rows=sum(footer.rows[start:stop]),
            size=sum(footer.sizes[start:stop]),
        )
        for start, stop in cut_row_groups(footer, options.shard_bytes)
    )
    return _Inspected(footer.schema, shards, sum(footer.rows) > 0)


def _inspect_jsonl(file: SourceFile, options: _Options) -> _Inspected:
    sample = Sample(pa.schema([]), any_rows=False)
    with planning(file.uri):
        if file.size:
            _check_encoding(file)
            with open_stream(file.fs, file.path, file.compression) as stream:
                sample = sample_jsonl(stream, file.uri, options.typed)
        if not sample.any_rows:
            return _Inspected(None, (replace(_whole(file), rows=0),), any_rows=False)
        shards = _cut_text(file, _whole(file), options, data_start=0, blank=jsonl.BLANK)
    return _Inspected(sample.schema, shards, any_rows=True, wrong=sample.wrong)


def _inspect_csv(file: SourceFile, options: _Options) -> _Inspected:
    delimiter = "\t" if file.tabs and options.delimiter == "," else options.delimiter
    whole = replace(_whole(file), delimiter=delimiter, multiline=options.multiline)
    empty = replace(whole, rows=0)
    with planning(file.uri):
        if not file.size:
            return _Inspected(None, (empty,), any_rows=False)
        _check_encoding(file)
        with open_stream(file.fs, file.path, file.compression) as stream:
            header = read_header(stream, file.uri, delimiter, options.multiline)
        if header is None:
            return _Inspected(None, (empty,), any_rows=False)
        with open_stream(file.fs, file.path, file.compression) as stream:
            sample = sample_csv(stream, file.uri, header, delimiter, options.multiline)
        if not sample.any_rows:
            return _Inspected(sample.schema, (empty,), any_rows=False)
        if not options.multiline:
            shards = _cut_text(
                file, whole, options, data_start=header.stop, blank=csv_records.BLANK
            )
            return _Inspected(sample.schema, shards, any_rows=True, wrong=sample.wrong)
    warnings: tuple[str, ...] = ()
    if file.cuttable and file.size > options.shard_bytes:
        warnings = (
            f"{file.uri} has {file.size} bytes and stays one shard, because a CSV value may hold "
            "line breaks; set `input.multiline: false` when no value does",
        )
    return _Inspected(sample.schema, (whole,), any_rows=True, wrong=sample.wrong, warnings=warnings)


def _check_encoding(file: SourceFile) -> None:
    with open_stream(file.fs, file.path, file.compression) as stream:
        check_encoding(stream, file.uri)


def _cut_text(
    file: SourceFile, whole: Shard, options: _Options, *, data_start: int, blank: bytes
) -> tuple[Shard, ...]:
    """Byte ranges of a text file, with the row and line at which each begins if they are needed."""
    if not file.cuttable or file.size <= options.shard_bytes:
        return (whole,)
    cuts = [*range(0, file.size, options.shard_bytes), file.size]
    first_rows = first_lines = None
    if options.number_rows:
        with open_raw(file.fs, file.path) as stream:
            rows, lines = count_rows(stream, cuts, data_start=data_start, blank=blank)
        first_rows, first_lines = rows.cumsum() - rows, lines.cumsum() - lines + 1
    return tuple(
        replace(
            whole,
            start=start,
            stop=stop,
            size=stop - start,
            first_row=int(first_rows[i]) if first_rows is not None else (0 if i == 0 else -1),
            first_line=int(first_lines[i]) if first_lines is not None else (1 if i == 0 else -1),
        )
        for i, (start, stop) in enumerate(pairwise(cuts))
    )
