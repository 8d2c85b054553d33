"""Commands for teaching with few judgements: suggest, try, judge."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from labelmill.errors import JobSpecError
from labelmill.jobfile import load_job
from pipelines.cli_parts import consoles, job_options

_FIELD = click.option("--field", metavar="COLUMN", help="Column of text to look at.")


@click.command()
@job_options
@_FIELD
@click.option(
    "-n", "most", type=click.IntRange(min=1), default=20, show_default=True, help="Most of them."
)
@click.option(
    "--min-precision",
    type=click.FloatRange(0.4, 1),
    default=0.55,
    show_default=True,
    metavar="P",
    help="Least lower end of the precision; more gives less coverage that is righter.",
)
@click.option(
    "--overlap-penalty",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    metavar="P",
    help="What a record that is covered already costs.",
)
@click.option("--accept", metavar="N,M|all", help="Add suggestions shown last to the job file.")
@click.option("--reject", metavar="N,M|all", help="Strike out suggestions shown last, for good.")
def suggest(
    job: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    field: str | None,
    most: int,
    min_precision: float,
    overlap_penalty: float,
    accept: str | None,
    reject: str | None,
) -> None:
    """Suggest labeling functions that the judgements speak for; and name functions that hurt."""
    from pipelines.progress import notice

    out, err = consoles(as_json)
    spec, folder = load_job(job, overrides)
    if accept or reject:
        done = _accept(job, overrides, folder, accept, reject)
        if as_json:
            click.echo(json.dumps(done, indent=2))
        for line in done["said"]:
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        return
    from pipelines.screen_teach import print_suggested
    from pipelines.suggesting import Knobs, suggest as suggest_functions

    knobs = Knobs(most, min_precision, overlap_penalty)
    with redirect_stdout(sys.stderr), notice(err, "mining the corpus ..."):
        found = suggest_functions(spec, folder, knobs, field=field)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        print_suggested(out, found, str(job))


def _accept(
    job: Path, overrides: tuple[str, ...], folder: Path, accept: str | None, reject: str | None
) -> dict[str, Any]:
    """Add suggestions to the job file, and strike out others."""
    from labelmill.jobedit import add_functions, write_job
    from labelmill.judging.sheet import sheet_folder
    from labelmill.teach.noted import drop_from_last, picked, read_last, strike_out

    kept = sheet_folder(folder)
    noted = read_last(kept)
    struck = picked(noted, reject, "--reject") if reject else []
    taken = picked(noted, accept, "--accept") if accept else []
    if accept == "all":
        taken = [one for one in taken if one not in struck]
    both = [one.number for one in taken if one in struck]
    if both:
        raise JobSpecError(f"suggestion {both[0]} is accepted and rejected; which one?")
    said = []
    if taken:
        text = job.read_text(encoding="utf-8")
        changed = add_functions(text, [one.entry for one in taken])
        write_job(job, changed)
        try:
            load_job(job, overrides)
        except JobSpecError:
            write_job(job, text)
            raise
        names = [next(iter(one.entry.values()))["name"] for one in taken]
        said.append(f"added to {job}: {', '.join(names)}")
    if struck:
        strike_out(kept, struck)
        said.append(f"struck out: {', '.join(one.shown for one in struck)}")
    drop_from_last(kept, [*taken, *struck])
    accepted = [one.entry for one in taken]
    return {"accepted": accepted, "rejected": [one.shown for one in struck], "said": said}


COMMANDS: tuple[Callable[..., Any], ...] = (suggest,)
"""Commands to add to the command line."""
