"""What the commands for teaching show."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from labelmill.jobedit import entry_line
from pipelines.screen_text import plural, printable
from pipelines.suggesting import Suggested

_EXCERPT = 140


def print_suggested(out: Console, found: Suggested, job: str) -> None:
    """Show suggestions: what to add, what to look at, and how far to trust it."""
    sampled = "" if found.sampled >= found.rows else f", {found.sampled:,} of them looked at"
    out.print(
        f"{plural(found.judged, 'judgement')}, {plural(found.rows, 'record')}{sampled}; "
        f"coverage {found.coverage[0]:.1%}, with all suggestions {found.coverage[1]:.1%}",
        highlight=False,
    )
    if found.suggestions:
        out.print()
        out.print(_table(found))
        _examples(out, found)
        out.print("\nlfs:", highlight=False)
        for one in found.suggestions:
            out.print(f"  {printable(entry_line(one.entry))}", highlight=False, soft_wrap=True)
        out.print(
            f"\nall together would move {plural(found.moved_by_all, 'label')} of the records "
            f"looked at\nnext: labelmill suggest {printable(job)} --accept 1,2 (or all), "
            "--reject 3 to see it no more",
            highlight=False,
            soft_wrap=True,
        )
    else:
        out.print("no function to suggest: none would add enough that is right", highlight=False)
    if found.faulty:
        out.print("\nto remove or fix:", highlight=False)
        for faulty in found.faulty:
            line = f"  {faulty.name} ({faulty.why}): {faulty.said}"
            out.print(printable(line), highlight=False, soft_wrap=True)
    if found.classifier_carries:
        out.print(
            "\non this corpus a classifier carries the result: words and phrases are right less "
            "often than it is; `assist: {}` in the job file uses it "
            f"(accuracy {found.classifier_accuracy:.2f} on the judgements, many of them hard)",
            highlight=False,
            soft_wrap=True,
        )


def _table(found: Suggested) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "looks for", "votes for"):
        table.add_column(name, overflow="fold")
    for name in ("precision 95 %", "judged right", "hits", "new", "moves"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found.suggestions:
        table.add_row(
            str(one.number),
            printable(one.shown),
            printable(one.label),
            f"{one.low:.2f}-{one.high:.2f}",
            f"{one.right} of {one.judged}",
            f"{one.hits:,}",
            f"{one.new:,} ({one.share_new:.1%})",
            f"{one.moved:,}",
        )
    return table


def _examples(out: Console, found: Suggested) -> None:
    out.print("\nrecords that the classifier is least sure of:", highlight=False)
    for one in found.suggestions:
        for record_id, text in one.examples:
            short = " ".join(text.split())[:_EXCERPT]
            line = f"  {one.number} {one.label}: {short} ({record_id})"
            out.print(printable(line), highlight=False, soft_wrap=True)
