"""What several commands show alike: lines, the LF table, scores on gold, what the model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import ASCII2, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipelines.screen_lf_table import lf_table
from pipelines.screen_text import plural, printable, share

GOLD_WIDTH = 86
"""Columns that all scores on gold take."""


COSTLY_SHARE = 0.5
"""Share of the records from which an expression that `re` has to decide on is named."""

TAKEN_FOR = {"crowd": "annotators, who vote where they are asked"}
"""What a run says of its sources; of a mixture the warnings say it."""

MOST_FUNCTIONS = 100
"""Rows of the LF table that a run shows."""


class ScreenParts:
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

    def warnings(self, warnings: Sequence[str]) -> None:
        """Show what needs attention."""
        for warning in warnings:
            self.line(f"[yellow]warning:[/] {printable(warning)}")

    def functions(self, lfs: Sequence[Mapping[str, Any]], counts: Mapping[str, Any]) -> None:
        """Show the LF table; of many functions those that failed, and the first."""
        rows = list(range(len(lfs)))
        if len(lfs) > MOST_FUNCTIONS:
            bad = [counts["faults"][n] + counts["invalid"][n] for n in rows]
            rows = sorted(sorted(rows, key=lambda n: -bad[n])[:MOST_FUNCTIONS])
        keys = [
            key for key in ("faults", "invalid", "seconds", "times", "searched") if key in counts
        ]
        shown = {key: [counts[key][n] for n in rows] for key in keys}
        self.line()
        self.console.print(lf_table(self.console, [lfs[n] for n in rows], shown))
        self.searched([lf["name"] for lf in lfs], counts)
        if len(rows) < len(lfs):
            self.line(f"and {len(lfs) - len(rows):,} more functions; --json lists them")

    def searched(self, names: Sequence[str], counts: Mapping[str, Any]) -> None:
        """Name the expressions that the scan could not decide on most records, with their cost."""
        costly = [
            f"{printable(name)} ({searched:.0%} of the records, {seconds:.2f} s)"
            for name, searched, seconds in zip(
                names, counts.get("searched", ()), counts.get("seconds", ()), strict=False
            )
            if searched > COSTLY_SHARE
        ]
        if costly:
            self.line(f"[yellow]searched with re one by one:[/] {', '.join(costly[:10])}")

    def usage(self, usage: Mapping[str, Mapping[str, float]], title: str = "used") -> None:
        """Show what functions that cost money used, or would use."""
        for lf, used in usage.items():
            tokens = used.get("prompt_tokens", 0) + used.get("completion_tokens", 0)
            parts = [f"{used.get('requests', 0):,.0f} requests", f"{tokens:,.0f} tokens"]
            parts += [f"cost {used['cost']:,.4g}"] if used.get("cost") else []
            for name in ("cached", "refused", "unparsed", "unasked", "failed"):
                parts += [f"{used[name]:,.0f} {name}"] if used.get(name) else []
            self.line(f"[bold]{printable(lf)}[/] {title}: {', '.join(parts)}")

    def gold(self, gold: Mapping[str, Any] | None) -> None:
        """Show scores of model and majority vote, over all records and over covered ones."""
        if gold and gold["fit_records"] and not gold["eval_records"]:
            self.line(
                f"\n{plural(gold['fit_records'], 'gold record')} informed the fit; none were left "
                "to score it"
            )
        if not gold or not gold["eval_records"]:
            return
        titles = {
            "accuracy": "accuracy",
            "log_loss": "log loss",
            "brier": "Brier",
            "ece": "ECE",
        }
        if self.console.is_terminal and self.console.width < GOLD_WIDTH:
            del titles["brier"]
        heads = ["on gold", "records", *titles.values()]
        table = self.table([*heads[:3], "95 %", *heads[3:]])
        for scope, n in (("covered", gold["eval_covered"]), ("all", gold["eval_records"])):
            for name, title in (("model", "label model"), ("majority_vote", "majority vote")):
                scores = gold[name][scope]
                if scores is not None:
                    interval = f"{scores['accuracy_low']:.3f}-{scores['accuracy_high']:.3f}"
                    accuracy, *others = (share(scores[key]) for key in titles)
                    table.add_row(f"{title}, {scope}", f"{n:,}", accuracy, interval, *others)
        self.line()
        self.console.print(table)
        bins = [
            f"{b['confidence']:.2f} is {b['accuracy']:.2f} ({b['records']:,.0f})"
            for b in gold.get("reliability", ())
        ]
        if bins:
            self.line(f"probability and share right (records): {', '.join(bins)}")
        if gold["fit_records"]:
            self.line(f"{gold['fit_records']:,} other gold records informed the fit")

    def assist(self, assist: Mapping[str, Any] | None) -> None:
        """Show scores of assisted labels, by where they come from."""
        if assist is None:
            return
        self.line(
            f"\na classifier trained on {plural(int(assist['judged']), 'judged record')} assisted; "
            f"on those, each left out, accuracy {share(assist['accuracy'])}, log loss "
            f"{share(assist['log_loss'])}"
        )
        if assist["scores"]:
            table = self.table(["on gold, by source", "records", "accuracy", "log loss"])
            for source, found in assist["scores"].items():
                scores = share(found["accuracy"]), share(found["log_loss"])
                table.add_row(source, f"{found['records']:,}", *scores)
            self.console.print(table)

    def model(self, model: Mapping[str, Any]) -> None:
        """Show what the model says of itself."""
        if model["fallback"]:
            self.line(f"[bold red]majority vote was used:[/] {printable(model['fallback'])}")
        if model.get("kept"):
            self.line(
                f"the label model of the version before was kept (model.refit); votes drifted by "
                f"{share(model['drift'])} since it was fitted"
            )
        if model.get("regime") in TAKEN_FOR:
            self.line(f"the label model took its sources for {TAKEN_FOR[model['regime']]}")
        fallback = model["fallback"]  # said above, so not again among the warnings
        self.warnings([w for w in model["warnings"] if not (fallback and w.endswith(fallback))])
