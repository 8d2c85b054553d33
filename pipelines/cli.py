"""The command line: the group, its commands about jobs, and what becomes of errors.

Commands about published versions are in `cli_versions` and `cli_report`, those for teaching in
`cli_teach`, for audits in `cli_audit`, about engines in `cli_engines`.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from labelmill.errors import GateRefusedError, LabelmillError
from labelmill.jobfile import load_job
from labelmill.jobspec import JobSpec, json_schema
from labelmill.uris import without_credentials
from pipelines.cli_audit import COMMANDS as AUDIT_COMMANDS
from pipelines.cli_engines import COMMANDS as ENGINE_COMMANDS
from pipelines.cli_parts import consoles, drop_output, job_options
from pipelines.cli_report import COMMANDS as REPORT_COMMANDS
from pipelines.cli_teach import COMMANDS as TEACH_COMMANDS
from pipelines.cli_versions import COMMANDS as VERSION_COMMANDS
from pipelines.shadowing import check_packages

if TYPE_CHECKING:
    from pipelines.plan import Plan
    from pipelines.runners import RunnerChoice

TRYING = "trying functions on a sample ..."

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

_PASS_THROUGH = {"ignore_unknown_options": True, "allow_extra_args": True}


def _runner_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option(
            "--runner",
            help="local (default), flink, spark, prism, dataflow, or the name of a Beam runner.",
        ),
        click.option("--full", is_flag=True, help="Compute everything again; reuse nothing."),
        click.argument("beam_flags", nargs=-1, type=click.UNPROCESSED),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks; may stand anywhere.")
@click.version_option(package_name="labelmill")
def cli(debug: bool) -> None:
    """Label a corpus with programs instead of people."""
    check_packages()


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write a starter job: job.yaml, lfs.py and a few records."""
    from pipelines.starter import write_starter

    for path in write_starter(folder):
        click.echo(f"wrote {path}")
    click.echo(f"next: labelmill run {folder / 'job.yaml'}")


@cli.command()
@click.argument("what", type=click.Choice(["job", "manifest"]), default="job")
def schema(what: str) -> None:
    """Print the JSON Schema of the job file, for editors, or of manifests, for other tools."""
    if what == "manifest":
        from labelmill.manifestschema import manifest_schema

        click.echo(manifest_schema())
    else:
        click.echo(json_schema())


@cli.command(context_settings=_PASS_THROUGH)
@job_options
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Project its time on N workers.",
)
@_runner_options
def plan(
    job: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    workers: int | None,
    runner: str | None,
    full: bool,
    beam_flags: tuple[str, ...],
) -> None:
    """Show shards, what would run, what is reused, and each function's speed on a sample."""
    from pipelines.capacity import project
    from pipelines.screen import Screen

    out, err = consoles(as_json)
    spec, folder = load_job(job, overrides)
    _check_flags([*spec.runner.options, *beam_flags])
    made = _planned(spec, folder, full, err)
    choice = _chosen(made, runner, beam_flags, must_run=False)
    projection = None if workers is None else project(made, choice.name, workers)
    if as_json:
        document = _plan_document(made, choice)
        if projection is not None:
            document["projection"] = projection.to_dict()
        click.echo(json.dumps(document, indent=2))
    else:
        Screen(out).plan(made, choice.why, projection)


