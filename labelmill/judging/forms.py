"""A sheet as one HTML page that works without a network and never runs what the corpus holds.

The page shows a record at a time, takes answers by key, keeps them in the browser and hands them
over as a file (`labelmill.judging.answers`). The corpus is in it as JSON that is only ever shown as
text, and the page's own policy forbids scripts and styles other than its own, and all requests.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files

from labelmill.judging.sheet import Sheet

_INERT = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def form_of(sheet: Sheet) -> str:
    """Return the HTML page of a sheet."""
    content = {
        "id": sheet.id,
        "judge": sheet.about.get("auditor", ""),
        "classes": list(sheet.classes),
        "records": [
            {"id": r.id, "values": dict(r.values), "predicted": r.predicted} for r in sheet.records
        ],
    }
    style, script = _part("form.css"), _part("form.js")
    what = "judge" if sheet.purpose == "judge" else "audit"
    parts = {
        "TITLE": html.escape(f"{what} {len(sheet.records)} records of {sheet.job}"),
        "STYLE_HASH": _hash(style),
        "SCRIPT_HASH": _hash(script),
        "STYLE": style,
        "SCRIPT": script,
        "SHEET": json.dumps(content, ensure_ascii=False).translate(_INERT),
    }
    page = _part("form.html")
    pieces = page.split("@")  # every odd one names a part; the template has no other at signs
    for n in range(1, len(pieces), 2):
        pieces[n] = parts[pieces[n]]
    return "".join(pieces)


def _part(name: str) -> str:
    return files("labelmill.judging").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
