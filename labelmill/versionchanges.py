"""What changed from one version to another, as their manifests tell; no label is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labelmill.manifest import Manifest
from labelmill.slicedrift import SliceDrift, slice_drifts, slices_of_spec


@dataclass(frozen=True)
class NamesChanged:
    """Named things of two versions.

    Attributes:
        added: Names that only the later version has.
        removed: Names that only the earlier one has.
        edited: Names that both have, with other content.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.edited)


@dataclass(frozen=True)
class VersionChanges:
    """What changed from one version to another.

    Attributes:
        functions: Labeling functions; edited ones have another fingerprint.
        quarantined: Functions whose votes the later version does not use (added), or uses again
            (removed).
        classes: Classes; none is edited. A renamed class is one removed and one added.
        classes_reordered: Whether the same classes stand in another order.
        shards: Pieces of corpus files, by ``file[start:stop]``.
        settings: Sections of the job file that differ, such as ``model``; not ``labels``, ``lfs``
            and ``slices``, which the others tell.
        model: Whether the label model has other parameters.
        slices: Slices; edited ones have another predicate.
        slice_drift: How far each slice of both versions moved.
    """

    functions: NamesChanged
    quarantined: NamesChanged
    classes: NamesChanged
    classes_reordered: bool
    shards: NamesChanged
    settings: tuple[str, ...]
    model: bool
    slices: NamesChanged = NamesChanged()
    slice_drift: tuple[SliceDrift, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def changes_between(before: Manifest, after: Manifest) -> VersionChanges:
    """Return what changed from `before` to `after`."""
    classes = _compare(dict.fromkeys(before.class_names), dict.fromkeys(after.class_names))
    return VersionChanges(
        functions=_compare(_fingerprints(before), _fingerprints(after)),
        quarantined=_compare(
            dict.fromkeys(quarantined_functions(before)),
            dict.fromkeys(quarantined_functions(after)),
        ),
        classes=classes,
        classes_reordered=not classes and before.class_names != after.class_names,
        shards=_compare(_shards(before), _shards(after)),
        settings=tuple(
            key
            for key in sorted({*before.spec, *after.spec} - {"labels", "lfs", "slices"})
            if before.spec.get(key) != after.spec.get(key)
        ),
        model=before.model_digest != after.model_digest,
        slices=_compare(slices_of_spec(before), slices_of_spec(after)),
        slice_drift=slice_drifts(before, after),
    )


def quarantined_functions(manifest: Manifest) -> tuple[str, ...]:
    """Return the functions of a version whose votes were not used, for they failed too often."""
    return tuple(lf["name"] for lf in manifest.summary.get("lfs", ()) if lf["quarantined"])


def _compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> NamesChanged:
    return NamesChanged(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        edited=tuple(n for n in after if n in before and before[n] != after[n]),
    )


def _fingerprints(manifest: Manifest) -> Mapping[str, str]:
    return {lf["name"]: lf["fingerprint"] for lf in manifest.lfs}


def _shards(manifest: Manifest) -> Mapping[str, Sequence[Any]]:
    return {
        f"{shard['name']}[{shard['start']}:{shard['stop']}]": shard["fingerprint"]
        for shard in manifest.shards
    }
