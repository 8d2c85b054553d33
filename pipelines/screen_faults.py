"""How one failure of a function is shown: which function, where in the job's code, why, on what."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from labelmill.outcomes import Fault
from pipelines.screen_text import printable


def fault_line(fault: Fault, sources: Collection[str], number: int) -> str:
    """Return a line of rich markup about a failure.

    Args:
        fault: The failure.
        sources: The job's own files.
        number: How many there are of it in all.
    """
    at = frame_of(fault, sources)
    return (
        f"[red]{fault.outcome}[/] [bold]{printable(fault.lf)}[/]"
        f"{f' at {printable(at)}' if at else ''}: "
        f"{f'{printable(fault.type)}: ' if fault.outcome == 'fault' else ''}"
        f"{printable(fault.message)} "
        f"[dim](record {printable(fault.id)}, in all {number:,})[/]"
    )


def frame_of(fault: Fault, sources: Collection[str]) -> str:
    """Return file and line of the job's code in which a function failed, the last it was in."""
    frames = re.findall(r'^  File "(.+)", line (\d+), in ', fault.traceback, re.MULTILINE)
    own = [frame for frame in frames if frame[0] in sources] or frames
    if not own:
        return ""
    path, line = Path(own[-1][0]), own[-1][1]
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"
