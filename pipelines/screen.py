"""What a person reads: the plan, the LF table and the summary of a run, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import ASCII2, SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labelmill.apply import Fault
from labelmill.publication import RunOutcome
from pipelines.lfs import SampleAnalysis
from pipelines.plan import Plan
from pipelines.run import Finished


def printable(text: str) -> str:
    """Return corpus or user text with control characters made visible and markup inert."""
    return escape("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))


def share(value: float | None) -> str:
    """Return a share as three decimals, or a dash."""
    return "-" if value is None else f"{value:.3f}"


class Screen:
    """Prints to a terminal with colour, or plainly to a pipe.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def line(self, markup: str = "") -> None:
        """Print one line of rich markup."""
        self.console.print(markup, highlight=False, soft_wrap=True)

    def table(self, columns: Sequence[str], left: int = 1) -> Table:
        """Return an empty table whose first `left` columns hold text and the others numbers."""
        box = SIMPLE_HEAD if self.console.is_terminal else ASCII2
        table = Table(box=box, pad_edge=False, header_style="bold", show_edge=False)
        for position, name in enumerate(columns):
            table.add_column(name, justify="left" if position < left else "right", no_wrap=True)
        return table

    def plan(self, plan: Plan, runner: str) -> None:
        """Show what would run."""
        shards = plan.corpus.shards
        exact = all(shard.rows is not None for shard in shards)
        rows = f"{'' if exact else 'about '}{plan.rows_of(shards):,} records"
        self.line(
            f"[bold]{printable(plan.job.name)}[/]: {_plural(len(shards), 'shard')}, {rows}, "
            f"{sum(s.size for s in shards) / 2**20:,.1f} MB, "
            f"{_plural(len(plan.prepared.table.lfs), 'function')}, {len(plan.job.labels)} classes"
        )
        if plan.unchanged:
            assert plan.parent is not None
            self.line(f"nothing to do: version {plan.parent.version} is up to date")
        else:
            todo = plan.to_vote
            reused = _plural(len(shards) - len(todo), "shard")
            self.line(
                f"to vote on: {_plural(len(todo), 'shard')} ({plan.rows_of(todo):,} records), "
                f"reused: {reused}; about {plan.projected_seconds:.1f} s of function time on one "
                f"core; {runner}"
            )
        self.sample_table(plan)
        self.warnings(plan.warnings)

    def sample_table(self, plan: Plan) -> None:
        """Show votes and speed of each function on the plan's sample."""
        sample = plan.sample
        if sample.applied is None:
            return
        outcomes = sample.applied.outcomes
        self.line(f"\non the first {sample.rows:,} records:")
        table = self.table(["function", "kind", "votes", "faults", "invalid", "us/record"], left=2)
        for n, lf in enumerate(plan.prepared.table.lfs):
            table.add_row(
                printable(lf.name),
                lf.kind,
                f"{outcomes.votes[n]:,}",
                _count(outcomes.faults[n]),
                _count(outcomes.invalid[n]),
                f"{outcomes.seconds[n] / sample.rows * 1e6:.2f}",
            )
        self.console.print(table)

    def warnings(self, warnings: Sequence[str]) -> None:
        """Show what needs attention."""
        for warning in warnings:
            self.line(f"[yellow]warning:[/] {printable(warning)}")

    def summary(self, plan: Plan, finished: Finished) -> None:
        """Show how a run ended and what it found."""
        outcome, details = finished.outcome, finished.outcome.details
        if not details:
            return
        counts, summary = details["counts"], details["summary"]
        rows, covered = counts["rows"], counts["covered"]
        self._head(plan, finished)
        reused = details["shards_reused"]
        parts = [
            _plural(rows, "record"),
            f"{covered:,} covered ({_percent(covered, rows)})",
            _plural(summary["totals"]["patterns"], "vote pattern"),
            _plural(counts["shards"], "shard") + (f" ({reused} reused)" if reused else ""),
            f"{finished.seconds:.1f} s",
        ]
        self.line(", ".join(parts))
        self.classes(plan.job.labels, counts, summary)
        self.functions(summary["lfs"], counts)
        self.gold(summary["gold"])
        self.model(summary["model"])
        self.troubles(counts, details["gates"], plan)
        self.next_steps(plan, outcome, summary)

    def _head(self, plan: Plan, finished: Finished) -> None:
        outcome = finished.outcome
        uri = printable(plan.job.output.uri)
        if outcome.status == "published":
            self.line(
                f"[bold green]published[/] version {outcome.version} of "
                f"[bold]{printable(plan.job.name)}[/] in {uri}"
            )
        else:
            self.line(f"[bold red]{outcome.status}[/]: nothing was published in {uri}")

    def classes(
        self, names: Sequence[str], counts: Mapping[str, Any], summary: Mapping[str, Any]
    ) -> None:
        """Show the distribution of the labels of covered records."""
        table = self.table(["class", "labels", "share", "class balance"])
        balance = summary["model"]["class_balance"]
        for name, count, prior in zip(names, counts["class_counts"], balance, strict=True):
            table.add_row(
                printable(name), f"{count:,}", _percent(count, counts["covered"]), share(prior)
            )
        self.line()
        self.console.print(table)

    def functions(self, lfs: Sequence[Mapping[str, Any]], counts: Mapping[str, Any]) -> None:
        """Show the LF table."""
        has_gold = any(lf["gold_votes"] for lf in lfs)
        columns = ["function", "votes for", "votes", "coverage", "overlap", "conflict", "learned"]
        columns += ["on gold"] if has_gold else []
        columns += ["faults", "invalid"]
        table = self.table(columns, left=2)
        for n, lf in enumerate(lfs):
            name = printable(lf["name"]) + (" [red](not used)[/]" if lf["quarantined"] else "")
            row = [
                name,
                printable(_short_list(lf["classes"])),
                f"{lf['votes']:,}",
                share(lf["coverage"]),
                share(lf["overlap"]),
                share(lf["conflict"]),
                share(lf["learned_accuracy"]),
            ]
            row += [share(lf["gold_accuracy"])] if has_gold else []
            table.add_row(*row, _count(counts["faults"][n]), _count(counts["invalid"][n]))
        self.line()
        self.console.print(table)

    def speeds(self, found: SampleAnalysis) -> None:
        """Show what each function costs per record, the slowest first."""
        costs = sorted(
            zip(found.outcomes.seconds, found.summary["lfs"], strict=True),
            key=lambda pair: -pair[0],
        )
        shown = [f"{printable(lf['name'])} {s / found.rows * 1e6:.1f}" for s, lf in costs[:5]]
        total = sum(found.outcomes.seconds) / found.rows * 1e6
        self.line(f"us/record: {total:.1f} in all; {', '.join(shown)}")

    def faults(self, faults: Sequence[Fault]) -> None:
        """Show the first failure of each function."""
        first = {fault.lf: fault for fault in reversed(faults)}
        for fault in sorted(first.values(), key=lambda f: f.lf):
            self.line(
                f"[red]{fault.outcome}[/] {printable(fault.lf)} on {printable(fault.id)}: "
                f"{printable(fault.type)}: {printable(fault.message)}"
            )

    def gold(self, gold: Mapping[str, Any] | None) -> None:
        """Show scores of model and majority vote, over all records and over covered ones."""
        if gold and gold["fit_records"] and not gold["eval_records"]:
            self.line(
                f"\n{_plural(gold['fit_records'], 'gold record')} informed the fit; none were left "
                "to score it"
            )
        if not gold or not gold["eval_records"]:
            return
        table = self.table(["on gold", "records", "accuracy", "95 %", "log loss", "Brier", "ECE"])
        for scope, n in (("covered", gold["eval_covered"]), ("all", gold["eval_records"])):
            for name, title in (("model", "label model"), ("majority_vote", "majority vote")):
                scores = gold[name][scope]
                if scores is not None:
                    interval = f"{scores['accuracy_low']:.3f}-{scores['accuracy_high']:.3f}"
                    table.add_row(
                        f"{title}, {scope}",
                        f"{n:,}",
                        share(scores["accuracy"]),
                        interval,
                        share(scores["log_loss"]),
                        share(scores["brier"]),
                        share(scores["ece"]),
                    )
        self.line()
        self.console.print(table)
        if gold["fit_records"]:
            self.line(f"{gold['fit_records']:,} other gold records informed the fit")

    def model(self, model: Mapping[str, Any]) -> None:
        """Show what the model says of itself."""
        if model["fallback"]:
            self.line(f"[bold red]majority vote was used:[/] {printable(model['fallback'])}")
        fallback = model["fallback"]  # said above, so not again among the warnings
        self.warnings([w for w in model["warnings"] if not (fallback and w.endswith(fallback))])

    def troubles(
        self, counts: Mapping[str, Any], gates: Sequence[Mapping[str, Any]], plan: Plan
    ) -> None:
        """Show bad records, duplicates, faults and overridden gates."""
        notes = []
        if counts["bad_records"]:
            notes.append(
                f"{_plural(counts['bad_records'], 'bad record')}, not readable; see faults/ in the "
                "data set"
            )
        if counts["duplicate_ids"]:
            notes.append(
                f"{counts['duplicate_ids']:,} repeated ids in column {plan.job.input.id!r}; "
                "labels are joined by id"
            )
        failed = sum(counts["faults"]) + sum(counts["invalid"])
        if failed:
            notes.append(
                f"{failed:,} faults and invalid results; samples are in the data set's faults/"
            )
        notes += [f"gate {g['name']} overridden: {g['message']}" for g in gates if g["accepted"]]
        self.warnings(notes)

    def next_steps(self, plan: Plan, outcome: RunOutcome, summary: Mapping[str, Any]) -> None:
        """Say where the labels are and what is worth doing next."""
        if outcome.status != "published":
            return
        uri = printable(plan.job.output.uri)
        self.line()
        self.line(f'[bold]read:[/] labelmill.open_labels("{uri}").to_table().to_pandas()')
        gold = summary["gold"]
        if not gold and plan.job.gold is not None:
            self.warnings(["no gold label has a record: check the id columns and gold.column"])
        elif not gold:
            self.line(
                "[bold]next:[/] judge 50 random records and name them as gold with fit: 1.0; that "
                "is worth more than any label model"
            )
        elif not gold["fit_records"]:
            self.line(
                "[bold]next:[/] gold only scored this run; --set gold.fit=0.01 lets a random share "
                "of it inform the model"
            )


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _count(value: int) -> Text | str:
    return Text(f"{value:,}", style="red") if value else "0"


def _short_list(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} +{len(names) - 2}"
