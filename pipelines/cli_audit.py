"""Commands for audits of published labels: draw, read, show."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from labelmill.errors import JobSpecError
from pipelines.cli_parts import consoles

_TARGET = click.argument("target", metavar="URI|JOB")
_VERSION = click.option(
    "--version", type=click.IntRange(min=1), metavar="N", help="The version; else the current one."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where forms are written; else judging/<job>/ beside the job file, or here.",
)


@click.group()
def audit() -> None:
    """Audit published labels: draw a fresh sample, read people's answers, show how right it is."""


@audit.command("draw")
@_TARGET
@click.option("-n", "number", type=click.IntRange(min=1), help="Records; 200 unless told.")
@click.option(
    "--interval",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    metavar="W",
    help="In place of -n: accuracy is wanted to plus or minus W, such as 0.05.",
)
@_VERSION
@click.option("--auditors", metavar="NAME,...", help="Who judges; a form for each.")
@click.option(
    "--overlap",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    metavar="SHARE",
    help="Records that all auditors judge.",
)
@click.option("--by", type=click.Choice(["class", "slice"]), help="Numbers for each of them.")
@click.option("--slice", "column", metavar="COLUMN", help="Column whose values are the slices.")
@click.option("--show-label", is_flag=True, help="Let auditors look at the published label.")
@click.option("--column", "columns", multiple=True, metavar="COLUMN", help="Column to show.")
@click.option("--uncovered", is_flag=True, help="Draw records that no function voted on too.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the random numbers.")
@_OUT
@_JSON
def audit_draw(
    target: str,
    number: int | None,
    interval: float | None,
    version: int | None,
    auditors: str | None,
    overlap: float,
    by: str | None,
    column: str | None,
    show_label: bool,
    columns: tuple[str, ...],
    uncovered: bool,
    seed: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw a fresh sample of labels for people to judge.

    It is stratified, and written as HTML forms and CSV files. Records that were judged for the fit
    are never drawn. Most are drawn where the label model is least sure; `audit read` weighs the
    answers accordingly.
    """
    from pipelines.auditing import Target, draw
    from pipelines.audits.drawing import Request
    from pipelines.screen_audit import print_audit_drawn

    if (by == "slice") != (column is not None):
        raise JobSpecError("--by slice and --slice COLUMN go together")
    request = Request(
        n=number,
        interval=interval,
        by_class=by == "class",
        slice_column=column,
        auditors=() if auditors is None else tuple(map(str.strip, auditors.split(","))),
        overlap=overlap,
        columns=tuple(dict.fromkeys(columns)),
        shown=show_label,
        seed=seed or 0,
        uncovered=uncovered,
    )
    drawn = draw(Target.of(target), request, version=version, seeded=seed is not None, out=out)
    if as_json:
        forms = [{**asdict(one), "form": str(one.form), "csv": str(one.csv)} for one in drawn.forms]
        click.echo(
            json.dumps({"id": drawn.draw.id, **asdict(drawn.draw), "forms": forms}, indent=2)
        )
    else:
        print_audit_drawn(consoles(as_json)[0], drawn, target)


@audit.command("read")
@_TARGET
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--auditor", default="", metavar="NAME", help="Who judged, if nothing else says.")
@click.option("--replace", is_flag=True, help="Take the new class of records told before.")
@click.option(
    "--as",
    "role",
    type=click.Choice(["fit", "eval"]),
    help="Make them the job's gold too: to inform the next fit, or to score it.",
)
@_OUT
@_JSON
def audit_read(
    target: str,
    files: tuple[Path, ...],
    auditor: str,
    replace: bool,
    role: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Read answers and say how right all labels are.

    FILES are downloads of forms, or CSV files that were filled in. They are checked, and what was
    found is stored with the version.
    """
    from pipelines.auditing import Target, read_back
    from pipelines.screen_audit import print_audit_read

    found = read_back(
        Target.of(target), files, auditor=auditor, replaces=replace, role=role, out=out
    )
    if as_json:
        document = asdict(found)
        document["ledger"] = None if found.ledger is None else str(found.ledger)
        if found.adjudicate is not None:
            paths = {name: str(getattr(found.adjudicate, name)) for name in ("form", "csv")}
            document["adjudicate"] |= paths
        click.echo(json.dumps(document, indent=2))
    else:
        print_audit_read(consoles(as_json)[0], found, target)


@audit.command("show")
@_TARGET
@_VERSION
@_JSON
def audit_show(target: str, version: int | None, as_json: bool) -> None:
    """Show what audits found and what people spent."""
    from pipelines.auditing import Target, show
    from pipelines.screen_audit import print_shown

    found = show(Target.of(target), version)
    if as_json:
        spent = found.effort
        totals = {
            "judgements": spent.judgements,
            "minutes": spent.minutes,
            "labels_per_judgement": spent.labels_per_judgement,
        }
        document = asdict(found)
        document["effort"] |= totals
        click.echo(json.dumps(document, indent=2))
    else:
        print_shown(consoles(as_json)[0], found, target)


COMMANDS: tuple[click.Command, ...] = (audit,)
"""Commands to add to the command line."""
