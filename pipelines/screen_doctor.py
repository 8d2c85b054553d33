"""What a person reads of the checks of `labelmill doctor`."""

from __future__ import annotations

from rich.console import Console

from pipelines.doctor import Check
from pipelines.screen_parts import ScreenParts
from pipelines.screen_text import printable

_STYLES = {"ok": "green", "warns": "yellow", "fails": "bold red"}


def print_check(console: Console, check: Check) -> None:
    """Print one check: a line, and another with what to do where something is wrong."""
    screen = ScreenParts(console)
    style = _STYLES[check.result]
    screen.line(f"[{style}]{check.result:5}[/] {check.name}: {printable(check.found)}")
    if check.advice:
        screen.line(f"      {printable(check.advice)}")