@cli.command(context_settings=_PASS_THROUGH)
@job_options
@click.option("--accept", multiple=True, metavar="GATE", help="Publish although this gate refuses.")
@click.option("--verbose", is_flag=True, help="Show Beam's log.")
@click.option("--no-wait", is_flag=True, help="Leave once the engine has the job; see `status`.")
@_runner_options
def run(
    job: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    accept: tuple[str, ...],
    verbose: bool,
    no_wait: bool,
    runner: str | None,
    full: bool,
    beam_flags: tuple[str, ...],
) -> None:
    """Apply the functions, fit the label model, label, check the gates, publish.

    Any Beam flag may follow, such as --direct_num_workers=2.
    """
    from pipelines.screen import Screen

    out, err = consoles(as_json)
    spec, folder = load_job(job, overrides)
    _check_flags([*spec.runner.options, *beam_flags])
    made = _planned(spec, folder, full, err)
    screen = Screen(out)
    if runner is not None:
        _chosen(made, runner, beam_flags)  # an error, when there is no such runner
    if made.unchanged:
        assert made.parent is not None
        if as_json:
            document = {"status": "unchanged", "version": made.parent.version}
            click.echo(json.dumps({**document, "output": spec.output.uri}, indent=2))
        screen.line(
            f"nothing to do: version {made.parent.version} in {spec.output.uri} is up to date "
            "(--full computes it again)"
        )
        return
    from pipelines.progress import TerminalProgress
    from pipelines.run import run_plan, submit_plan  # Beam: a second, for which no-ops do not wait

    choice = _chosen(made, runner, beam_flags)
    if not as_json:
        Screen(err).warnings(made.warnings)
    say = partial(err.print, style="dim", highlight=False)
    if no_wait or choice.is_dry_run:
        submitted = submit_plan(made, choice, accept=accept, verbose=verbose, say=say)
        status = "dry run" if choice.is_dry_run else "submitted"
        if as_json:
            click.echo(json.dumps({"status": status, **asdict(submitted)}, indent=2))
        screen.submitted(submitted, spec.output.uri, status)
        return
    watch = None
    if err.is_terminal and not verbose:
        watch = lambda plan, path: TerminalProgress(err, plan, path)  # noqa: E731
    finished = run_plan(made, choice, accept=accept, watch=watch, verbose=verbose, say=say)
    outcome = finished.outcome
    if as_json:
        document = {**asdict(outcome), "output": spec.output.uri, "seconds": finished.seconds}
        click.echo(json.dumps({**document, "runner": choice.runner}, indent=2))
    screen.summary(made, finished)
    if outcome.status == "refused":
        raise GateRefusedError(
            f"{outcome.message}\nnothing was published; the last good version stays current, the "
            f"record of this run is {spec.output.uri.rstrip('/')}/_labelmill/runs/"
            f"{outcome.run_id}.json"
        )
    if outcome.status != "published":
        raise LabelmillError(outcome.message)


@cli.command()
@job_options
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Size of the sample.",
)
@click.option(
    "--function", "named", multiple=True, metavar="NAME", help="Show this function in depth."
)
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    metavar="N",
    help="Records to show of each function: 3 with --function or --json, else none.",
)
@click.option("--ask", is_flag=True, help="Ask prompted functions too, which costs money.")
@click.option("--watch", "watching", is_flag=True, help="Run again whenever a file is saved.")
def lfs(
    job: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    rows: int,
    named: tuple[str, ...],
    examples: int | None,
    ask: bool,
    watching: bool,
) -> None:
    """Show what functions do on a sample: coverage, overlap, conflict, accuracy, examples.

    Nothing is stored, but the answers of prompted functions that --ask asks. --watch is for a
    terminal beside the editor.
    """
    from pipelines.lfs import analyse_sample
    from pipelines.progress import notice
    from pipelines.screen_lfs import LFScreen, View

    if examples is None:
        examples = 3 if named or as_json else 0
    out, err = consoles(as_json)
    if watching:
        from pipelines.screen_watch import WatchJson, WatchScreen
        from pipelines.watch import Request, watch_job

        screen = WatchJson() if as_json else WatchScreen(out, named)
        watch_job(Request(job, overrides, rows, examples, named, ask), screen.show, screen.changed)
        return
    spec, folder = load_job(job, overrides)
    with redirect_stdout(sys.stderr), notice(err, TRYING):
        found = analyse_sample(spec, folder, rows, examples=examples, named=named, ask=ask)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        LFScreen(out).sample(found, View(named))


for command in (
    *TEACH_COMMANDS,
    *AUDIT_COMMANDS,
    *ENGINE_COMMANDS,
    *VERSION_COMMANDS,
    *REPORT_COMMANDS,
):
    cli.add_command(command)


def _check_flags(flags: Sequence[str]) -> None:
    """Check Beam flags, where there are any, before functions are tried on a sample."""
    if flags:
        from pipelines.beamflags import check_flags

        check_flags(flags)


def _planned(spec: JobSpec, folder: Path, full: bool, err: Console) -> Plan:
    from pipelines.plan import make_plan
    from pipelines.progress import notice

    with redirect_stdout(sys.stderr):  # what functions print is no result of ours
        made = make_plan(spec, folder, full=full, trying=lambda: notice(err, TRYING))
    if made.functions is not None:
        click.echo(made.functions.printed(), nl=False, err=True)
    return made


