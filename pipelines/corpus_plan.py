"""Planning a corpus: its files, its shards, and whether the functions can read its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from labelmill.columns import columns_used, needed_columns
from labelmill.combining import with_parts
from labelmill.corpus import Corpus, plan_corpus
from labelmill.errors import CorpusError, LabelingFunctionError
from labelmill.job import PreparedJob
from labelmill.jobspec import JobSpec
from labelmill.labeling import AnyLabelingFunction, BatchFunction, Matcher
from labelmill.readers.listing import Listing, list_files


def list_corpus_of(job: JobSpec) -> Listing:
    """List the files of the corpus."""
    return list_files(job.input.uri, file_format=job.input.format, storage_options=None)


def plan_corpus_of(
    job: JobSpec, prepared: PreparedJob, listing: Listing, more: Sequence[str] = ()
) -> Corpus:
    """Plan the corpus with the columns that the job reads, and `more`, and check their types."""
    gold_column = job.gold.column if job.gold and not job.gold.uri else None
    extra = [*([gold_column] if gold_column else []), *more]
    columns = job.input.columns
    if columns is None:
        columns = needed_columns(prepared.functions(), extra)
    else:
        columns = list(dict.fromkeys([*columns, *extra]))
    slices = [] if prepared.slices is None else prepared.slices.functions()
    sliced = needed_columns(slices, []) or []  # predicates name all that they read
    try:
        corpus = plan_corpus(
            job.input.uri,
            columns=None if columns is None else list(dict.fromkeys([*columns, *sliced])),
            id_column=job.input.id,
            format=job.input.format,
            types=job.input.types,
            shard_bytes=int(job.input.shard_mb * 2**20),
            multiline_csv=job.input.multiline,
            delimiter=job.input.delimiter,
            listing=listing,
        )
    except CorpusError as error:
        raise CorpusError(f"{error}{_who_reads(str(error), prepared)}") from error
    every = corpus.schema
    corpus = replace(
        corpus,
        schema=every if columns is None else pa.schema([every.field(name) for name in columns]),
        slice_schema=pa.schema([every.field(name) for name in sliced]),
    )
    _check_columns(prepared.functions(), corpus.schema)
    _check_slice_columns(slices, corpus.slice_schema)
    _check_gold_column(job, corpus)
    return corpus


def _check_slice_columns(slices: Sequence[AnyLabelingFunction], schema: pa.Schema) -> None:
    try:
        _check_columns(slices, schema, "slice")
    except LabelingFunctionError as error:
        raise LabelingFunctionError(f"slices: {error}") from error


def _check_columns(
    functions: Sequence[AnyLabelingFunction], schema: pa.Schema, noun: str = "labeling function"
) -> None:
    """Check that functions can read the types of the columns that they read."""
    for lf in with_parts(functions):
        if isinstance(lf, BatchFunction):
            lf.check(schema)
        if isinstance(lf, Matcher):
            kind = schema.field(lf.field).type
            if kind not in (pa.string(), pa.null()):
                raise LabelingFunctionError(
                    f"{noun} {lf.name!r} matches text, but column {lf.field!r} is "
                    f"{kind}; set input.types: {{{lf.field}: string}} for CSV and JSONL, or use a "
                    "Python function"
                )


def _check_gold_column(job: JobSpec, corpus: Corpus) -> None:
    if job.gold is None or job.gold.uri is not None:
        return
    kind = corpus.schema.field(job.gold.column).type
    if not (pa.types.is_integer(kind) or kind in (pa.string(), pa.null())):
        raise CorpusError(
            f"gold column {job.gold.column!r} is {kind}; it must hold class names or indices"
        )


def _who_reads(message: str, prepared: PreparedJob) -> str:
    """Return which functions read the column that a message is about, as a suffix."""
    if "has no column" not in message:
        return ""
    missing = message.split("has no column", 1)[1].split("'")
    if len(missing) < 2:
        return ""
    readers = [lf.name for lf in prepared.functions() if _reads(lf, missing[1])]
    slices = [] if prepared.slices is None else prepared.slices.functions()
    readers += [f"slice {lf.name!r}" for lf in slices if _reads(lf, missing[1])]
    return f" (read by {', '.join(readers[:3])})" if readers else ""


def _reads(lf: AnyLabelingFunction, column: str) -> bool:
    return any(column in columns_used(part).columns for part in with_parts([lf]))
