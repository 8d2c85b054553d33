"""A job on names of Unicode's characters, and people who judge as the Unicode database does."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CLASSES = {"L": "letter", "M": "mark", "N": "number", "P": "punctuation", "S": "symbol"}
JOB = """\
name: names   # of characters
input: {uri: names.parquet, id: id}
labels: [letter, mark, number, punctuation, symbol]
lfs:
  - keywords: {name: arrows, label: symbol, words: [arrow, arrows]}   # an expert's
output: {uri: out/}
"""


def gold_of(record_id: str) -> str:
    """Return the class of a character by its code."""
    return CLASSES[unicodedata.category(chr(int(record_id, 16)))[0]]


def write_job(folder: Path) -> Path:
    """Write corpus and job file; return the job file."""
    codes = [
        code
        for code in range(0x20, 0x3000)
        if unicodedata.category(chr(code))[0] in CLASSES and unicodedata.name(chr(code), "")
    ][::4]
    names = [unicodedata.name(chr(code)).lower() for code in codes]
    pq.write_table(
        pa.table({"id": [f"{code:x}" for code in codes], "text": names}), folder / "names.parquet"
    )
    (folder / "job.yaml").write_text(JOB)
    return folder / "job.yaml"


def write_answers(path: Path, sheet: str, ids: list[str]) -> None:
    """Write the answers of somebody who took five minutes."""
    answers = [{"id": record, "label": gold_of(record)} for record in ids]
    content = {"schema": "labelmill-answers", "version": 1, "sheet": sheet}
    path.write_text(json.dumps({**content, "judge": "Ann", "minutes": 5, "answers": answers}))
