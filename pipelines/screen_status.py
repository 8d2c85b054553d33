"""What a person reads of a run at an engine."""

from __future__ import annotations

import datetime

from rich.console import Console

from pipelines.runstatus import Found, Standing
from pipelines.screen_parts import ScreenParts
from pipelines.screen_text import plural, printable

_STYLES: dict[Standing, str] = {
    "published": "bold green",
    "running": "bold",
    "unknown": "bold yellow",
}

_ADVICE: dict[Standing, str] = {
    "refused": "the last good version stays current; labelmill run --accept GATE overrides a gate",
    "conflict": "another run published first; run again",
    "failed": "run again: what was stored is reused",
    "ended": "run again: what was stored is reused",
}


def print_status(console: Console, found: Found) -> None:
    """Print how a run stands: its state, what is stored, and what to do."""
    screen, status = ScreenParts(console), found.status
    submission = status.submission
    style = _STYLES.get(found.standing, "bold red")
    screen.line(
        f"[{style}]{found.standing}[/] run {submission.run_id} of "
        f"[bold]{printable(submission.job)}[/] in {printable(found.uri)}"
    )
    started = datetime.datetime.fromisoformat(submission.started)
    screen.line(f"started {started:%Y-%m-%d %H:%M:%S} UTC on {submission.runner}")
    if status.outcome is not None:
        screen.line(printable(status.outcome.message))
    else:
        screen.line(_progress(found))
        screen.line(printable(found.engine))
    advice = _ADVICE.get(found.standing)
    if advice:
        screen.line(advice)


def _progress(found: Found) -> str:
    status = found.status
    submission = status.submission
    voted = (
        "votes are made again, so that nothing tells how many"
        if status.voted is None
        else f"votes of {status.voted:,} of {plural(submission.to_vote, 'shard')} stored"
    )
    labels = f"labels of {status.labeled:,} of {submission.shards:,}"
    return f"{voted}, {labels}" if status.labeled else voted
