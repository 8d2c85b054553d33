"""A job whose corpus, functions and failures hold text that attacks whoever shows it."""

from __future__ import annotations

import json
from pathlib import Path

LONG = 1_000_000
OWNED = "owned"
"""What the title of a page becomes in which one of the texts runs."""


def attacks(address: str) -> list[str]:
    """Return texts that run a script, ask `address` for something, or hide what they say."""
    run = f"document.title='{OWNED}'"
    return [
        f"<script>{run}</script><script src='{address}/script'></script>",
        f"<img src='{address}/image' onerror=\"{run}\">",
        f"</style></script></textarea></title><svg onload=\"{run}\">"
        f"<style>@import '{address}/css';",
        f"<a href=\"javascript:{run}\" autofocus onfocus=\"{run}\">win</a>",
        f"\" onmouseover=\"{run}\" style=\"background:url({address}/style)\" x='",
        f"<iframe src='{address}/frame' srcdoc=\"<script>parent.{run}</script>\"></iframe>"
        f"<meta http-equiv=refresh content='0;url={address}/meta'><base href='{address}/'>",
        "{{ 7 * 191 }} {% raw %} ${7 * 191} <%= 7 * 191 %> &lt;b&gt; ]]> <!-- -->",
        "safe\u202etxt.exe\u2066\u200bzero\u200dwidth\ufeff\u0000\u0007\u001b[31m\U000e0041 end",
        "x" * LONG,
    ]  # fmt: skip


FUNCTIONS = """
from labelmill import ABSTAIN, labeling_function

MESSAGE = {message!r}


@labeling_function()
def breaks(x):
    if "breaks" in x.text:
        raise ValueError(MESSAGE)
    return ABSTAIN
"""


def write_hostile_job(root: Path, address: str = "http://127.0.0.1:9") -> Path:
    """Write the job and return its file: attacks of both classes, in conflict and without votes."""
    texts = attacks(address)
    (root / "data").mkdir(parents=True)
    records = [
        {"id": f"{kind}-{n} {text[:60]}", "text": f"{words} {text}", "gold": gold}
        for kind, words, gold in (
            ("spam", "cash", "<i>spam"),
            ("ham", "lunch", "ham"),
            ("both", "cash lunch breaks", None),
            ("none", "", None),
        )
        for n, text in enumerate(texts)
    ]
    lines = [json.dumps(record) for record in records]
    lines += [f'{{"id": 7, "text": {text[:300]}' for text in texts[:3]]
    (root / "data" / "0.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "lfs.py").write_text(FUNCTIONS.format(message=texts[0]), encoding="utf-8")
    job = {
        "name": f"hostile {texts[1]}",
        "input": {"uri": "data/*.jsonl", "id": "id"},
        "labels": ["ham", "<i>spam"],
        "lfs": [
            "lfs.py",
            {"keywords": {"name": "money", "label": "<i>spam", "words": ["cash"]}},
            {"keywords": {"name": "<b>food", "label": "ham", "words": ["lunch"]}},
        ],
        "gold": {"column": "gold"},
        "gates": {"max_bad_records": 0.5, "max_fault_rate": 0.9},
        "output": {"uri": "out"},
    }
    path = root / "job.yaml"
    path.write_text(json.dumps(job))
    return path
