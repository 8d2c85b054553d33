"""What the commands for audits show."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from labelmill.audits.effort import Effort
from labelmill.audits.results import AuditResult
from pipelines.auditing import Drawn, ReadBack, Shown
from pipelines.screen_text import plural, printable

_MUCH_MISSING = 0.05


def print_audit_drawn(out: Console, drawn: Drawn, target: str) -> None:
    """Show what was drawn, of what, and where the forms are."""
    draw = drawn.draw
    n = len(draw.records)
    groups = f" by {draw.by}" if draw.by else ""
    lines = [
        f"audit {draw.id} of version {draw.version}: {plural(n, 'record')} of "
        f"{draw.population:,} in {len(draw.strata)} strata of confidence{groups}"
    ]
    lines += [f"  {count:,} left out: {reason}" for reason, count in draw.left_out.items()]
    for form in drawn.forms:
        who = f"{form.auditor}, " if form.auditor else ""
        lines.append(f"{who}{plural(form.records, 'record')}")
        lines.append(f"  form: {form.form}")
        lines.append(f"  CSV:  {form.csv} (fill in the column label; ? where you cannot tell)")
    lines.append(f"next: judge them, then labelmill audit read {target} FILE...")
    _print(out, lines)


def print_audit_read(out: Console, found: ReadBack, target: str) -> None:
    """Show what the audit found, and what is still to do."""
    _print_result(out, found.result)
    lines = []
    if found.added is not None:
        use = "inform the next fit" if found.role == "fit" else "score the next versions"
        lines.append(f"{plural(found.added.new, 'judgement')} added to {found.ledger}; they {use}")
    if found.section:
        lines.append(f"the job file has a section `{found.section}` now, which reads them")
    if not found.stored:
        lines.append("nothing new: these answers were read before")
    if found.adjudicate is not None:
        number = plural(found.adjudicate.records, "record")
        lines.append(f"auditors disagree on {number}; until it is settled they count in parts")
        lines.append(f"  form: {found.adjudicate.form}")
        lines.append(f"  CSV:  {found.adjudicate.csv}")
        lines.append(f"next: settle them, then labelmill audit read {target} FILE")
    elif found.no_form:
        lines.append(f"no form for the disagreements: {found.no_form}")
    _print(out, lines)


def print_shown(out: Console, found: Shown, target: str) -> None:
    """Show the audits of a version, and what people spent."""
    for result in found.audits:
        _print_result(out, result)
        out.print()
    lines = [f"audit {draw}: no answers yet" for draw in found.waiting]
    if not found.audits and not found.waiting:
        lines.append(f"version {found.version} was not audited; labelmill audit draw {target}")
    _print(out, lines)
    _print(out, effort_lines(found.effort))


def effort_lines(effort: Effort) -> list[str]:
    """Return what people spent, as lines."""
    parts = [
        ("for the fit", effort.fit, effort.fit_minutes),
        ("for scoring", effort.eval, effort.eval_minutes),
        ("in audits", effort.audit, effort.audit_minutes),
    ]
    spent = [
        f"{number:,} {name}" + ("" if minutes is None else f" ({minutes:,.0f} minutes)")
        for name, number, minutes in parts
        if number
    ]
    if not spent:
        return ["human effort: no judgements"]
    each = effort.labels_per_judgement
    assert each is not None
    lines = [f"human effort: {plural(effort.judgements, 'judgement')}: {', '.join(spent)}"]
    lines.append(f"{effort.labels:,} labels, {each:,.1f} for each judgement")
    return lines


def _audited(result: AuditResult) -> str:
    return f"{result.accuracy:.1%} ({result.low:.1%} to {result.high:.1%})"


def _print_result(out: Console, result: AuditResult) -> None:
    simple = (
        "all of them"
        if result.n_eff is None
        else f"as much as {result.n_eff:,.0f} drawn simply at random"
    )
    lines = [
        f"version {result.version}, audit {result.draw}: {_audited(result)} of "
        f"{plural(result.population, 'label')} are right, at 95 %",
        f"{result.n:,} of {plural(result.drawn, 'record')} judged, {simple}",
    ]
    silent = result.drawn - result.n - result.unsure
    if result.awaited:
        lines.append(f"no answers yet of {', '.join(result.awaited)}")
    elif silent or result.unsure:
        why = [f"{silent} without an answer"] if silent else []
        why += [f"{result.unsure} of which nobody was sure"] if result.unsure else []
        much = silent + result.unsure > _MUCH_MISSING * result.drawn
        trust = "; if these are the hard ones, the accuracy is too high" if much else ""
        lines.append(f"{' and '.join(why)}{trust}")
    if result.saw:
        lines.append(f"{plural(result.saw, 'record')} judged after a look at the published label")
    if result.twice:
        alpha = "cannot be told" if result.alpha is None else f"{result.alpha:.2f}"
        lines.append(
            f"{plural(result.twice, 'record')} judged more than once: answers differ on "
            f"{result.differed}, {result.disputed} not settled; Krippendorff's alpha {alpha}"
        )
        for pair in result.pairs:
            kappa = "-" if pair["kappa"] is None else f"{pair['kappa']:.2f}"
            names = " and ".join(pair["auditors"])
            lines.append(f"  {names}: {plural(pair['records'], 'record')}, kappa {kappa}")
        for one in () if result.disputed else result.checks:
            lines.append(
                f"  {one['auditor']}: wrong on {one['wrong']} of {one['checked']} settled records "
                f"that others judged too; {one['answers']} answers in all"
            )
    _print(out, lines)
    out.print(_classes(result))
    if result.slices:
        out.print(_slices(result))


def _classes(result: AuditResult) -> Table:
    table = _table("class", "precision", "95 %", "of", "recall", "95 %", "of")
    for one in result.per_class:
        table.add_row(
            printable(one.name),
            *_share(one.precision, one.precision_low, one.precision_high, one.labeled),
            *_share(one.recall, one.recall_low, one.recall_high, one.true),
        )
    return table


def _slices(result: AuditResult) -> Table:
    table = _table("slice", "accuracy", "95 %", "of", "labels")
    for one in result.slices:
        cells = _share(one.accuracy, one.low, one.high, one.n)
        table.add_row(printable(one.name) or "(empty)", *cells, f"{one.records:,}")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _share(value: float | None, low: float, high: float, n: float) -> tuple[str, str, str]:
    if value is None:
        return "-", "-", "0"
    return f"{value:.2f}", f"{low:.2f}-{high:.2f}", f"{n:.3g}" if n < 100 else f"{n:,.0f}"


def _print(out: Console, lines: list[str]) -> None:
    for line in lines:
        out.print(printable(line), highlight=False, soft_wrap=True)
