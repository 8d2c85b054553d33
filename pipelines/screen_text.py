"""Pieces of text for a terminal: untrusted text made harmless, numbers made readable."""

from __future__ import annotations

from rich.markup import escape


def visible(text: str) -> str:
    """Return corpus or user text with control characters made visible as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable(text: str) -> str:
    """Return corpus or user text with control characters made visible and markup inert."""
    return escape(visible(text))


def share(value: float | None) -> str:
    """Return a share as three decimals, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def percent(part: int, whole: int) -> str:
    """Return a part of a whole in percent, or a dash."""
    return f"{part / whole:.1%}" if whole else "-"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time in the unit that a person would use.

    >>> duration(4.25), duration(90), duration(9000)
    ('4.2 s', '1.5 min', '2.5 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
