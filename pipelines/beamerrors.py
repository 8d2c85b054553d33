"""Pipelines in this process, and errors of ours that Beam wraps, as they were raised."""

from __future__ import annotations

import re

import apache_beam as beam

from labelmill import errors
from labelmill.errors import LabelmillError

WORKER_LOST = (
    "a worker process ended before its work was done: it was killed, by the system perhaps for "
    "want of memory; run again, what was stored is reused"
)

_CHANNEL_CLOSED = "Channel closed prematurely"  # what Beam says of a worker that is gone
_OWN = re.compile(r"labelmill\.errors\.(\w+): (.*)")


def without_beam(message: str) -> str:
    """Return a message without the step that Beam appends to it."""
    return re.sub(r" \[while running '[^']*'\]?.*$", "", message, flags=re.DOTALL)


def own_error(error: Exception) -> LabelmillError:
    """Return the error of ours that a runner wrapped in text, or one that quotes the last line.

    Beam hands worker exceptions over as text; the last one of ours in it is the cause.
    """
    text = str(error)
    if "KeyboardInterrupt" in text:  # Ctrl-C reached a worker thread first
        raise KeyboardInterrupt
    found = _OWN.findall(text)
    if found:
        name, message = found[-1]
        message = without_beam(message)
        cls = getattr(errors, name, LabelmillError)
        if isinstance(cls, type) and issubclass(cls, LabelmillError):
            return cls(message)
    if _CHANNEL_CLOSED in text:
        return LabelmillError(WORKER_LOST)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return LabelmillError(
        f"the pipeline failed: {lines[-1] if lines else type(error).__name__}; nothing was "
        "published, and a rerun reuses what was stored (--debug shows the whole trace)"
    )


def run_here(pipeline: beam.Pipeline) -> None:
    """Run a pipeline in this process or its children, to its end.

    Raises:
        LabelmillError: It failed.
    """
    try:
        state = pipeline.run().wait_until_finish()
    except LabelmillError as error:
        raise type(error)(without_beam(str(error))) from error
    except Exception as error:
        raise own_error(error) from error
    if state not in (None, "DONE"):
        raise LabelmillError(f"the pipeline ended in state {state}; nothing was published")
