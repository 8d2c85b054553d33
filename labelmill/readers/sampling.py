"""What the first records of a text file show: its columns and their types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from labelmill.corpus_schema import promote
from labelmill.errors import CorpusError
from labelmill.readers.csv import CsvParser, split_fields
from labelmill.readers.csv_records import RecordGroup, csv_records
from labelmill.readers.jsonl import BLANK, infer_type, load_object
from labelmill.readers.text import TO_END, line_blocks, lines_of, without_blank

SAMPLE_BYTES = 1 << 20
TOLERATED = 0.01
"""Share of the values of a JSONL column that may have another type: they become bad records."""


@dataclass(frozen=True)
class CsvHeader:
    """The header of a CSV file: its names, and where the data begins."""

    names: tuple[str, ...]
    stop: int  # offset of the first byte after it


@dataclass(frozen=True)
class Sample:
    """What the first megabyte of a text file shows.

    Attributes:
        schema: the columns and their types.
        any_rows: whether there are records at all.
        wrong: what is wrong with the first record, when not one of them is good.
    """

    schema: pa.Schema
    any_rows: bool
    wrong: str | None = None


def sample_jsonl(stream: BinaryIO, uri: str, typed: frozenset[str]) -> Sample:
    """Columns and types of a JSONL file.

    Args:
        stream: the file, at its beginning.
        uri: its name, for errors.
        typed: columns whose types are given and need not be found out.

    Raises:
        CorpusError: if the file is a JSON array, or a column holds values of different types.
    """
    values: dict[str, Counter[pa.DataType]] = {}
    first_wrong = ""
    objects = 0
    for block in line_blocks(stream, 0, TO_END, line=1, chunk_bytes=SAMPLE_BYTES):
        records = without_blank(lines_of(block), blank=BLANK)
        for i in range(len(records)):
            record, reason = load_object(records.raw(i))
            if record is None and i == 0 and records.raw(i).lstrip().startswith(b"["):
                raise CorpusError(
                    f"{uri} is a JSON array, not JSON lines; write one object a line, "
                    "e.g. with jq -c '.[]'"
                )
            if record is None:
                first_wrong = first_wrong or f"line {records.lines[i]} is {reason}"
                continue
            objects += 1
            for name, value in record.items():
                try:
                    found = pa.null() if name in typed else infer_type(value)
                except (pa.ArrowException, OverflowError):
                    continue
                values.setdefault(name, Counter())[found] += 1
        if len(records):
            break
    schema = pa.schema([(name, _one_type(counts, name, uri)) for name, counts in values.items()])
    if first_wrong and not objects:
        wrong = f"{uri} is not JSON lines, one object a line: {first_wrong}"
        return Sample(schema, any_rows=True, wrong=wrong)
    return Sample(schema, any_rows=objects > 0)


def read_header(stream: BinaryIO, uri: str, delimiter: str, multiline: bool) -> CsvHeader | None:
    """The header of a CSV file, None if the file has only empty lines.

    Raises:
        CorpusError: if it cannot be read.
    """
    for group in _record_groups(stream, delimiter, multiline):
        if not len(group.records):
            continue
        raw = group.records.raw(0)
        fields, reason = split_fields(raw, delimiter)
        if fields is None:
            raise CorpusError(f"the header of {uri} cannot be read: {reason}")
        return CsvHeader(
            names=tuple(field.text for field in fields),
            stop=group.records.offset + int(group.records.stops[0]),
        )
    return None


def sample_csv(
    stream: BinaryIO, uri: str, header: CsvHeader, delimiter: str, multiline: bool
) -> Sample:
    """Columns and types of a CSV file.

    A column is int64, double or bool when all values of the sample are, else string; also string
    when a number has leading zeros, which are a code's.

    Args:
        stream: the file, at its beginning.
        uri: its name, for errors.
        header: its header.
        delimiter: one character.
        multiline: whether a quoted value may hold line breaks.
    """
    names = [str(i) for i in range(len(header.names))]  # a header may repeat names
    text = pa.schema([(name, pa.string()) for name in names])
    parser = CsvParser(names, text, None, delimiter)
    batches = []
    wrong = None
    for group in _record_groups(stream, delimiter, multiline):
        records = group.records
        records = records.where(records.starts + records.offset >= header.stop)
        if not len(records):
            continue
        parsed = parser.parse_slowly(records) if group.broken else parser.parse(records)
        batches.append(parsed.batch)
        if parsed.bad and not wrong:
            i, reason = parsed.bad[0]
            wrong = (
                f"{uri} is not CSV with delimiter {delimiter!r}: line {records.lines[i]}: {reason}"
            )
        if len(parsed.kept):
            break
    table = pa.Table.from_batches(batches, schema=text)
    types = [_type_of_texts(column.combine_chunks()) for column in table.columns]
    return Sample(
        schema=pa.schema(list(zip(header.names, types, strict=True))),
        any_rows=bool(batches),
        wrong=None if table.num_rows else wrong,
    )


def _record_groups(stream: BinaryIO, delimiter: str, multiline: bool) -> Iterator[RecordGroup]:
    """The records of a file from its beginning, a megabyte at a time."""
    return csv_records(
        stream,
        0,
        TO_END,
        delimiter=delimiter,
        multiline=multiline,
        line=1,
        chunk_bytes=SAMPLE_BYTES,
    )


def check_encoding(stream: BinaryIO, uri: str) -> None:
    """Refuse UTF-16, whose every line would be bad.

    Raises:
        CorpusError: if the stream begins with its byte order mark.
    """
    if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
        raise CorpusError(f"{uri} is UTF-16; convert it to UTF-8")


def _one_type(counts: Counter[pa.DataType], name: str, uri: str) -> pa.DataType:
    total = sum(n for data_type, n in counts.items() if data_type != pa.null())
    agreed = pa.null()
    fitting = 0
    for data_type, n in counts.most_common():
        both = promote(agreed, data_type)
        if both is not None:
            agreed = both
            fitting += n if data_type != pa.null() else 0
    if total - fitting > TOLERATED * total:
        found = ", ".join(str(data_type) for data_type, _ in counts.most_common(3))
        raise CorpusError(
            f"column {name!r} of {uri} holds values of different types ({found}); "
            f"make them one type, or set input.types ({name}: string takes any scalar)"
        )
    return agreed


def _type_of_texts(texts: pa.Array) -> pa.DataType:
    stripped = pc.utf8_trim(texts, " \t")
    stripped = pc.if_else(pc.equal(stripped, ""), None, stripped)
    if stripped.null_count == len(stripped):
        return pa.null()
    if pc.any(pc.match_substring_regex(stripped, r"^[+-]?0[0-9]|^0[xX]")).as_py():
        return pa.string()
    for data_type in (pa.int64(), pa.float64(), pa.bool_()):
        try:
            pc.cast(stripped, data_type)
        except pa.ArrowException:
            continue
        return data_type
    return pa.string()
