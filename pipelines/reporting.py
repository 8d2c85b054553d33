"""The report of a version, put together from its manifest, its tables and what people judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labelmill.errors import CorruptFileError, VersionNotFoundError
from labelmill.manifest import Manifest
from labelmill.report.content import (
    Before,
    Check,
    ClassRow,
    FunctionRow,
    Gate,
    Interval,
    ModelState,
    Reliability,
    Report,
)
from labelmill.shifts import jensen_shannon
from labelmill.store import Store
from labelmill.versionchanges import changes_between
from labelmill.versions import read_manifest
from pipelines.reporting_counts import conflicting, count_moves, count_pairs, scan_labels
from pipelines.reporting_functions import drifts_of, function_rows
from pipelines.reporting_judged import Audited, accuracies, effort_of, latest_audit_of
from pipelines.reporting_origin import dead_letters, later_refusal, provenance_of
from pipelines.reporting_samples import sample_records
from pipelines.reporting_slices import slice_rows
from pipelines.reporting_warnings import attention_of
from pipelines.screen_history import change_lines

CONFLICTS = 6
"""Pairs of functions of which records are shown."""


def build_report(
    store: Store, version: int | None = None, *, columns: Sequence[str] = ()
) -> Report:
    """Put the report of a version together.

    What it costs hardly depends on the size of the version: counts come from the manifest, and
    records from a few shards.

    Args:
        store: The data set.
        version: The version; by default the current one.
        columns: Columns of the corpus to show of sampled records; by default columns of text.

    Raises:
        VersionNotFoundError: There is no such version.
        CorruptFileError: A file that has to be read is damaged.
        CorpusError: The corpus has no such column.
    """
    manifest = read_manifest(store, version)
    parent, parent_missing = _parent(store, manifest)
    scan = scan_labels(store, manifest)
    pairs = count_pairs(store, manifest)
    audit = latest_audit_of(store, manifest.version)
    functions = function_rows(manifest, parent)
    known = accuracies(manifest, audit, scan.histogram)
    counts, summary = manifest.counts, manifest.summary
    gold = summary.get("gold") or {}
    return Report(
        job=manifest.name,
        version=manifest.version,
        started=manifest.run.get("started") or "",
        rows=counts["rows"],
        covered=counts["covered"],
        accuracy=known[0] if known else None,
        other_accuracy=tuple(known[1:]),
        refusal=later_refusal(store, manifest),
        gates=tuple(Gate(**gate) for gate in manifest.gates),
        attention=attention_of(manifest, functions.rows, known),
        before=None if parent is None else _before(store, parent, manifest, functions.rows),
        before_missing=parent_missing,
        classes=_classes(manifest, parent, audit),
        slices=slice_rows(manifest, parent),
        functions=functions.shown,
        of_functions=len(functions.rows),
        pairs=pairs,
        reliability=tuple(
            Reliability(
                one["confidence"],
                Interval(one["accuracy"], one["low"], one["high"]),
                int(one["records"]),
            )
            for one in gold.get("reliability", ())
        ),
        histogram=scan.histogram,
        model=_model(summary["model"]),
        samples=sample_records(store, manifest, scan, conflicting(pairs, CONFLICTS), columns),
        letters=dead_letters(store, manifest),
        effort=effort_of(store, manifest),
        provenance=provenance_of(manifest),
    )


def _parent(store: Store, manifest: Manifest) -> tuple[Manifest | None, str]:
    """Return the version before; or None, and why."""
    if manifest.parent is None:
        return None, "This is the first version."
    try:
        return read_manifest(store, manifest.parent), ""
    except VersionNotFoundError:
        return None, f"Version {manifest.parent}, which this one follows, was deleted."
    except CorruptFileError as error:
        return None, f"Version {manifest.parent}, which this one follows, is damaged: {error}"


def _before(
    store: Store, parent: Manifest, manifest: Manifest, functions: Sequence[FunctionRow]
) -> Before:
    before, now = parent.counts, manifest.counts
    shift, missing, moves = None, "", None
    if parent.class_names == manifest.class_names:
        shift = jensen_shannon(before["class_counts"], now["class_counts"])
    try:
        moves = count_moves(store, parent, manifest)
    except CorruptFileError as error:
        missing = f"A file of version {parent.version} is gone or damaged: {error}"
    if moves is None and not missing:
        missing = (
            "The corpus is cut into other pieces than before; labelmill diff compares them all."
        )
    return Before(
        version=parent.version,
        rows=before["rows"],
        covered=before["covered"],
        changes=tuple(change_lines(changes_between(parent, manifest))),
        label_shift=shift,
        drifts=drifts_of(functions, before["rows"], now["rows"]),
        moves=moves,
        moves_missing=missing,
    )


def _classes(
    manifest: Manifest, parent: Manifest | None, audit: Audited | None
) -> tuple[ClassRow, ...]:
    counts = manifest.counts
    before: Mapping[str, int] = {}
    if parent is not None:
        before = dict(zip(parent.class_names, parent.counts["class_counts"], strict=True))
    covered_before = sum(before.values())
    rows = []
    for name, labels, balance in zip(
        manifest.class_names,
        counts["class_counts"],
        manifest.summary["model"]["class_balance"],
        strict=True,
    ):
        measured = audit.per_class.get(name) if audit is not None else None
        rows.append(
            ClassRow(
                name=name,
                labels=labels,
                share=labels / counts["covered"] if counts["covered"] else 0.0,
                labels_before=before.get(name),
                share_before=before[name] / covered_before
                if name in before and covered_before
                else None,
                balance=balance,
                precision=measured[0] if measured else None,
                recall=measured[1] if measured else None,
            )
        )
    return tuple(rows)


def _model(model: Mapping[str, Any]) -> ModelState:
    return ModelState(
        name=model["name"],
        regime=model.get("regime"),
        fallback=model["fallback"],
        warnings=tuple(model["warnings"]),
        checks=tuple(
            Check(one["name"], one["verdict"], one["sentence"]) for one in model.get("checks", ())
        ),
        duplicates=tuple(", ".join(names) for names in model.get("duplicates", ())),
        kept=bool(model.get("kept")),
        drift=model.get("drift"),
    )
