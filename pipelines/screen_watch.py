"""What `labelmill lfs --watch` shows: a screen that is drawn anew after every save."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rich.console import Console

from pipelines.lf_changes import changes_document, compare
from pipelines.lfs import SampleAnalysis
from pipelines.screen_lfs import LFScreen, View
from pipelines.screen_text import plural, printable
from pipelines.watch import Report

PRINTED_LINES = 8


class WatchScreen:
    """Shows one run after the other; the last one that worked is what the next is compared with.

    Args:
        console: Where to print. A terminal is cleared for every run; a pipe gets them all.
        named: Functions to show in depth.
    """

    def __init__(self, console: Console, named: Sequence[str] = ()) -> None:
        self._console = console
        self._screen = LFScreen(console)
        self._named = named
        self._last: SampleAnalysis | None = None
        self._before: SampleAnalysis | None = None
        self._changed: Collection[str] = ()

    def changed(self, paths: Collection[str]) -> None:
        """Say that a run begins, and which files were saved."""
        self._changed = paths
        if self._console.is_terminal:
            saved = f"saved {_names(paths)}; " if paths else ""
            self._screen.line(f"[dim]{saved}running ...[/]")

    def show(self, report: Report, n_files: int) -> None:
        """Show how a run ended."""
        screen, console = self._screen, self._console
        if report.found is not None:
            self._before, self._last = self._last, report.found
        if console.is_terminal:
            console.clear()
        saved = f", saved {_names(self._changed)}" if self._changed else ""
        top: list[Callable[[], None]] = [
            lambda: screen.line(
                f"[dim]{time.strftime('%H:%M:%S')}{saved}; {report.seconds:.1f} s; watching "
                f"{plural(n_files, 'file')}, Ctrl-C ends[/]"
            )
        ]
        if report.error:
            top.append(lambda: screen.line(f"[bold red]error:[/] {_lines(report.error)}"))
        if report.printed.strip():
            top.append(lambda: self._printed(report.printed))
        if report.error and self._last is not None and console.is_terminal:
            top.append(lambda: screen.line("\n[dim]the last run that worked:[/]"))
        head = "".join(screen.text_of(part) for part in top)
        console.file.write(head)
        if self._last is None or (report.error and not console.is_terminal):
            console.file.flush()
            return
        height = max(console.height - screen.height_of(head) - 1, 1)
        view = View(self._named, self._before, height if console.is_terminal else None)
        screen.sample(self._last, view)
        console.file.flush()

    def _printed(self, text: str) -> None:
        lines = text.strip().splitlines()[-PRINTED_LINES:]
        self._screen.line("[dim]printed:[/]")
        for line in lines:
            self._screen.line(f"  {printable(line)}")


class WatchJson:
    """Prints one JSON document a line and run."""

    def __init__(self) -> None:
        self._last: SampleAnalysis | None = None
        self._changed: Collection[str] = ()

    def changed(self, paths: Collection[str]) -> None:
        """Remember which files were saved."""
        self._changed = paths

    def show(self, report: Report, n_files: int) -> None:
        """Print how a run ended."""
        document = {
            "saved": sorted(self._changed),
            "seconds": report.seconds,
            "error": report.error or None,
            "printed": report.printed,
        }
        if report.found is not None:
            compared = None if self._last is None else compare(self._last, report.found)
            document |= {"changes": changes_document(compared), **report.found.document()}
            self._last = report.found
        print(json.dumps(document), flush=True)


def _names(paths: Collection[str]) -> str:
    shown = [printable(Path(path).name) for path in list(paths)[:3]]
    return ", ".join(shown) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _lines(text: str) -> str:
    return os.linesep.join(printable(line) for line in text.splitlines())
