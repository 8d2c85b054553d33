"""How the slices of one version differ from those of another, as their manifests tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labelmill.manifest import Manifest
from labelmill.shifts import jensen_shannon
from labelmill.slicecounts import coverage_of_slice


@dataclass(frozen=True)
class SliceDrift:
    """A slice that two versions have with the same predicate.

    Attributes:
        name: Its name.
        records_before: Its records in the earlier version.
        records: Its records in the later version.
        coverage_before: Share of them with a vote, in the earlier version; 0 without records.
        coverage: The same in the later version.
        label_shift: Jensen-Shannon divergence of the labels of covered records, in bits, 0 to 1;
            None where the versions have other classes.
        accuracy_before: Share of right labels on gold that scores, in the earlier version; None
            without such gold in the slice.
        accuracy: The same in the later version.
    """

    name: str
    records_before: int
    records: int
    coverage_before: float
    coverage: float
    label_shift: float | None
    accuracy_before: float | None
    accuracy: float | None


def slice_drifts(before: Manifest, after: Manifest) -> tuple[SliceDrift, ...]:
    """Return how far each slice of both versions moved; one with another predicate is another."""
    earlier = {one["name"]: one for one in before.summary.get("slices", ())}
    same = [
        (earlier[one["name"]], one)
        for one in after.summary.get("slices", ())
        if one["name"] in earlier
        and slices_of_spec(before)[one["name"]] == slices_of_spec(after)[one["name"]]
    ]
    return tuple(
        SliceDrift(
            name=new["name"],
            records_before=old["records"],
            records=new["records"],
            coverage_before=coverage_of_slice(old),
            coverage=coverage_of_slice(new),
            label_shift=_label_shift(before, after, old, new),
            accuracy_before=old["gold"] and old["gold"]["accuracy"],
            accuracy=new["gold"] and new["gold"]["accuracy"],
        )
        for old, new in same
    )


def slices_of_spec(manifest: Manifest) -> Mapping[str, Any]:
    """Return the predicates of the slices of a version by name, as its job file had them."""
    declared: Mapping[str, Any] = manifest.spec.get("slices", {})
    return declared


def _label_shift(
    before: Manifest, after: Manifest, old: Mapping[str, Any], new: Mapping[str, Any]
) -> float | None:
    if sorted(before.class_names) != sorted(after.class_names):
        return None
    counts = dict(zip(before.class_names, old["class_counts"], strict=True))
    return jensen_shannon([counts[name] for name in after.class_names], new["class_counts"])
