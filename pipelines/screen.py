"""What a person reads of plans and runs: the plan, its sample, the summary of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labelmill.outcomes import Fault
from labelmill.publication import RunOutcome
from labelmill.submission import Submission
from labelmill.votetable import unmatched_votes
from pipelines.capacity import Projection
from pipelines.plan import Plan
from pipelines.screen_faults import fault_line
from pipelines.screen_lf_table import count
from pipelines.screen_parts import ScreenParts
from pipelines.screen_slices import print_slices
from pipelines.screen_text import duration, percent, plural, printable, share
from pipelines.screen_work import work_lines

if TYPE_CHECKING:
    from pipelines.run import Finished  # it imports Beam

__all__ = ["Screen", "printable", "share"]


LONG_SHARD = 60
"""Seconds of a shard from which it matters that no number of workers shortens it."""


class Screen(ScreenParts):
    """Shows plans and runs on a terminal, or plainly to a pipe."""

    def plan(self, plan: Plan, runner: str, projection: Projection | None = None) -> None:
        """Show what would run."""
        shards = plan.corpus.shards
        rows = f"{'' if plan.rows_exact else 'about '}{plan.rows_of(shards):,} records"
        self.line(
            f"[bold]{printable(plan.job.name)}[/]: {plural(len(shards), 'shard')}, {rows}, "
            f"{sum(s.size for s in shards) / 2**20:,.1f} MB, "
            f"{plural(len(plan.prepared.table.lfs), 'function')}, {len(plan.job.labels)} classes"
        )
        if plan.unchanged:
            assert plan.parent is not None
            self.line(f"nothing to do: version {plan.parent.version} is up to date")
        else:
            self.work(plan)
            self.line(
                f"about {plan.projected_seconds:.1f} s of function time on one core; {runner}"
            )
            if projection is not None:
                self.projection(projection)
        self.sample_table(plan)
        self.usage(plan.projected_usage, "would use at most, projected from the sample")
        self.warnings(plan.warnings)

    def projection(self, projection: Projection) -> None:
        """Show how long it takes on an engine, and of what that consists."""
        guess = "" if projection.is_measured else " (not measured)"
        self.line(
            f"on {projection.engine} with {plural(projection.workers, 'worker')} about "
            f"{duration(projection.seconds)}, {projection.core_hours:,.2f} core hours: "
            f"start {duration(projection.start)}{guess}, work {duration(projection.working)}, "
            f"fit and commit {duration(projection.ending)}"
        )
        if projection.working <= projection.largest_shard > LONG_SHARD:
            self.line(
                f"the largest shard takes {duration(projection.largest_shard)}: smaller shards "
                "(input.shard_mb) would use more workers"
            )

    def work(self, plan: Plan) -> None:
        """Show which functions run on which shards, and why."""
        for line in work_lines(plan):
            self.line(line)

    def sample_table(self, plan: Plan) -> None:
        """Show votes and speed of each function on the plan's sample."""
        sample = plan.sample
        outcomes = sample.outcomes
        if outcomes is None:
            return
        self.line(f"\non the first {sample.rows:,} records:")
        table = self.table(["function", "kind", "votes", "faults", "invalid", "us/record"], left=2)
        for n in sorted(plan.work.running):
            lf = plan.prepared.table.lfs[n]
            table.add_row(
                printable(lf.name),
                lf.kind,
                f"{outcomes.votes[n]:,}",
                count(outcomes.faults[n]),
                count(outcomes.invalid[n]),
                f"{sample.seconds[n] * 1e6:.2f}",
            )
        self.console.print(table)

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
            plural(rows, "record"),
            f"{covered:,} covered ({percent(covered, rows)})",
            plural(summary["totals"]["patterns"], "vote pattern"),
            plural(counts["shards"], "shard") + (f" ({reused} reused)" if reused else ""),
            f"{finished.seconds:.1f} s",
        ]
        self.line(", ".join(parts))
        self.classes(plan.job.labels, counts, summary)
        times = {key: details[f"lf_{key}"] for key in ("seconds", "times", "searched")}
        self.functions(summary["lfs"], {**counts, **times})
        self.usage(details["lf_usage"])
        self.gold(summary["gold"])
        print_slices(self, summary.get("slices", ()), plan.job.labels, rows)
        self.assist(summary.get("assist"))
        self.model(summary["model"])
        self.troubles(counts, details["gates"], plan, outcome.status == "published")
        self.failures(plan, counts, details["failures"])
        self.next_steps(plan, outcome, summary)

    def submitted(self, submission: Submission, uri: str, status: str) -> None:
        """Say that a run was handed to an engine, and how to follow it."""
        self.line(
            f"[bold]{status}[/] {submission.engine_job} to {submission.runner}: "
            f"{plural(submission.to_vote, 'shard')} to vote on, of {submission.shards:,}"
        )
        if status == "submitted":
            self.line(f"follow it with: labelmill status {printable(uri)}")

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
        for name, number, prior in zip(names, counts["class_counts"], balance, strict=True):
            table.add_row(
                printable(name), f"{number:,}", percent(number, counts["covered"]), share(prior)
            )
        self.line()
        self.console.print(table)

    def troubles(
        self,
        counts: Mapping[str, Any],
        gates: Sequence[Mapping[str, Any]],
        plan: Plan,
        published: bool,
    ) -> None:
        """Show bad records, duplicates, faults, votes that met no record and overridden gates."""
        notes = []
        dead_letters = "labelmill.open_faults()" if published else "the data set's faults/"
        if counts["bad_records"]:
            notes.append(
                f"{plural(counts['bad_records'], 'bad record')}, not readable; see {dead_letters}"
            )
        if counts["duplicate_ids"]:
            notes.append(
                f"{counts['duplicate_ids']:,} repeated ids in column {plan.job.input.id!r}; "
                "labels are joined by id"
            )
        failed = sum(counts["faults"]) + sum(counts["invalid"])
        if failed:
            notes.append(f"{failed:,} faults and invalid results; samples are in {dead_letters}")
        joined = [a + b for a, b in zip(counts["votes"], counts["invalid"], strict=True)]
        for table, missed, total in unmatched_votes(plan.prepared.functions(), joined):
            notes.append(
                f"{missed:,} of {plural(total, 'vote')} in {table.file} are on items that are no "
                f"record's id; compare its column {table.item!r} with input.id"
            )
        notes += [f"gate {g['name']} overridden: {g['message']}" for g in gates if g["accepted"]]
        self.warnings(notes)

    def failures(
        self, plan: Plan, counts: Mapping[str, Any], failures: Sequence[Mapping[str, Any]]
    ) -> None:
        """Show a failure of each of the functions that failed most, and what opens the others."""
        sources = [file.path for file in plan.prepared.code.files]
        for failure in failures:
            fault = Fault(**failure)
            n = plan.prepared.table.names.index(fault.lf)
            self.line(fault_line(fault, sources, counts["faults"][n] + counts["invalid"][n]))

    def next_steps(self, plan: Plan, outcome: RunOutcome, summary: Mapping[str, Any]) -> None:
        """Say where the labels are and what is worth doing next."""
        if outcome.status != "published":
            return
        uri = printable(plan.job.output.uri)
        self.line()
        self.line(f'[bold]read:[/] labelmill.open_labels("{uri}").to_table().to_pandas()')
        self.line(f"[bold]report:[/] labelmill report {uri}")
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
