"""Text of others on the page: every character seen for what it is, and none that does anything."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

MOST_CHARACTERS = 600
"""Characters of a value that the page shows."""

MOST_LINES = 14
"""Lines of a value that the page shows."""

# Controls (but tab and line feed), invisible and zero-width characters, marks that turn the
# direction of text, separators, tags, and halves of characters.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)


def shown(text: str) -> Markup:
    r"""Return text as HTML, escaped, with characters that cannot be seen named instead.

    Example:
        >>> shown("<b>\u202e")
        Markup('&lt;b&gt;<span class="char">U+202E</span>')
    """
    return Markup(_HIDDEN.sub(_named, str(escape(text))))  # escaped, then named


def plain(text: str) -> str:
    """Return text with characters that cannot be seen named instead, not escaped."""
    return _HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def excerpt(text: str, most: int = MOST_CHARACTERS) -> Markup:
    """Return the beginning of a text as HTML, and how long it is where it is cut."""
    kept = "\n".join(text[:most].split("\n", MOST_LINES)[:MOST_LINES])
    if len(kept) == len(text):
        return shown(text)
    cut = Markup('{} <span class="cut">… cut, {} characters in all</span>')
    return cut.format(shown(kept), f"{len(text):,}")


def _named(found: re.Match[str]) -> str:
    return f'<span class="char">U+{ord(found[0]):04X}</span>'
