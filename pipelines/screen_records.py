"""Example records on a screen: a line each, cut around what a function matched in it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from pipelines.lf_examples import Example, Excerpt, around
from pipelines.screen_text import visible

PIPE_WIDTH = 160
ID_WIDTH = 24
_INDENT = 4


def print_records(console: Console, examples: Sequence[Example], *, with_vote: bool) -> None:
    """Print records, each with its id, its values and who votes otherwise.

    Args:
        console: Where to print; a pipe gets lines of `PIPE_WIDTH`.
        examples: At least one record.
        with_vote: Whether to say what the function votes for.
    """
    width = console.width if console.is_terminal else PIPE_WIDTH
    id_width = min(ID_WIDTH, max(cell_len(visible(example.id)) for example in examples))
    for example in examples:
        name = visible(example.id)
        if cell_len(name) > id_width:
            name = "…" + name[len(name) - id_width + 1 :]  # the end of an id tells most
        line = Text(" " * _INDENT).append(name.ljust(id_width), style="cyan").append("  ")
        if with_vote and example.vote:
            line.append(f"{visible(example.vote)}: ", style="bold")
        line.append_text(_values(console, example.excerpts, max(width - line.cell_len, 20)))
        console.print(line, no_wrap=True, overflow="crop", highlight=False)
        note = _note(example)
        if note:
            text = Text(" " * (_INDENT + id_width + 2) + note, style="dim")
            console.print(text, no_wrap=True, overflow="ellipsis", highlight=False)


def _note(example: Example) -> str:
    """Return who votes otherwise, and what gold says."""
    against = ", ".join(f"{visible(lf)} ({visible(vote)})" for lf, vote in example.against)
    more = example.n_against - len(example.against)
    parts = [f"against {against}{f' and {more} more' if more else ''}"] if against else []
    parts += [f"gold {visible(example.gold)}"] if example.gold else []
    return "; ".join(parts)


def _values(console: Console, excerpts: Sequence[Excerpt], room: int) -> Text:
    """Return the values on one line, with the names of their columns where there are several."""
    line = Text()
    each = room // max(len(excerpts), 1)
    for place, excerpt in enumerate(excerpts):
        is_named = len(excerpts) > 1
        name = f"{'  ' if place else ''}{visible(excerpt.column)}=" if is_named else ""
        line.append(name, style="dim")
        line.append_text(_excerpt(console, excerpt, each - cell_len(name)))
    return line


def _excerpt(console: Console, excerpt: Excerpt, cells: int) -> Text:
    """Return a value cut to `cells`, with what matched in it marked."""
    shown = Excerpt(
        excerpt.column, visible(excerpt.before), visible(excerpt.match), visible(excerpt.after)
    )
    marks = (">>", "<<") if shown.match and not console.is_terminal else ("", "")
    width = cells = max(cells - len("".join(marks)), 8)
    cut = around(shown, width)
    while (taken := cell_len(cut.before + cut.match + cut.after)) > cells and width > 1:
        width -= max((taken - cells) // 2, 1)  # wide characters
        cut = around(shown, width)
    style = "reverse" if console.no_color else "black on yellow"
    text = Text(cut.before)
    text.append(marks[0]).append(cut.match, style=style).append(marks[1])
    return text.append(cut.after)
