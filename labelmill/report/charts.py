"""Charts of a report as inline SVG, written from data; colours are in the page's style sheet.

Each chart names itself for readers who do not see it, and its numbers stand in a table or a title
beside it. No attribute but numbers and names of ours is written unescaped.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from labelmill.report.content import Histogram, Interval, PairCounts, Reliability
from labelmill.report.shown import plain

LONGEST_NAME = 22
_CELL = 18


def bar(share: float, before: float | None = None) -> Markup:
    """Return a bar from 0 to 1, with a mark where it ended before."""
    mark = Markup()
    if before is not None:
        mark = Markup('<rect class="mark" x="{}" y="0" width="1.5" height="14"/>').format(
            _number(before * 100 - 0.75)
        )
    return Markup(
        '<svg class="bar" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="8" y="3"/>'
        '<rect class="fill" width="{}" height="8" y="3"/>{}</svg>'
    ).format(_number(share * 100), mark)


def strip(learned: Interval | None, gold: Interval | None) -> Markup:
    """Return accuracies of a function with their intervals on an axis from 0 to 1."""
    parts = Markup()
    for kind, y, found in (("learned", 5, learned), ("gold", 13, gold)):
        if found is None:
            continue
        if found.low is not None and found.high is not None:
            parts += Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                kind, _number(found.low * 80 + 2), _number(found.high * 80 + 2), y, y
            )
        parts += Markup('<circle class="{}" cx="{}" cy="{}" r="2.6"/>').format(
            kind, _number(found.value * 80 + 2), y
        )
    return Markup(
        '<svg class="strip" viewBox="0 0 84 18" width="84" height="18" aria-hidden="true">'
        '<path class="axis" d="M2 0V18M42 0V18M82 0V18"/>{}</svg>'
    ).format(parts)


def lean(adds: float, most: float) -> Markup:
    """Return a bar to the right for what speaks for the label, to the left for what against."""
    width = 30 * min(1.0, abs(adds) / most) if most else 0.0
    x = 30 if adds >= 0 else 30 - width
    kind = "for" if adds >= 0 else "against"
    return Markup(
        '<svg class="lean" viewBox="0 0 60 10" width="60" height="10" aria-hidden="true">'
        '<rect class="{}" x="{}" y="1" width="{}" height="8"/><path class="axis" d="M30 0V10"/>'
        "</svg>"
    ).format(kind, _number(x), _number(width))


def histogram(found: Histogram) -> Markup:
    """Return covered records by confidence."""
    n, most = len(found.counts), max(found.counts, default=0) or 1
    left, top, width, height = 52, 10, 340, 150
    bars = Markup()
    for at, count in enumerate(found.counts):
        tall = height * count / most
        if count:
            bars += Markup(
                '<rect class="fill" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
            ).format(
                _number(left + width * at / n + 0.75),
                _number(top + height - tall),
                _number(width / n - 1.5),
                _number(tall),
                f"confidence {at / n:.2f} to {(at + 1) / n:.2f}: {count:,} records",
            )
    axes = _axes(
        left, top, width, height, "confidence", "records", [(0.0, "0"), (1.0, f"{most:,}")]
    )
    return _figure(
        410, 205, f"Histogram of the confidence of {sum(found.counts):,} labels", axes + bars
    )


def calibration(points: Sequence[Reliability]) -> Markup:
    """Return the share of labels that are right against their confidence, on gold."""
    left, top, side = 52, 10, 200
    marks = Markup('<line class="ideal" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        left, top + side, left + side, top
    )
    largest = max((point.records for point in points), default=1)
    for point in points:
        x, y = left + side * point.confidence, top + side * (1 - point.right.value)
        low, high = point.right.low, point.right.high
        if low is not None and high is not None:
            marks += Markup('<line class="gold" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
                _number(x), _number(top + side * (1 - high)), _number(top + side * (1 - low))
            )
        marks += Markup(
            '<circle class="gold" cx="{}" cy="{}" r="{}"><title>{}</title></circle>'
        ).format(
            _number(x),
            _number(y),
            _number(2.5 + 4.5 * (point.records / largest) ** 0.5),
            f"confidence {point.confidence:.2f}: {point.right.value:.1%} right of "
            f"{point.records:,}",
        )
    ticks = [(0.0, "0"), (0.5, "0.5"), (1.0, "1")]
    axes = _axes(left, top, side, side, "confidence", "share right", ticks)
    return _figure(
        270, 255, "Calibration: share of labels right on gold by confidence", axes + marks
    )


def heat_map(pairs: PairCounts) -> Markup:
    """Return how much functions overlap (below the diagonal) and conflict (above it)."""
    n = len(pairs.names)
    left, top = 190, 24
    cells = Markup()
    for row in range(n):
        for column in range(n):
            cells += _cell(pairs, row, column, left, top)
    for at, name in enumerate(pairs.names):
        cells += Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            left - 8, top + at * _CELL + 13, f"{_short(name)}  {at + 1}"
        )
        cells += Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            _number(left + (at + 0.5) * _CELL), top - 8, at + 1
        )
    side = n * _CELL
    cells += Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(
        left, top, side, side
    )
    title = f"Overlap and conflict of {n} functions; the table below has the largest conflicts"
    return _figure(left + side + 12, top + side + 8, title, cells, fixed=True)


def _cell(pairs: PairCounts, row: int, column: int, left: int, top: int) -> Markup:
    """Return a cell: overlap or conflict as a share of the function that votes less."""
    x, y = left + column * _CELL, top + row * _CELL
    if row == column:
        return Markup('<rect class="same" x="{}" y="{}" width="{}" height="{}"/>').format(
            x, y, _CELL, _CELL
        )
    together, conflicts = pairs.together[row][column], pairs.conflicts[row][column]
    if not together:
        return Markup()
    smaller = max(1, min(pairs.together[row][row], pairs.together[column][column]))
    below = row > column
    share = (together if below else conflicts) / smaller
    if not share:
        return Markup()
    what = f"{conflicts:,} of them in conflict ({conflicts / together:.0%})"
    title = (
        f"{plain(pairs.names[row])} and {plain(pairs.names[column])}: {together:,} records "
        f"together, {what}"
    )
    return Markup(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" fill-opacity="{}">'
        "<title>{}</title></rect>"
    ).format(
        "overlap" if below else "conflict", x, y, _CELL, _CELL,
        _number(0.12 + 0.88 * min(1.0, share)), title,
    )  # fmt: skip


def _axes(
    left: int, top: int, width: int, height: int, across: str, up: str,
    ticks: Sequence[tuple[float, str]],
) -> Markup:  # fmt: skip
    """Return axes with 0, 0.5 and 1 across and the given ticks up."""
    parts = Markup('<path class="axis" d="M{0} {1}V{2}H{3}"/>').format(
        left, top, top + height, left + width
    )
    for share, text in ((0.0, "0"), (0.5, "0.5"), (1.0, "1")):
        parts += Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            _number(left + width * share), top + height + 16, text
        )
    for share, text in ticks:
        parts += Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            left - 6, _number(top + height * (1 - share) + 4), text
        )
    parts += Markup('<text class="unit" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        _number(left + width / 2), top + height + 34, across
    )
    return parts + Markup('<text class="unit" transform="translate(12 {}) rotate(-90)" '
                          'text-anchor="middle">{}</text>').format(
        _number(top + height / 2), up
    )  # fmt: skip


def _figure(width: int, height: int, title: str, body: Markup, *, fixed: bool = False) -> Markup:
    """Return an SVG with its name; a fixed one keeps its size and is scrolled."""
    return Markup(
        '<svg class="chart{}" role="img" aria-label="{}" viewBox="0 0 {w} {h}" width="{w}" '
        'height="{h}">{}</svg>'
    ).format(" fixed" if fixed else "", title, body, w=width, h=height)


def _short(name: str) -> str:
    name = plain(name)
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
