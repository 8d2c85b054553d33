"""Keys of functions: what determines the votes of one on a record, beside the record's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from labelmill.columns import columns_used
from labelmill.combining import names_in, with_parts
from labelmill.labeling import AnyLabelingFunction, PaidFunction
from labelmill.tablefile import input_digest
from labelmill.votes import LFTable


def function_keys(
    lfs: Sequence[AnyLabelingFunction],
    table: LFTable,
    schema: pa.Schema,
    gold_column: str | None = None,
) -> tuple[str, ...]:
    """Return the key of each function: votes with the same key, on the same records, are the same.

    A key covers the fingerprint, which knows the classes, and the columns that the function may
    read with their types. One that is asked only where others leave it open depends on them all.

    Args:
        lfs: The functions.
        table: Their fingerprints.
        schema: Columns that the job reads.
        gold_column: The one of them that functions do not see.
    """
    visible = {f.name: str(f.type) for f in schema if f.name != gold_column}
    by_name = {lf.name: lf for lf in lfs}
    keys = [
        input_digest([info.fingerprint, _columns_of(lf, by_name, visible)])
        for lf, info in zip(lfs, table.lfs, strict=True)
    ]
    paired = list(zip(lfs, keys, strict=True))
    free = sorted(key for lf, key in paired if not isinstance(lf, PaidFunction))
    return tuple(
        input_digest([key, free])
        if isinstance(lf, PaidFunction) and lf.only_where != "all"
        else key
        for lf, key in paired
    )


def _columns_of(
    lf: AnyLabelingFunction, by_name: Mapping[str, AnyLabelingFunction], visible: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the columns that a function may read, with those of the functions it is made of."""
    concerned = {lf.name: lf}
    waiting = names_in(lf)
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in concerned:
            concerned[name] = by_name[name]
            waiting += names_in(by_name[name])
    uses = [columns_used(part) for part in with_parts(list(concerned.values()))]
    if not all(use.complete for use in uses):
        return visible
    names = {name for use in uses for name in use.columns}
    return {name: kind for name, kind in visible.items() if name in names}
