"""Runner profiles: which Beam options a runner needs, and strict checking of Beam flags."""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from labelmill.errors import JobSpecError

LOCAL_NAMES = ("local", "direct", "directrunner", "fnapirunner")
"""Names of the local runner. `DirectRunner` in Beam 2.77 tries to fetch Prism first; labelmill
means FnApiRunner by all of them."""

LOCAL_PROCESSES_FROM = 20.0
"""Projected seconds of work from which the local runner uses processes: starting them costs 3 s."""


@dataclass(frozen=True)
class RunnerChoice:
    """A runner with its flags.

    Attributes:
        runner: Name that Beam knows.
        flags: Beam flags.
        is_local: Whether the pipeline runs on this machine, in this process or its children.
        why: One phrase for the screen.
    """

    runner: str
    flags: tuple[str, ...]
    is_local: bool
    why: str

    def options(self) -> PipelineOptions:
        """Return the pipeline options."""
        return PipelineOptions([f"--runner={self.runner}", *self.flags])


def choose_runner(
    name: str, flags: Sequence[str], *, projected_seconds: float, n_shards: int
) -> RunnerChoice:
    """Choose runner and flags.

    Args:
        name: ``local`` or the name of a Beam runner.
        flags: Beam flags of the job file and command line; they win over what is chosen here.
        projected_seconds: Work to do, on one core.
        n_shards: Shards to work on, the most that processes can share.

    Raises:
        JobSpecError: A flag or a runner that Beam does not know.
    """
    check_flags(flags)
    if name.lower() not in LOCAL_NAMES:
        known = {*StandardOptions.KNOWN_RUNNER_NAMES, *LOCAL_NAMES}
        short = {runner.lower().removesuffix("runner"): runner for runner in known}
        if "." not in name and name.lower().removesuffix("runner") not in short:
            close = difflib.get_close_matches(name.lower().removesuffix("runner"), short, 1)
            hint = (
                f"did you mean {short[close[0]]}?"
                if close
                else f"known: {', '.join(sorted(known))}"
            )
            raise JobSpecError(f"--runner {name}: no such runner; {hint}")
        return RunnerChoice(name, tuple(flags), is_local=False, why=f"--runner {name}")
    if any(flag.startswith(("--direct_running_mode", "--direct_num_workers")) for flag in flags):
        return RunnerChoice("FnApiRunner", tuple(flags), is_local=True, why="as flags say")
    workers = min(os.cpu_count() or 1, n_shards)
    if workers > 1 and projected_seconds >= LOCAL_PROCESSES_FROM:
        chosen = ("--direct_running_mode=multi_processing", f"--direct_num_workers={workers}")
        why = f"{workers} processes: about {projected_seconds:.0f} s of work on one core"
        return RunnerChoice("FnApiRunner", (*chosen, *flags), is_local=True, why=why)
    return RunnerChoice("FnApiRunner", tuple(flags), is_local=True, why="in memory: a small plan")


def check_flags(flags: Sequence[str]) -> None:
    """Check that Beam knows every flag; Beam itself only warns of one that it does not.

    Raises:
        JobSpecError: An unknown flag, with the nearest known one.
    """
    parser = _beam_parser()
    try:
        _, unknown = parser.parse_known_args(list(flags))
    except _ArgumentError as error:
        raise JobSpecError(str(error)) from None
    if unknown:
        name = unknown[0].partition("=")[0]
        known = [option for action in parser._actions for option in action.option_strings]
        ours = ["--runner", "--full", "--accept", "--set", "--json", "--verbose", "--debug"]
        close = difflib.get_close_matches(name, known + ours, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise JobSpecError(f"unknown option {unknown[0]}{hint}")


class _ArgumentError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse would exit here
        raise _ArgumentError(message)


def _beam_parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in _option_classes(PipelineOptions):
        options._add_argparse_args(parser)
    return parser


def _option_classes(cls: type[PipelineOptions]) -> Iterator[type[PipelineOptions]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _option_classes(subclass)
