"""The page about the command line, from click's commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from pipelines.cli import cli

HEAD = """\
# The command line

What `labelmill COMMAND --help` prints, on one page (`make docs` writes it). Commands about a job
take the job file, those about what was published take the folder or URL of the data set. `--json`
prints one JSON document in place of text.

| exit code | |
|---|---|
| 0 | done, or nothing to do |
| 1 | failed |
| 2 | the job or the arguments are wrong |
| 3 | a gate refused; nothing was published |
| 4 | still running at an engine |
| 130 | stopped by Ctrl-C |
"""


def commands(
    command: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[click.Context, click.Command]]:
    """Yield a command and those below it, with their contexts."""
    context = click.Context(
        command, parent=parent, info_name=command.name if parent else "labelmill"
    )
    yield context, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, context)


def page() -> str:
    """Return the page."""
    return HEAD + "".join(section(*one) for one in commands(cli))


def section(context: click.Context, command: click.Command) -> str:
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    text = inspect.cleandoc(command.help or "")
    parts = [f"\n## {context.command_path}\n", f"```text\n{usage}\n```\n", f"{text}\n"]
    records = [param.get_help_record(context) for param in command.get_params(context)]
    rows = [
        f"| `{cell(names)}` | {cell(told)} |"
        for names, told in filter(None, records)
        if told and "--help" not in names
    ]
    if rows:
        parts.append("\n".join(["| option | |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def cell(text: str) -> str:
    """Return text for a cell of a table; what looks like HTML is text."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
