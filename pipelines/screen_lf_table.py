"""The LF table, fitted to the width of the terminal: what matters least gives way first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import ASCII2, SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.screen_text import visible

_GAP = 3
_NARROW_NAME, _NARROWEST_NAME, _NARROW_CLASSES = 26, 16, 14


@dataclass(frozen=True)
class _Column:
    """A column of the table.

    Attributes:
        head: Its title.
        short: Its title where space is short.
        cells: Its cells, one per function.
        left: Whether it is text.
        widest: Cells that it may be wide, in characters; longer text is folded.
    """

    head: str
    short: str
    cells: Sequence[Text]
    left: bool = False
    widest: int | None = None

    def width(self) -> int:
        """Return the width that the column takes."""
        natural = max([cell_len(self.head), *(cell.cell_len for cell in self.cells)])
        return natural if self.widest is None else min(natural, self.widest)


def lf_table(
    console: Console,
    lfs: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Any],
    changes: Sequence[Text] | None = None,
) -> Table:
    """Return the table of the labeling functions.

    A pipe gets all columns. A terminal gets those that fit: titles are shortened, long names
    folded, then times, overlap, classes and coverage left out, and faults where there are none.

    Args:
        console: Where it is printed.
        lfs: Rows of the analysis.
        counts: ``faults`` and ``invalid``, and where they were measured ``seconds`` in all and
            ``times``, the median and 99th percentile of the seconds per record; in the order of
            `lfs`.
        changes: What became of each function's votes since the last run.
    """
    columns = _columns(lfs, counts, changes)
    if console.is_terminal:
        columns = _fitted(columns, console.width)
    box = SIMPLE_HEAD if console.is_terminal else ASCII2
    table = Table(box=box, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns.values():
        table.add_column(
            column.head,
            justify="left" if column.left else "right",
            no_wrap=column.widest is None,
            overflow="fold",
            max_width=column.widest,
        )
    for row in zip(*(column.cells for column in columns.values()), strict=True):
        table.add_row(*row)
    return table


def _columns(
    lfs: Sequence[Mapping[str, Any]], counts: Mapping[str, Any], changes: Sequence[Text] | None
) -> dict[str, _Column]:
    def shares(key: str) -> list[Text]:
        return [Text("-" if lf[key] is None else f"{lf[key]:.3f}") for lf in lfs]

    columns = {
        "name": _Column("function", "function", [_name(lf) for lf in lfs], left=True),
        "classes": _Column("votes for", "for", [_classes(lf["classes"]) for lf in lfs], left=True),
        "votes": _Column("votes", "votes", [Text(f"{lf['votes']:,}") for lf in lfs]),
    }
    if changes is not None:
        columns["changes"] = _Column("since last", "change", changes)
    columns |= {
        "coverage": _Column("coverage", "cover", shares("coverage")),
        "overlap": _Column("overlap", "over", shares("overlap")),
        "conflict": _Column("conflict", "confl", shares("conflict")),
        "learned": _Column("learned", "learn", shares("learned_accuracy")),
    }
    if any(lf["gold_votes"] for lf in lfs):
        columns["gold"] = _Column("on gold", "gold", shares("gold_accuracy"))
    for name, short in (("faults", "fault"), ("invalid", "inval")):
        columns[name] = _Column(name, short, [count(n) for n in counts[name]])
    if "times" in counts:
        for place, name in enumerate(("p50", "p99")):
            cells = [Text(_micro(times[place])) for times in counts["times"]]
            columns[name] = _Column(f"{name} us", name, cells)
        cells = [Text(f"{seconds:.2f}" if seconds else "-") for seconds in counts["seconds"]]
        columns["seconds"] = _Column("total s", "s", cells)
    return columns


def _micro(seconds: float | None) -> str:
    """Return a time per record in microseconds, two digits of it."""
    return "-" if seconds is None else f"{float(f'{seconds * 1e6:.2g}'):,g}"


def _fitted(columns: dict[str, _Column], width: int) -> dict[str, _Column]:
    """Return the columns that fit into `width` characters, the least important left out."""
    kept = {
        name: column
        for name, column in columns.items()
        if name not in ("faults", "invalid") or any(c.plain != "0" for c in column.cells)
    }
    if _width(kept) <= width:
        return kept
    kept = {
        name: _Column(column.short, column.short, column.cells, column.left)
        for name, column in kept.items()
    }
    for name, widest in (("name", _NARROW_NAME), ("classes", _NARROW_CLASSES)):
        if _width(kept) > width:
            kept[name] = _narrowed(kept[name], widest, _width(kept) - width)
    for name in ("p50", "seconds", "p99", "overlap", "classes", "coverage", "learned"):
        if name in kept and _width(kept) > width:
            del kept[name]
    if _width(kept) > width:
        kept["name"] = _narrowed(kept["name"], _NARROWEST_NAME, _width(kept) - width)
    return kept


def _narrowed(column: _Column, narrowest: int, excess: int) -> _Column:
    """Return `column` narrower by `excess`, but no narrower than `narrowest`."""
    widest = max(narrowest, column.width() - excess)
    return _Column(column.head, column.short, column.cells, column.left, widest)


def _width(columns: Mapping[str, _Column]) -> int:
    return sum(column.width() for column in columns.values()) + _GAP * (len(columns) - 1)


def count(value: int) -> Text:
    """Return a count of failures, red unless it is zero."""
    return Text(f"{value:,}", style="red" if value else "")


def _name(lf: Mapping[str, Any]) -> Text:
    name = Text(visible(lf["name"]))
    return name.append(" (not used)", style="red") if lf["quarantined"] else name


def _classes(names: Sequence[str]) -> Text:
    shown = names if len(names) <= 3 else [*names[:2], f"+{len(names) - 2}"]
    return Text(visible(", ".join(shown)))
