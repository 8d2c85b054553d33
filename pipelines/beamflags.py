"""Beam's flags: what it knows, what is wrong with one, and which are given."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from labelmill.errors import JobSpecError

_OURS = ("--runner", "--full", "--accept", "--set", "--json", "--verbose", "--debug",
         "--no-wait", "--workers")  # fmt: skip


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
        close = difflib.get_close_matches(name, [*beam_flags(), *_OURS], 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise JobSpecError(f"unknown option {unknown[0]}{hint}")


def beam_flags() -> list[str]:
    """Return the flags that Beam knows, such as ``--job_endpoint``."""
    return [option for action in _beam_parser()._actions for option in action.option_strings]


def is_given(name: str, flags: Sequence[str]) -> bool:
    """Return whether a flag is among those given, whatever its value.

    >>> is_given("--parallelism", ["--parallelism=2"])
    True
    """
    return any(flag.partition("=")[0] == name for flag in flags)


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
