"""What `labelmill lfs` shows of a sample: table, pairs worth a look, examples, failures."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from labelmill.apply import Fault
from pipelines.lf_changes import VoteChange, compare
from pipelines.lf_examples import FunctionExamples
from pipelines.lf_pairs import Pair
from pipelines.lfs import SampleAnalysis
from pipelines.screen_faults import fault_line
from pipelines.screen_lf_table import lf_table
from pipelines.screen_parts import ScreenParts
from pipelines.screen_records import print_records
from pipelines.screen_slices import print_slices
from pipelines.screen_text import percent, plural, printable, share, visible

PAIRS_SHOWN = 5
LEAST_ROWS = 8
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class View:
    """What to show of a sample.

    Attributes:
        named: Functions to show in depth; all of them in one table when empty.
        before: The run that this one is compared with, if there is one.
        height: Lines that there are; what matters least is left out. None for no limit.
    """

    named: Sequence[str] = ()
    before: SampleAnalysis | None = None
    height: int | None = None


@dataclass(frozen=True)
class _Section:
    """A part of the screen; `rank` says which parts are left out first where space is short."""

    rank: int
    show: Callable[[], None]


class LFScreen(ScreenParts):
    """Shows labeling functions on a sample, on a terminal or plainly to a pipe."""

    def sample(self, found: SampleAnalysis, view: View) -> None:
        """Show a sample."""
        changes = None if view.before is None else compare(view.before, found)
        sections = [
            _Section(0, lambda: self.head(found, view.before, changes)),
            _Section(2, lambda: self.table_of(found, view.named, changes)),
            _Section(1, lambda: self.faults(found, view.named)),
            *(
                _Section(3, partial(self.examples, found, name, shown))
                for name, shown in found.examples.items()
            ),
            *(_Section(5, partial(self.partners, found, name)) for name in view.named),
        ]
        if not view.named:
            sections += [
                _Section(4, lambda: self.uncovered(found)),
                _Section(5, lambda: self.pairs(found)),
                _Section(6, lambda: self.gold(found.summary["gold"])),
                _Section(6, lambda: self.slices(found)),
                _Section(3, lambda: self.model(found.summary["model"])),
            ]
        sections.append(_Section(3, lambda: self.costs(found)))
        sections.append(_Section(7, lambda: self.speeds(found, view.named)))
        if view.height is None:
            for section in sections:
                section.show()
        else:
            shorter = partial(self.table_of, found, view.named, changes)
            self._fit(sections, shorter, view.height)

    def _fit(self, sections: Sequence[_Section], table: Callable[[int], None], height: int) -> None:
        """Show the sections that fit into `height` lines; the table gives way by rows."""
        texts: dict[int, str] = {}
        room = height
        for place, section in sorted(enumerate(sections), key=lambda pair: pair[1].rank):
            text = self.text_of(section.show)
            if section.rank == 2 and self.height_of(text) > room:
                text = self.text_of(partial(table, max(room * 2 // 3, LEAST_ROWS)))
            lines = self.height_of(text)
            if lines <= room or section.rank <= 2:
                texts[place] = text
                room -= lines
        self.console.file.write("".join(texts[place] for place in sorted(texts)))

    def height_of(self, text: str) -> int:
        """Return the lines that printed text takes on this terminal, with those it wraps to."""
        width = max(self.console.width, 1)
        lines = [cell_len(_STYLE.sub("", line)) for line in text.split("\n")[:-1]]
        return sum(max(-(-length // width), 1) for length in lines)

    def text_of(self, show: Callable[[], None]) -> str:
        """Return what `show` would print."""
        with self.console.capture() as captured:
            show()
        return captured.get()

    def head(
        self,
        found: SampleAnalysis,
        before: SampleAnalysis | None = None,
        changes: Mapping[str, VoteChange] | None = None,
    ) -> None:
        """Say what was looked at, how much of it is covered, and what an edit did to that."""
        where = (
            "all shards"
            if found.shards == found.n_shards
            else f"{found.shards:,} of {found.n_shards:,} shards"
        )
        parts = [f"{plural(found.rows, 'record')} from {where}"]
        parts.append(plural(len(found.table.lfs), "function"))
        for key, title in (("covered", "covered"), ("conflict", "in conflict")):
            now = found.summary["totals"][key]
            part = f"{percent(now, found.rows)} {title}"
            if before is not None and changes is not None:
                difference = now - before.summary["totals"][key]
                part += f" ({difference:+,})" if difference else ""
            parts.append(part)
        self.console.print(", ".join(parts), highlight=False)
        if changes is not None and not any(change.any for change in changes.values()):
            self.line("[dim]no vote changed[/]")
        gone = [name for name, change in (changes or {}).items() if change.gone]
        if gone:
            self.line(f"gone since the last run: {printable(', '.join(gone))}")

    def table_of(
        self,
        found: SampleAnalysis,
        named: Collection[str],
        changes: Mapping[str, VoteChange] | None,
        lines: int | None = None,
    ) -> None:
        """Show the LF table, of the named functions or all; `lines` is what there is room for."""
        lfs = found.summary["lfs"]
        rows = [n for n, lf in enumerate(lfs) if not named or lf["name"] in named]
        left_out = 0
        if lines is not None and len(rows) + 3 > lines:  # a blank line, titles, a rule
            kept = max(lines - 4, 1)
            left_out = len(rows) - kept
            rows = sorted(sorted(rows, key=lambda n: self._importance(found, changes, n))[:kept])
        counts = {key: [values[n] for n in rows] for key, values in found.counts.items()}
        cells = None
        if changes is not None:
            cells = [_change(changes.get(lfs[n]["name"])) for n in rows]
        self.line()
        self.console.print(lf_table(self.console, [lfs[n] for n in rows], counts, cells))
        self.searched([lfs[n]["name"] for n in rows], counts)
        if left_out > 0:
            self.line(f"[dim]and {left_out:,} more functions[/]")

    @staticmethod
    def _importance(
        found: SampleAnalysis, changes: Mapping[str, VoteChange] | None, n: int
    ) -> tuple[bool, bool]:
        """Order functions by what a person who edits them wants to see."""
        failing = bool(found.outcomes.faults[n] or found.outcomes.invalid[n])
        change = (changes or {}).get(found.table.names[n])
        return (change is None or not change.any), not failing

    def costs(self, found: SampleAnalysis) -> None:
        """Show what functions that cost money used, or would use if they were asked."""
        self.usage(found.estimates, "was not asked (--ask does), it would use at most")
        self.usage(found.outcomes.usage)

    def speeds(self, found: SampleAnalysis, named: Collection[str] = ()) -> None:
        """Show what functions cost per record, the slowest first."""
        costs = sorted(
            zip(found.outcomes.seconds, found.table.names, strict=True), key=lambda pair: -pair[0]
        )
        chosen = [(s, name) for s, name in costs if not named or name in named][:5]
        shown = [f"{printable(name)} {_small(s / found.rows * 1e6)}" for s, name in chosen]
        total = sum(found.outcomes.seconds) / found.rows * 1e6
        text = f"\nus/record: {_small(total)} in all; {', '.join(shown)}"
        self.console.print(text, highlight=False)

    def faults(self, found: SampleAnalysis, named: Collection[str] = ()) -> None:
        """Show the first fault and invalid result of each function, where, and how many."""
        first: dict[tuple[str, str], Fault] = {}
        for fault in found.faults:
            first.setdefault((fault.lf, fault.outcome), fault)
        numbers = {"fault": found.outcomes.faults, "invalid": found.outcomes.invalid}
        for n, name in enumerate(found.table.names):
            for outcome, per_function in numbers.items():
                if (name, outcome) not in first or (named and name not in named):
                    continue
                line = fault_line(first[name, outcome], found.sources, per_function[n])
                self.console.print(line, highlight=False)

    def pairs(self, found: SampleAnalysis) -> None:
        """Show functions that vote alike, one inside another, or against each other."""
        pairs = found.pairs
        kinds = (
            ("near-duplicates", "near_duplicates", pairs.near_duplicates),
            ("inside", "inside", pairs.inside),
            ("conflict", "conflicting", pairs.conflicting),
        )
        if not any(shown for _, _, shown in kinds):
            return
        self.line()
        table = self.table(["pairs", "function", "and", "both vote", "agree", "shared"], left=3)
        for column in table.columns[1:3]:
            column.no_wrap, column.overflow = False, "fold"
        left_out = []
        for title, key, shown in kinds:
            for pair in shown[:PAIRS_SHOWN]:
                name = "same function" if pair.same else title
                table.add_row(name, visible(pair.first), visible(pair.second), *_numbers(pair))
            more = pairs.totals[key] - min(len(shown), PAIRS_SHOWN)
            if more:
                left_out.append(f"{title} {more:,}")
        self.console.print(table)
        if left_out:
            self.line(f"[dim]more: {', '.join(left_out)}; --json lists them[/]")

    def partners(self, found: SampleAnalysis, name: str) -> None:
        """Show the functions that vote on most of the records that `name` votes on."""
        partners = found.pairs.partners[found.table.names.index(name)]
        if not partners:
            return
        self.line()
        title = f"{visible(name)} votes with"
        table = self.table([title, "both vote", "agree", "shared"])
        for pair in partners:
            table.add_row(printable(pair.second), *_numbers(pair))
        self.console.print(table)

    def examples(self, found: SampleAnalysis, name: str, shown: FunctionExamples) -> None:
        """Show records that one function votes on, and where others disagree."""
        lf = found.summary["lfs"][found.table.names.index(name)]
        classes = printable(", ".join(lf["classes"])) or "nothing"
        self.line(
            f"\n[bold]{printable(name)}[/] votes for {classes} on {plural(lf['votes'], 'record')}"
        )
        several = len(lf["classes"]) > 1
        alone = lf["votes"] - shown.n_conflicts
        groups = (
            (f"no conflict ({alone:,})", shown.votes),
            (f"in conflict ({shown.n_conflicts:,})", shown.conflicts),
            (f"not what gold says ({shown.n_wrong:,})", shown.wrong),
        )
        for title, examples in groups:
            if examples:
                self.line(f"  [dim]{title}[/]")
                print_records(self.console, examples, with_vote=several)

    def slices(self, found: SampleAnalysis) -> None:
        """Show the job's slices of the sample."""
        slices = found.summary.get("slices", ())
        print_slices(self, slices, found.table.class_names, found.rows)

    def uncovered(self, found: SampleAnalysis) -> None:
        """Show records that no function votes on."""
        if found.uncovered:
            missing = found.rows - int(np.count_nonzero(np.diff(found.votes.indptr)))
            self.line(f"\n[bold]nobody votes on[/] {plural(missing, 'record')}, such as")
            print_records(self.console, found.uncovered, with_vote=False)


def _small(number: float) -> str:
    return f"{number:.1f}" if number >= 1 else f"{number:.2g}"


def _numbers(pair: Pair) -> tuple[str, str, str]:
    return f"{pair.together:,}", share(pair.agree / max(pair.together, 1)), share(pair.jaccard)


def _change(change: VoteChange | None) -> Text:
    """Return how a function's votes changed: new, gained, lost, for another class."""
    text = Text()
    if change is None:
        return text
    if change.new:
        return text.append("new", style="green")
    for number, sign, style in (
        (change.gained, "+", "green"),
        (change.lost, "-", "red"),
        (change.moved, "~", "yellow"),
    ):
        if number:
            text.append(" " if text else "").append(f"{sign}{number:,}", style=style)
    return text
