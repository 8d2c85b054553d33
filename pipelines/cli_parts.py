"""What all commands share: the consoles that they print on, and the options of a job."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console


class _Output(Console):
    """A console whose reader may go away: what was done is done, and what is left is finished."""

    def on_broken_pipe(self) -> None:
        """Print nothing more."""
        self.quiet = True
        drop_output()


def consoles(as_json: bool) -> tuple[Console, Console]:
    """Return the consoles for results and for progress; results are plain when piped."""
    width = None if sys.stdout.isatty() else 1000  # a pipe has no edge to cut numbers at
    out = _Output(width=width, quiet=as_json, emoji=False)
    # A duplicate, because a run diverts stderr itself from Beam's worker processes.
    err = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8")
    return out, Console(file=err, emoji=False)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the job file as its argument, and the options that all such commands have."""
    options = [
        click.argument("job", type=click.Path(path_type=Path)),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                     help="Override a value of the job file, such as output.uri=out/."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def drop_output() -> None:
    """Write what is left of our output nowhere, or Python complains when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
