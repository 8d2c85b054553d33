"""A report as one HTML page that needs no network and never runs or obeys what the corpus holds.

The page's own policy allows its one style sheet and its one script, by their digests, and no
request at all. Every value that a template prints is escaped, and characters that cannot be seen
are named (`labelmill.report.shown`), whatever the template does.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from labelmill.report import charts
from labelmill.report.content import Interval, Report
from labelmill.report.shown import excerpt, plain, shown

NOTHING = "\N{EN DASH}"
"""What stands where there is no number."""


def render(report: Report) -> str:
    """Return the HTML page of a report."""
    style, script = _part("page.css"), _part("page.js")
    template = _environment().get_template("page.html")
    return template.render(
        report=report,
        charts=charts,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("labelmill.report", "templates"),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "plain": plain,
        "excerpt": excerpt,
        "count": _count,
        "percent": _percent,
        "share": _share,
        "signed": _signed,
        "micro": _micro,
        "range": _range,
    }
    return made


def _finalize(value: Any) -> Any:
    """Return what is printed: text of others with hidden characters named."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return shown(value)
    return "" if value is None else value


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _percent(value: float | None, digits: int = 1) -> str:
    return NOTHING if value is None else f"{value:.{digits}%}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _signed(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _micro(seconds: float | None) -> str:
    """Return a time per record in microseconds, two digits of it."""
    return NOTHING if seconds is None else f"{float(f'{seconds * 1e6:.2g}'):,g}"


def _range(found: Interval | None) -> str:
    if found is None or found.low is None or found.high is None:
        return ""
    return f"{found.low:.1%} to {found.high:.1%}"


def _part(name: str) -> str:
    return files("labelmill.report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
