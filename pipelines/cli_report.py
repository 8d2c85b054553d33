"""The command that writes the report of a version."""

from __future__ import annotations

import json
from pathlib import Path

import click

from labelmill.errors import StoreError
from pipelines.cli_parts import consoles


@click.command()
@click.argument("uri")
@click.option(
    "--version", type=click.IntRange(min=1), metavar="N", help="The version; else the current one."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The page; else NAME-vN.html in this folder.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="COLUMN",
    help="Column of the corpus to show of sampled records; else columns of text.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def report(
    uri: str, version: int | None, out: Path | None, columns: tuple[str, ...], as_json: bool
) -> None:
    """Write a page about a version in URI: is it good, what changed, why labels are what they are.

    The page is one HTML file that needs no network. It holds text of the corpus.
    """
    from labelmill.report.page import render
    from labelmill.store import Store
    from pipelines.reporting import build_report
    from pipelines.screen_text import printable

    built = build_report(Store.open(uri), version, columns=columns)
    path = out or Path(f"{_file_name(built.job)}-v{built.version}.html")
    page = render(built).encode("utf-8")
    try:
        path.write_bytes(page)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
    if as_json:
        document = {"version": built.version, "path": str(path), "bytes": len(page)}
        click.echo(json.dumps(document, indent=2))
    else:
        consoles(as_json)[0].print(
            f"version {built.version}: {printable(str(path))}, {len(page) / 2**20:,.1f} MB",
            highlight=False,
            soft_wrap=True,
        )


def _file_name(job: str) -> str:
    """Return a job's name as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in job).lstrip(".") or "report"


COMMANDS: tuple[click.Command, ...] = (report,)
"""Commands to add to the command line."""
