"""What a person reads of a data set's versions: the list, what was exported, what was deleted."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from labelmill.exporting import Exported
from labelmill.history import VersionSummary
from labelmill.retention import Cleanup
from labelmill.versionchanges import NamesChanged, VersionChanges
from pipelines.screen_parts import ScreenParts
from pipelines.screen_slices import drift_lines
from pipelines.screen_text import percent, plural, printable, visible

MOST_NAMES = 3
"""Names of functions that a line shows,"""

MOST_CLASSES = 6
"""and classes."""


def print_history(console: Console, versions: Sequence[VersionSummary]) -> None:
    """Print versions, a line each, the oldest first; what audits found, if there are any."""
    audit = ["audited"] if any(version.audited for version in versions) else []
    names = ["version", "started", "records", "covered", "classes", "changed", "accepted"]
    table = ScreenParts(console).table([*names, *audit, "run"], 0)
    for column in table.columns:
        column.justify = "left"
    for version in versions:
        cells = _cells(version)
        if audit:
            cells.insert(-1, _audited(version))
        table.add_row(*map(Text, cells))
    console.print(table)
    for version in versions:
        if version.damaged is not None:
            text = f"version {version.version}: {printable(version.damaged)}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)


def _audited(version: VersionSummary) -> str:
    found = version.audited
    if found is None:
        return "-"
    return f"{found['accuracy']:.1%} ({found['low']:.1%} to {found['high']:.1%})"


def _cells(version: VersionSummary) -> list[str]:
    if version.damaged is not None:
        return [str(version.version), *["-"] * 4, "manifest is damaged", "-", "-"]
    return [
        str(version.version),
        visible(version.started or "-").removesuffix("+00:00"),
        f"{version.rows:,}",
        percent(version.covered, version.rows),
        _classes(version),
        visible("; ".join(_all_lines(version.changes))) if version.changes else "-",
        ", ".join(version.accepted) or "-",
        visible(version.run_id or "-"),
    ]


def _all_lines(changes: VersionChanges) -> list[str]:
    return [*change_lines(changes), *drift_lines(changes.slice_drift)]


def _classes(version: VersionSummary) -> str:
    counts = version.class_counts or {}
    shown = [
        f"{visible(name)} {percent(count, version.covered)}"
        for name, count in list(counts.items())[:MOST_CLASSES]
    ]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" +{more}" if more else "")


def change_lines(changes: VersionChanges) -> list[str]:
    """Return what changed, as short phrases without control of what names hold."""
    lines = [
        *_names("function", changes.functions),
        *_names("class", changes.classes, plural_noun="classes"),
        *(["classes reordered"] if changes.classes_reordered else []),
        *(f"{name} no longer used" for name in changes.quarantined.added),
        *(f"{name} used again" for name in changes.quarantined.removed),
    ]
    for verb, shards in (
        ("new", changes.shards.added),
        ("gone", changes.shards.removed),
        ("changed", changes.shards.edited),
    ):
        lines += [f"{plural(len(shards), 'shard')} {verb}"] if shards else []
    lines += _names("slice", changes.slices)
    lines += [f"settings of {', '.join(changes.settings)}"] if changes.settings else []
    lines += ["label model"] if changes.model else []
    return lines


def _names(noun: str, names: NamesChanged, plural_noun: str | None = None) -> list[str]:
    lines = []
    for verb in ("added", "removed", "edited"):
        some = getattr(names, verb)
        if some:
            title = noun if len(some) == 1 else plural_noun or f"{noun}s"
            more = f" and {len(some) - MOST_NAMES} more" if len(some) > MOST_NAMES else ""
            lines.append(f"{title} {', '.join(some[:MOST_NAMES])}{more} {verb}")
    return lines


def print_export(console: Console, exported: Exported) -> None:
    """Print what was written."""
    screen = ScreenParts(console)
    for path, rows in exported.files.items():
        screen.line(f"{printable(path)}: {plural(rows, 'record')}")
    classes = ", ".join(f"{printable(c)} {n:,}" for c, n in exported.class_counts.items())
    screen.line(f"version {exported.version}: {classes}")


def print_cleanup(console: Console, cleanup: Cleanup, *, dry_run: bool) -> None:
    """Print what a clean-up deleted, or would delete."""
    screen = ScreenParts(console)
    verb = "would delete" if dry_run else "deleted"
    versions = ", ".join(map(str, cleanup.versions)) or "none"
    screen.line(f"{verb} versions: {versions}; kept: {', '.join(map(str, cleanup.kept))}")
    folders = cleanup.by_folder()
    for folder, (number, size) in folders.items():
        screen.line(f"  {printable(folder)}/  {plural(number, 'file')}, {size:,} bytes")
    screen.line(f"{verb} {plural(len(cleanup.files), 'file')}, {cleanup.bytes:,} bytes")
    if cleanup.young:
        screen.line(
            f"{plural(cleanup.young, 'file')} ({cleanup.young_bytes:,} bytes) of no version stay: "
            "younger than --min-age, perhaps of a run under way"
        )
