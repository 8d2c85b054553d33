"""A small job with gold, in three shards, which many tests run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = ("cash", "prize", "lunch", "meeting", "hello", "tomorrow", "win", "free")


def message(n: int) -> str:
    """Return a text that depends on `n` alone."""
    return " ".join(WORDS[(n * step + step) % len(WORDS)] for step in range(1, 2 + n % 4))


def write_messages(path: Path, start: int, stop: int) -> None:
    """Write records `start` to `stop` as JSON lines, every third with gold."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for n in range(start, stop):
            gold = "spam" if {"cash", "prize", "win", "free"} & set(message(n).split()) else "ham"
            record = {"id": f"m{n:05d}", "text": message(n), "gold": gold if n % 3 == 0 else None}
            file.write(json.dumps(record) + "\n")


LFS = """
from labelmill import ABSTAIN, keywords, labeling_function, regex
from helpers import is_short

money = keywords("money", label="spam", words=["cash", "prize"])
win = regex("win", label="spam", pattern=r"\\bwin\\b")
friendly = keywords("friendly", label="ham", words=["lunch", "hello", "meeting"])


@labeling_function()
def short(x):
    return "ham" if is_short(x.text) else ABSTAIN


@labeling_function(batch=True)
def free(batch):
    return [1 if "free" in text else None for text in batch["text"].to_pylist()]
"""

HELPERS = """
LIMIT = 8


def is_short(text):
    return len(text) < LIMIT
"""


def write_job(root: Path, **changes: Any) -> Path:
    """Write a job with 3 shards and 300 messages and return its file."""
    root.mkdir(parents=True, exist_ok=True)
    for part in range(3):
        write_messages(root / "data" / f"{part}.jsonl", part * 100, part * 100 + 100)
    (root / "lfs.py").write_text(LFS)
    (root / "helpers.py").write_text(HELPERS)
    job = {
        "name": "messages",
        "input": {"uri": "data/*.jsonl", "id": "id"},
        "labels": ["ham", "spam"],
        "lfs": ["lfs.py"],
        "gold": {"column": "gold"},
        "output": {"uri": "out"},
    }
    job.update(changes)
    path = root / "job.yaml"
    path.write_text(json.dumps(job))
    return path
