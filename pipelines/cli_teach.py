"""Commands for teaching with few judgements: suggest, try, judge."""

from __future__ import annotations

import json
import sys
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
    from labelmill.judging.sheet import sheet_folder
    from pipelines.progress import notice

    out, err = consoles(as_json)
    spec, folder = load_job(job, overrides)
    if accept or reject:
        done = _accept(job, overrides, sheet_folder(folder, spec.name), accept, reject)
        if as_json:
            click.echo(json.dumps(done, indent=2))
        for line in done["said"]:
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        return
    from pipelines.screen_teach import print_suggested
    from pipelines.suggesting import Knobs
    from pipelines.suggesting import suggest as suggest_functions

    knobs = Knobs(most, min_precision, overlap_penalty)
    with redirect_stdout(sys.stderr), notice(err, "mining the corpus ..."):
        found = suggest_functions(spec, folder, knobs, field=field)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        print_suggested(out, found, str(job))


def _accept(
    job: Path, overrides: tuple[str, ...], kept: Path, accept: str | None, reject: str | None
) -> dict[str, Any]:
    """Add suggestions to the job file, and strike out others."""
    from labelmill.teach.noted import drop_from_last, picked, read_last, strike_out

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
        _add_entries(job, overrides, [one.entry for one in taken])
        names = [next(iter(one.entry.values()))["name"] for one in taken]
        said.append(f"added to {job}: {', '.join(names)}")
    if struck:
        strike_out(kept, struck)
        said.append(f"struck out: {', '.join(one.shown for one in struck)}")
    drop_from_last(kept, [*taken, *struck])
    accepted = [one.entry for one in taken]
    return {"accepted": accepted, "rejected": [one.shown for one in struck], "said": said}


def _add_entries(job: Path, overrides: tuple[str, ...], entries: list[dict[str, Any]]) -> None:
    """Add functions to a job file, which stays as it was when it would not be valid."""
    from labelmill.job import prepare_job
    from labelmill.jobedit import add_functions, write_job

    text = job.read_text(encoding="utf-8")
    write_job(job, add_functions(text, entries))
    try:
        prepare_job(*load_job(job, overrides))
    except JobSpecError:
        write_job(job, text)
        raise


@click.group()
def judge() -> None:
    """Judge records for the fit: draw the next ones, read the answers back."""


@judge.command("draw")
@job_options
@_FIELD
@click.option(
    "-n", "number", type=click.IntRange(1, 1000), default=50, show_default=True, help="Records."
)
@click.option("--random", "at_random", is_flag=True, help="Random records, whatever is known.")
@click.option("--column", "columns", multiple=True, metavar="COLUMN", help="Column to show.")
def judge_draw(
    job: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    field: str | None,
    number: int,
    at_random: bool,
    columns: tuple[str, ...],
) -> None:
    """Write the next records to judge as an HTML form and as a CSV file, beside the job.

    The first 50 are random; then those that a classifier is least sure of and that differ.
    """
    from pipelines.judging import draw
    from pipelines.progress import notice
    from pipelines.screen_teach import print_drawn

    out, err = consoles(as_json)
    spec, folder = load_job(job, overrides)
    with redirect_stdout(sys.stderr), notice(err, "choosing records ..."):
        drawn = draw(spec, folder, number, at_random=at_random, columns=columns, field=field)
    if as_json:
        files = {name: str(path) for name, path in vars(drawn.files).items()}
        records = [{"id": one.id, "chosen": one.chosen} for one in drawn.sheet.records]
        document = {"sheet": drawn.sheet.id, "judged": drawn.judged, "records": records}
        click.echo(json.dumps({**document, "files": files}, indent=2))
    else:
        print_drawn(out, drawn, str(job))


@judge.command("read")
@job_options
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--judge", "who", default="", metavar="NAME", help="Who judged, if no file says.")
@click.option("--replace", is_flag=True, help="Take the new class of records judged before.")
def judge_read(
    job: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    files: tuple[Path, ...],
    who: str,
    replace: bool,
) -> None:
    """Check answers in FILES, from the form or the CSV file, and add them to the job's gold."""
    from dataclasses import asdict

    from pipelines.judging import read_back
    from pipelines.progress import notice
    from pipelines.screen_teach import print_read

    out, err = consoles(as_json)
    spec, folder = load_job(job, overrides)
    with redirect_stdout(sys.stderr), notice(err, "reading answers ..."):
        found = read_back(spec, job, folder, files, judge=who, replace=replace)
    if as_json:
        click.echo(json.dumps({**asdict(found), "path": str(found.path)}, indent=2))
    else:
        print_read(out, found, str(job))


@click.command("try")
@job_options
@click.option(
    "--keywords", "words", multiple=True, metavar="WORD,...", help="Whole words or phrases."
)
@click.option("--regex", "pattern", metavar="PATTERN", help="Regular expression.")
@click.option("--function", "named", metavar="NAME", help="A function of the job.")
@click.option("--label", metavar="CLASS", help="Class to vote for.")
@click.option("--ignore-case", is_flag=True, help="Of the expression; keywords always do.")
@click.option("--name", default="tried", show_default=True, metavar="NAME", help="Its name.")
@click.option("--add", is_flag=True, help="Add it to the job file.")
@_FIELD
def try_one(
    job: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    words: tuple[str, ...],
    pattern: str | None,
    named: str | None,
    label: str | None,
    ignore_case: bool,
    name: str,
    add: bool,
    field: str | None,
) -> None:
    """Show what a function would do: hits, conflicts, precision where judged, labels that move."""
    from pipelines.progress import notice
    from pipelines.screen_teach import print_tried
    from pipelines.trying import NAME, entry_given, try_function

    if sum((bool(words), pattern is not None, named is not None)) != 1:
        raise JobSpecError("say one of --keywords, --regex and --function")
    out, err = consoles(as_json)
    spec, folder = load_job(job, overrides)
    entry = None
    if named is None:
        listed = [word.strip() for group in words for word in group.split(",") if word.strip()]
        entry = entry_given(
            spec,
            label=label,
            words=listed,
            pattern=pattern,
            field=field,
            ignore_case=ignore_case,
            name=name,
        )
    if add and (entry is None or name == NAME):
        raise JobSpecError("--add needs a new function with a --name")
    with redirect_stdout(sys.stderr), notice(err, "trying it on a sample ..."):
        found = try_function(spec, folder, entry=entry, named=named)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        print_tried(out, found)
    if add and entry is not None:
        _add_entries(job, overrides, [entry])
        out.print(f"added to {job}: {name}", highlight=False, markup=False)


COMMANDS: tuple[click.Command, ...] = (suggest, try_one, judge)
"""Commands to add to the command line."""
