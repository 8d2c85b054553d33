"""What models are given of a batch: its texts, a matrix, records, columns, or the batch itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from labelmill.errors import LabelingFunctionError
from labelmill.suggestion import did_you_mean

INPUTS = ("texts", "array", "records", "columns", "batch")
"""All forms of inputs."""

EXAMPLES = ("texts", "array", "records")
"""Forms that are one example per record, as a ModelHandler takes them."""


def inputs_of(
    owner: str, fields: str | Sequence[str], form: str, forms: Iterable[str], skip_nulls: bool
) -> Inputs:
    """Check what a model is to be given.

    Args:
        owner: The function, for messages.
        fields: One column or several.
        form: One of `forms`.
        forms: Those of `INPUTS` that fit.
        skip_nulls: Records with a null are kept from the model.

    Raises:
        LabelingFunctionError: They do not fit together.
    """
    names = (fields,) if isinstance(fields, str) else tuple(fields)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise LabelingFunctionError(f"{owner}: fields= must name columns, got {fields!r}")
    if form not in forms:
        known = ", ".join(map(repr, forms))
        raise LabelingFunctionError(f"{owner}: inputs={form!r} is none of {known}")
    if form == "texts" and len(names) > 1:
        raise LabelingFunctionError(
            f"{owner}: inputs='texts' gives the texts of one column, got fields={list(names)}; "
            "give several columns as inputs='records', 'columns' or 'batch'"
        )
    return Inputs(owner, names, form, skip_nulls)


@dataclass(frozen=True)
class Inputs:
    """What a model is given of a batch.

    Attributes:
        owner: The function, for messages.
        fields: Columns.
        form: One of `INPUTS`.
        skip_nulls: Records with a null in one of the columns are kept from the model.
    """

    owner: str
    fields: tuple[str, ...]
    form: str
    skip_nulls: bool

    def check(self, schema: pa.Schema) -> None:
        """Check that the columns are there and of a type that fits.

        Raises:
            LabelingFunctionError: They are not.
        """
        for name in self.fields:
            if name not in schema.names:
                hint = did_you_mean(name, schema.names)
                raise LabelingFunctionError(f"{self.owner}: there is no column {name!r}{hint}")
            kind = schema.field(name).type
            if self.form == "texts" and not _is_text(kind):
                raise LabelingFunctionError(
                    f"{self.owner}: column {name!r} is {kind}, and inputs='texts' gives a model "
                    "text; give numbers with inputs='array'"
                )
            if self.form == "array" and not _is_numeric(kind):
                raise LabelingFunctionError(
                    f"{self.owner}: column {name!r} is {kind}, and inputs='array' gives a model "
                    "numbers; give text with inputs='texts', mixed columns with 'batch'"
                )

    def rows(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Return the rows that the model is to see."""
        seen = np.ones(batch.num_rows, dtype=np.bool_)
        if self.skip_nulls:
            for name in self.fields:
                seen &= np.asarray(batch.column(name).is_valid())
        return np.flatnonzero(seen)

    def of(self, batch: pa.RecordBatch) -> Any:  # Any: the form's own type
        """Return `batch` in the form that the model takes."""
        part = batch.select(list(self.fields))
        if self.form == "texts":
            return part.column(0).to_pylist()
        if self.form == "array":
            return np.hstack([_matrix(column) for column in part.columns])
        if self.form == "records":
            return part.to_pylist()
        if self.form == "columns":
            return {
                n: np.asarray(part.column(n).to_numpy(zero_copy_only=False)) for n in self.fields
            }
        return part


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    texts = pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
    return bool(texts or pt.is_null(kind))


def _is_numeric(kind: pa.DataType) -> bool:
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind):
        kind = kind.value_type
    number = pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind)
    return bool(number or pt.is_boolean(kind) or pt.is_null(kind))


def _matrix(column: pa.Array) -> npt.NDArray[np.float64]:
    """Return a column of numbers or of lists of equal length as float64, shape (rows, width)."""
    if pt.is_nested(column.type):
        return np.array(column.to_pylist(), dtype=np.float64).reshape(len(column), -1)
    numbers = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float64)[:, None]
