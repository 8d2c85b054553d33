"""What is shown of slices: a table of them in one version, and how they moved between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from labelmill.slicedrift import SliceDrift
from pipelines.screen_parts import ScreenParts
from pipelines.screen_text import percent, plural, share, visible

MOST_SLICES = 50
"""Slices that are shown,"""

MOST_CLASSES = 3
"""and classes of each."""

NOTABLE_SHIFT = 0.01
"""Bits of label shift, and"""

NOTABLE_COVERAGE = 0.01
"""change of coverage from which a slice is named in a history."""

MOST_NOTABLE = 3
"""Slices that a line of a history names."""


def print_slices(
    screen: ScreenParts, slices: Sequence[Mapping[str, Any]], class_names: Sequence[str], rows: int
) -> None:
    """Print slices, a line each.

    Args:
        screen: Where to.
        slices: What a manifest says of them.
        class_names: The classes.
        rows: Records of the corpus.
    """
    if not slices:
        return
    judged = any(one["gold"] for one in slices)
    heads = ["slice", "labels", "records", "share", "covered"]
    table = screen.table([*heads, *(["gold", "right", "95 %", "majority"] if judged else [])], 2)
    for column in table.columns[:2]:
        column.no_wrap, column.overflow = False, "fold"
    for one in slices[:MOST_SLICES]:
        cells: list[Text | str] = [
            Text(visible(one["name"])),
            _classes(one, class_names),
            f"{one['records']:,}",
            percent(one["records"], rows),
            percent(one["covered"], one["records"]),
        ]
        table.add_row(*cells, *(_gold(one["gold"]) if judged else []))
    screen.line()
    screen.console.print(table)
    if len(slices) > MOST_SLICES:
        screen.line(f"and {len(slices) - MOST_SLICES:,} more slices; --json lists them")
    empty = [f"slice {one['name']!r} has no records" for one in slices if not one["records"]]
    slow = [
        f"slice {one['name']!r} lacks {plural(one['undecided'], 'record')} on which its predicate "
        "took longer than limits.timeout"
        for one in slices
        if one["undecided"]
    ]
    screen.warnings(empty + slow)


def _classes(one: Mapping[str, Any], class_names: Sequence[str]) -> Text:
    """Return the commonest classes of the covered records of a slice with their shares."""
    by_size = sorted(zip(one["class_counts"], class_names, strict=True), key=lambda c: -c[0])
    some = [f"{visible(name)} {percent(n, one['covered'])}" for n, name in by_size if n]
    more = [f"+{len(some) - MOST_CLASSES}"] if len(some) > MOST_CLASSES else []
    return Text(", ".join([*some[:MOST_CLASSES], *more]) or "-")


def _gold(gold: Mapping[str, Any] | None) -> list[str]:
    if gold is None:
        return ["-"] * 4
    interval = f"{gold['low']:.3f}-{gold['high']:.3f}"
    majority = share(gold["majority_vote"]["accuracy"])
    return [f"{gold['n']:,}", share(gold["accuracy"]), interval, majority]


def print_drift(screen: ScreenParts, drifts: Sequence[SliceDrift]) -> None:
    """Print how slices moved between two versions, those whose labels moved most first."""
    if not drifts:
        return
    heads = ["slice", "records", "covered", "label shift (bits)", "right on gold"]
    table = screen.table(heads)
    by_shift = sorted(drifts, key=lambda drift: -(drift.label_shift or 0.0))
    for drift in by_shift[:MOST_SLICES]:
        table.add_row(
            Text(visible(drift.name)),
            _change(f"{drift.records_before:,}", f"{drift.records:,}"),
            _change(f"{drift.coverage_before:.1%}", f"{drift.coverage:.1%}"),
            share(drift.label_shift),
            _change(share(drift.accuracy_before), share(drift.accuracy)),
        )
    screen.line()
    screen.console.print(table)
    if len(drifts) > MOST_SLICES:
        screen.line(f"and {len(drifts) - MOST_SLICES:,} more slices; --json lists them")


def _change(before: str, after: str) -> str:
    return after if before == after else f"{before} -> {after}"


def drift_lines(drifts: Sequence[SliceDrift]) -> list[str]:
    """Return short phrases about the slices that moved notably, those that did most first."""
    lines = []
    for drift in sorted(drifts, key=lambda drift: -(drift.label_shift or 0.0)):
        parts = []
        if (drift.label_shift or 0.0) >= NOTABLE_SHIFT:
            parts.append(f"labels by {drift.label_shift:.3f} bits")
        if abs(drift.coverage - drift.coverage_before) >= NOTABLE_COVERAGE:
            parts.append(f"coverage {drift.coverage_before:.1%} -> {drift.coverage:.1%}")
        if parts:
            lines.append(f"slice {drift.name} moved: {', '.join(parts)}")
    more = len(lines) - MOST_NOTABLE
    return lines[:MOST_NOTABLE] + ([f"{plural(more, 'more slice')} moved"] if more > 0 else [])
