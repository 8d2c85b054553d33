"""What somebody may have meant by a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(given: object, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of an error message: the nearest name, whatever its case.

    Args:
        given: What was given.
        known: The names that there are.
        otherwise: What to say where none is near.

    Example:
        >>> did_you_mean("Spam", ["ham", "spam"])
        "; did you mean 'spam'?"
        >>> did_you_mean("x", ["ham", "spam"], "classes: ham, spam")
        '; classes: ham, spam'
    """
    by_folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(str(given).casefold(), by_folded, 1)
    hint = f"did you mean {by_folded[close[0]]!r}?" if close else otherwise
    return f"; {hint}" if hint else ""
