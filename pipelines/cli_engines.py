"""Commands about runs at engines: status and doctor."""

from __future__ import annotations

import json
from pathlib import Path

import click

from labelmill.errors import LabelmillError
from pipelines.cli_parts import consoles


@click.command()
@click.argument("uri")
@click.option("--run", "run_id", metavar="ID", help="The run; else the one submitted last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(uri: str, run_id: str | None, as_json: bool) -> None:
    """Show how a run into URI stands: what is stored, how it ended, what the engine says.

    Exits 0 when it published, 4 while it goes on, otherwise as the run itself would have.
    """
    from pipelines.runstatus import exit_code, look_up
    from pipelines.screen_status import print_status

    found = look_up(uri, run_id)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        print_status(consoles(as_json)[0], found)
    raise click.exceptions.Exit(exit_code(found))


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("job", type=click.Path(path_type=Path), required=False)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value of the job file.",
)
@click.option("--runner", help="The engine to check; else the job's own, else local.")
@click.option("--store", metavar="URI", help="Where to write; else the job's output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.argument("beam_flags", nargs=-1, type=click.UNPROCESSED)
def doctor(
    job: Path | None,
    overrides: tuple[str, ...],
    runner: str | None,
    store: str | None,
    as_json: bool,
    beam_flags: tuple[str, ...],
) -> None:
    """Check what a run needs, here and on the workers of an engine, and say what to do.

    Give the job file and the flags that a run would have. Exits 1 when something is missing.
    """
    from pipelines.doctor import examine
    from pipelines.screen_doctor import print_check

    out = consoles(as_json)[0]
    checks = []
    for check in examine(job, overrides, runner, store, beam_flags):
        checks.append(check)
        if not as_json:
            print_check(out, check)
    if as_json:
        click.echo(json.dumps([check.to_dict() for check in checks], indent=2))
    failed = [check.name for check in checks if check.result == "fails"]
    if failed:
        raise LabelmillError(f"not ready: {', '.join(failed)}")


COMMANDS = (status, doctor)
