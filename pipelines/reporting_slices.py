"""The slices of a version beside those of the one before, for a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labelmill.manifest import Manifest
from labelmill.report.content import Interval, SliceRow
from labelmill.slicecounts import coverage_of_slice
from labelmill.slicedrift import SliceDrift, slice_drifts

MOST_CLASSES = 3
"""Classes that are shown of a slice."""


def slice_rows(manifest: Manifest, parent: Manifest | None) -> tuple[SliceRow, ...]:
    """Return the slices of a version, in the order of the job file.

    Args:
        manifest: The version.
        parent: The version before; None where there is none to compare with.
    """
    drifts = () if parent is None else slice_drifts(parent, manifest)
    moved = {drift.name: drift for drift in drifts}
    slices = manifest.summary.get("slices", ())
    return tuple(_row(one, moved.get(one["name"]), manifest) for one in slices)


def _row(one: Mapping[str, Any], drift: SliceDrift | None, manifest: Manifest) -> SliceRow:
    rows, gold = manifest.counts["rows"], one["gold"]
    pairs = zip(manifest.class_names, one["class_counts"], strict=True)
    by_size = sorted(((name, n) for name, n in pairs if n), key=lambda pair: -pair[1])
    is_new = drift is None or not drift.records_before
    return SliceRow(
        name=one["name"],
        records=one["records"],
        share=one["records"] / rows if rows else 0.0,
        coverage=coverage_of_slice(one) if one["records"] else None,
        coverage_before=None if drift is None or is_new else drift.coverage_before,
        classes=tuple((name, n / one["covered"]) for name, n in by_size[:MOST_CLASSES]),
        label_shift=None if drift is None or is_new else drift.label_shift,
        gold=None if gold is None else Interval(gold["accuracy"], gold["low"], gold["high"]),
        judged=0 if gold is None else gold["n"],
    )
