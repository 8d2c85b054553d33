"""What a person reads of why a record has its label."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.text import Text

from pipelines.explaining import ExplainedRecord, Explanation, Terms
from pipelines.screen_parts import ScreenParts
from pipelines.screen_text import plural, printable, visible

MOST_CLASSES = 6
"""Classes that have a column, the most probable first."""


def print_explanation(console: Console, found: ExplainedRecord) -> None:
    """Print the explanation of all records of one id."""
    screen = ScreenParts(console)
    for record in found.records:
        _print_record(screen, record)
    screen.line(
        f"\nversion {found.version} of {printable(found.job)}, "
        f"started {printable(found.started or '-')}, run {printable(found.run_id or '-')}"
    )
    screen.line(f"label model {printable(found.model)}, digest {found.model_digest}")
    if found.code:
        screen.line(f"all modules of the functions: {found.code}")
    if found.fallback:
        screen.line(f"[bold red]majority vote was used:[/] {printable(found.fallback)}")
    if len(found.records) > 1:
        screen.line(f"[yellow]warning:[/] {plural(len(found.records), 'record')} have this id")


def _print_record(screen: ScreenParts, record: Explanation) -> None:
    screen.line(
        f"[bold]{printable(record.id)}[/]: {printable(record.label)}, "
        f"probability {record.confidence:.4f}" + ("" if record.covered else ", no votes")
    )
    if record.origin != "votes":
        best = max(record.posterior, key=lambda name: record.posterior[name])
        alone = f"{printable(best)} with {record.posterior[best]:.4f}"
        screen.line(
            f"a classifier assisted ({record.origin}); the label model alone says {alone}, as below"
            if record.origin == "assisted"
            else "no function voted; a classifier answered (model), not the label model below"
        )
    _print_terms(screen, record)
    lineage = record.lineage
    screen.line(
        f"\nread from {printable(lineage.file)}, {lineage.unit} {lineage.start:,} to "
        f"{lineage.stop:,}, record {lineage.row:,} of the shard {lineage.shard}"
    )
    for kind, path in lineage.files.items():
        screen.line(f"  {kind}: {printable(path)}")
    for vote in record.votes:
        where = ""
        if vote.source is not None:
            source = vote.source
            where = "the job file" if source.module is None else f"{source.module}:{source.line}"
            where = f" from {printable(where)}"
        screen.line(
            f"\n[bold]{printable(vote.function)}[/] ({printable(vote.kind)}, fingerprint "
            f"{vote.fingerprint}){where}"
        )
        text = "its source was not stored" if vote.source is None else vote.source.text
        for line in text.splitlines():
            screen.line(f"    {printable(line)}")


def _print_terms(screen: ScreenParts, record: Explanation) -> None:
    """Print what each vote adds per class, in nats; columns add up to the last row but one."""
    classes = sorted(record.posterior, key=lambda name: -record.posterior[name])[:MOST_CLASSES]
    table = screen.table(["adds (nats)", "votes for", *map(visible, classes)], left=2)

    def row(name: str, label: str, terms: Terms | None) -> None:
        cells = ["not used" if terms is None else f"{terms[c]:+.4f}" for c in classes]
        table.add_row(Text(visible(name)), Text(visible(label)), *cells)

    row("class balance" if record.covered else "answer without votes", "", record.prior)
    for vote in record.votes:
        row(vote.function, vote.label, vote.terms)
    rows = [("all that abstain", record.abstain), ("last step of the model", record.adjustment)]
    for name, terms in rows:
        if any(terms.values()):
            row(name, "", terms)
    row("sum", "", _sum(record))
    shares = (f"{record.posterior[name]:.4f}" for name in classes)
    table.add_row(Text("probability"), Text(""), *shares)
    screen.console.print(table)


def _sum(record: Explanation) -> Terms:
    parts = [record.prior, record.abstain, record.adjustment]
    parts += [vote.terms for vote in record.votes if vote.terms is not None]
    return {name: float(np.sum([part[name] for part in parts])) for name in record.posterior}