def _chosen(
    made: Plan, runner: str | None, flags: Sequence[str], must_run: bool = True
) -> RunnerChoice:
    from pipelines.runners import choose_runner

    spec = made.job
    return choose_runner(
        runner or spec.runner.name,
        [*spec.runner.options, *flags],
        projected_seconds=made.projected_work,
        n_shards=len(made.to_vote),
        must_run=must_run,
    )


def _plan_document(made: Plan, choice: RunnerChoice) -> dict[str, Any]:
    shards = made.corpus.shards
    sample = made.sample
    return {
        "job": made.job.name,
        "output": made.job.output.uri,
        "unchanged": made.unchanged,
        "current_version": None if made.parent is None else made.parent.version,
        "shards": [
            {
                **work.shard.to_dict(),
                "id": work.shard.id,
                "reused": work.stored,
                "file": work.file,
                "functions_to_run": len(work.running),
            }
            for work in made.work.shards
        ],
        "removed_files": list(made.work.removed_files),
        "rows": made.rows_of(shards),
        "rows_exact": made.rows_exact,
        "rows_to_vote": made.rows_of(made.to_vote),
        "projected_seconds": made.projected_seconds,
        "projected_usage": made.projected_usage,
        "runner": choice.runner,
        "runner_flags": list(choice.flags),
        "lfs": [
            {**asdict(lf), "change": made.work.reason(n), "runs": n in made.work.running}
            for n, lf in enumerate(made.prepared.table.lfs)
        ],
        "removed_lfs": list(made.work.removed_functions),
        "sample": {
            "rows": sample.rows,
            "outcomes": None if sample.outcomes is None else sample.outcomes.to_dict(),
        },
        "warnings": list(made.warnings),
    }


def _report(function: Callable[..., Any]) -> Callable[..., int]:
    """Run the command line; errors become one message and an exit code."""

    @wraps(function)
    def main(arguments: Sequence[str] | None = None) -> int:
        given = list(sys.argv[1:] if arguments is None else arguments)
        debug = "--debug" in given
        given = [argument for argument in given if argument != "--debug"]  # wherever it stands
        logging.getLogger().setLevel(logging.ERROR)  # Beam warns of optional packages at import
        terminated: Any = signal.SIG_DFL
        with suppress(ValueError):  # not the main thread
            terminated = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
        try:
            code = function(args=given, prog_name="labelmill", standalone_mode=False)
            sys.stdout.flush()
            return code or 0  # what click makes of its own Exit
        except click.ClickException as error:
            error.show()
            return 2
        except (click.Abort, KeyboardInterrupt):
            click.echo("stopped; nothing was published, a rerun reuses what was stored", err=True)
            return 130
        except LabelmillError as error:
            if debug:
                traceback.print_exc()
            click.echo(f"error: {error}", err=True)
            return error.exit_code
        except (BrokenPipeError, SystemExit):  # what click makes of a reader that is gone
            drop_output()
            return 0
        except OSError as error:
            if error.errno not in _DISK_FULL:
                return _bug(error, debug)
            with suppress(OSError):
                sys.stdout.flush()
            drop_output()
            click.echo(f"error: {error}; make room, a rerun reuses what was stored", err=True)
            return 1
        except Exception as error:
            return _bug(error, debug)
        finally:
            guard = sys.modules.get("labelmill.guard")  # not there: no function was loaded
            if guard is not None:
                guard.close_all()
            with suppress(ValueError):
                signal.signal(signal.SIGTERM, terminated)

    return main


def _bug(error: Exception, debug: bool) -> int:
    """Report an error that nobody expected; return the exit code."""
    if debug:
        traceback.print_exception(error)
    click.echo(
        f"error: {type(error).__name__}: {without_credentials(str(error))} (a bug in labelmill; "
        "--debug shows where)",
        err=True,
    )
    return 1


def _open_closed_streams() -> None:
    """Open stdout and stderr to nowhere where whoever started us closed them."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, os.fdopen(number, "w"))


_main = _report(cli)


def main() -> None:
    """Entry point of the `labelmill` command."""
    _open_closed_streams()
    sys.exit(_main())


if __name__ == "__main__":
    main()
