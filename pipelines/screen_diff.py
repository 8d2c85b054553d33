"""What a person reads of the difference of two versions."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from labelmill.movedlabels import MovedPair, MovedRecord
from labelmill.versiondiff import VersionDiff
from pipelines.screen_history import change_lines
from pipelines.screen_parts import ScreenParts
from pipelines.screen_slices import print_drift
from pipelines.screen_text import percent, plural, printable, visible

MOST_PAIRS = 20
"""Pairs of classes that are shown,"""

MOST_FUNCTIONS = 5
"""functions of each,"""

MOST_VOTES = 30
"""and functions whose votes changed."""


def print_diff(console: Console, diff: VersionDiff) -> None:
    """Print what moved between two versions, and because of what."""
    screen = ScreenParts(console)
    added, removed = (rows - diff.rows_common for rows in (diff.rows_after, diff.rows_before))
    screen.line(
        f"version {diff.before} -> {diff.after}: {plural(diff.rows_common, 'record')} in both, "
        f"{added:,} added, {removed:,} removed"
    )
    for line in change_lines(diff.changes):
        screen.line(f"  {printable(line)}")
    for old, new in diff.renamed.items():
        screen.line(
            f"[yellow]{printable(old)} looks renamed to {printable(new)}:[/] the same records have "
            f"it; --renamed {printable(old)}={printable(new)} counts them as the same"
        )
    _print_votes(screen, diff)
    print_drift(screen, diff.changes.slice_drift)
    screen.line()
    screen.line(
        f"[bold]{plural(diff.moved, 'label')} moved[/] ({percent(diff.moved, diff.rows_common)})"
    )
    for pair in diff.pairs[:MOST_PAIRS]:
        _print_pair(screen, pair)
    if len(diff.pairs) > MOST_PAIRS:
        screen.line(f"and {len(diff.pairs) - MOST_PAIRS:,} more pairs; --json lists them")


def _print_votes(screen: ScreenParts, diff: VersionDiff) -> None:
    if not diff.votes:
        return
    table = screen.table(["function", "votes gained", "lost", "to another class"])
    by_size = sorted(diff.votes.items(), key=lambda item: -sum(vars(item[1]).values()))
    for name, votes in by_size[:MOST_VOTES]:
        cells = (f"{n:,}" for n in (votes.gained, votes.lost, votes.moved))
        table.add_row(Text(visible(name)), *cells)
    screen.line()
    screen.console.print(table)
    if len(by_size) > MOST_VOTES:
        screen.line(f"and {len(by_size) - MOST_VOTES:,} more functions; --json lists them")


def _print_pair(screen: ScreenParts, pair: MovedPair) -> None:
    screen.line(
        f"\n[bold]{_label(pair.before)} -> {_label(pair.after)}[/]: "
        f"{plural(pair.records, 'record')}; {_because(pair.functions, pair.model_alone)}"
    )
    for record in pair.examples:
        screen.line(f"  {_example(record)}")


def _because(functions: Mapping[str, int], model_alone: int) -> str:
    parts = [f"{printable(name)} on {count:,}" for name, count in functions.items()]
    more = len(parts) - MOST_FUNCTIONS
    parts = parts[:MOST_FUNCTIONS] + ([f"{more:,} more functions"] if more > 0 else [])
    if model_alone:
        parts.append(f"the label model alone on {model_alone:,}")
    return "votes differ of " + ", ".join(parts) if functions else ", ".join(parts)


def _example(record: MovedRecord) -> str:
    votes = ", ".join(
        f"{printable(vote.function)} {_vote(vote.before)} -> {_vote(vote.after)}"
        for vote in record.votes
    )
    return (
        f"[cyan]{printable(record.id)}[/]  {record.confidence_before:.3f} -> "
        f"{record.confidence_after:.3f}  {votes or 'same votes'}"
    )


def _label(name: str | None) -> str:
    return "(no votes)" if name is None else printable(name)


def _vote(name: str | None) -> str:
    return "abstain" if name is None else printable(name)
