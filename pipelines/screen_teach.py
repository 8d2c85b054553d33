"""What the commands for teaching show."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from labelmill.jobedit import entry_line
from labelmill.teach.choosing import LEAST_JUDGED
from pipelines.judging import Drawn, Read
from pipelines.judgingeffect import Scored
from pipelines.screen_records import print_records
from pipelines.screen_text import plural, printable
from pipelines.suggesting import Suggested
from pipelines.trying import Tried

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


def print_drawn(out: Console, drawn: Drawn, job: str) -> None:
    """Show which records were drawn, and where they are."""
    lines = [
        f"{plural(len(drawn.sheet.records), 'record')} to judge, {drawn.why}",
        f"form: {drawn.files.form}",
        f"CSV:  {drawn.files.csv} (fill in the column label; ? where you cannot tell)",
        f"next: judge them, then labelmill judge read {job} FILE",
    ]
    for line in lines:
        out.print(printable(line), highlight=False, soft_wrap=True)


def print_read(out: Console, found: Read, job: str) -> None:
    """Show what was added, and what it bought."""
    added = found.added
    said = [f"{plural(added.new, 'judgement')} added to {found.path}"]
    said += [f"{added.known} known before"] if added.known else []
    said += [f"{added.replaced} replaced"] if added.replaced else []
    said += [f"{found.unsure} not sure"] if found.unsure else []
    said += [f"{found.missing} without an answer"] if found.missing else []
    out.print(printable("; ".join(said)), highlight=False, soft_wrap=True)
    if found.section:
        out.print(f"the job file has a section `{found.section}` now, which reads them")
    spent = "" if found.minutes is None else f", {found.minutes:.0f} minutes"
    out.print(f"{plural(found.judged, 'judgement')} for the fit{spent}", highlight=False)
    if found.effect is not None:
        out.print()
        out.print(_effect_table(found))
    more = "judge draw" if found.judged < LEAST_JUDGED else "suggest"
    out.print(f"next: labelmill {more} {printable(job)}", highlight=False, soft_wrap=True)


def _effect_table(found: Read) -> Table:
    assert found.effect is not None
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"on {plural(found.effect.records, 'record')}: {found.effect.on}")
    for name in ("accuracy before", "after", "log loss before", "after"):
        table.add_column(name, justify="right")
    for name, (before, after) in found.effect.scores.items():
        cells = [
            _number(score, part) for part in ("accuracy", "log_loss") for score in (before, after)
        ]
        table.add_row(name, *cells)
    return table


def _number(score: Scored | None, part: str) -> str:
    return "-" if score is None else f"{getattr(score, part):.3f}"


def print_tried(out: Console, found: Tried) -> None:
    """Show what a function does on a sample."""
    said = [
        f"{found.name}: votes on {found.hits:,} of {plural(found.rows, 'record')}, "
        f"{found.new:,} of them covered by no other function",
        f"others vote on {found.overlap:,} of them, otherwise on {found.conflict:,}",
    ]
    if found.judged:
        said.append(
            f"right on {found.right} of {plural(found.judged, 'judged record')}, precision "
            f"{found.low:.2f}-{found.high:.2f} (95 %)"
        )
    else:
        said.append("no judged record among them says how right it is")
    said.append(
        f"{plural(found.moved, 'label')} would move"
        if found.entry
        else f"{plural(found.moved, 'label')} would be another without it"
    )
    for line in said:
        out.print(printable(line), highlight=False, soft_wrap=True)
    for move in found.moves:
        line = f"  {move.records:,} {move.before or 'uncovered'} -> {move.after or 'uncovered'}"
        out.print(printable(line), highlight=False)
    for partner in found.partners:
        line = f"  with {partner.name}: {partner.together:,} records, agrees on {partner.agree:,}"
        out.print(printable(line), highlight=False)
    parts = (("examples", found.examples), ("in conflict", found.conflicts), ("wrong", found.wrong))
    for title, examples in parts:
        if examples:
            out.print(f"\n{title}:", highlight=False)
            print_records(out, examples, with_vote=False)
    if found.entry is not None:
        out.print("\nlfs:", highlight=False)
        out.print(f"  {printable(entry_line(found.entry))}", highlight=False, soft_wrap=True)
