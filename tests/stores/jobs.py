"""A small job whose corpus, gold, word list and output are each on a store of choice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labelmill import open_labels
from labelmill.store import Store

ROOT = Path(__file__).parents[2]
PARTS, ROWS = 6, 50
WORDS = ("cash", "lunch", "hi", "win", "hello", "prize", "tomorrow")

LFS = """
from labelmill import ABSTAIN, keywords, labeling_function

money = keywords("money", label="spam", words_file="{words}")
friendly = keywords("friendly", label="ham", words=["lunch", "hello", "meeting"])


@labeling_function()
def short(x):
    return "ham" if len(x.text) < 8 else ABSTAIN
"""


@dataclass(frozen=True)
class Places:
    """A URI for each part of a job."""

    corpus: str
    gold: str
    words: str
    output: str

    @classmethod
    def below(cls, uri: str) -> Places:
        return cls(f"{uri}/corpus", f"{uri}/gold", f"{uri}/words", f"{uri}/out")


def write_job(folder: Path, places: Places) -> Path:
    """Store what the job reads, and write its files."""
    for part in range(PARTS):
        write_part(places, part, range(part * ROWS, (part + 1) * ROWS))
    gold = "".join(f"m{n:05d},{'spam' if n % 2 else 'ham'}\n" for n in range(0, PARTS * ROWS, 7))
    Store.open(places.gold).put("gold.csv", f"id,gold\n{gold}".encode())
    Store.open(places.words).put("money.txt", b"cash\nprize\nwin\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lfs.py").write_text(LFS.format(words=f"{places.words}/money.txt"))
    job = folder / "job.yaml"
    job.write_text(
        json.dumps(
            {
                "name": "messages",
                "input": {"uri": f"{places.corpus}/*.jsonl", "id": "id"},
                "labels": ["ham", "spam"],
                "lfs": ["lfs.py"],
                "gold": {"uri": f"{places.gold}/gold.csv", "column": "gold", "id": "id"},
                "output": {"uri": places.output},
            }
        )
    )
    return job


def write_part(places: Places, part: int, numbers: range) -> None:
    """Store one file of the corpus."""
    lines = [json.dumps({"id": f"m{n:05d}", "text": _message(n)}) for n in numbers]
    Store.open(places.corpus).put(f"{part}.jsonl", "\n".join(lines).encode())


def _message(n: int) -> str:
    return " ".join(WORDS[n * step % len(WORDS)] for step in range(1, 2 + n % 3))


def command(job: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "pipelines", "run", str(job), *flags]


def run(job: Path, *flags: str, env: Mapping[str, str] | None = None) -> str:
    """Run a job to its publication; return all that it printed."""
    done = subprocess.run(
        command(job, *flags), cwd=ROOT, env=env, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def contents(uri: str) -> dict[str, bytes]:
    """Return everything that a data set holds, but for what names runs and places.

    The code does: a function names the store of its word list.
    """
    store = Store.open(uri)
    named = ("_labelmill", "code/")
    return {path: store.get(path) for path in store.list() if not path.startswith(named)}


def labels_of(uri: str) -> list[dict[str, object]]:
    """Return the labels of the current version in the order of ids."""
    return open_labels(uri).to_table().sort_by("id").to_pylist()
