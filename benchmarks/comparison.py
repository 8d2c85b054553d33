"""labelmill against Snorkel in one run: applying functions, and the label model on real votes.

Snorkel is installed from PyPI into an environment of its own (a few minutes, once). Data: the
shared folder (`LABELMILL_DATA`, or `../shared/data` beside the checkout).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from throughput import DATA, REGEXES, ROOT, write_job

from labelmodel import LabelModel, MajorityVote, from_dense_with_inverse, score

SAMPLE = 20_000


def snorkel_python() -> str:
    command = [sys.executable, str(ROOT / "scripts" / "snorkel_environment.py")]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def main() -> None:
    sets = {
        folder.name: str(folder)
        for folder in sorted(DATA.glob("lf_*"))
        if (folder / "L.npy").exists()
    }
    if not sets:
        print(f"no lf_* folders in {DATA}: set LABELMILL_DATA")
        return
    texts_path = DATA / "text_pypi" / "texts.parquet"
    texts = pq.read_table(texts_path, columns=["id", "text"])
    patterns = [pattern for group in REGEXES.values() for pattern in group]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(texts.slice(0, SAMPLE), folder / "sample.parquet")
        task = {
            "texts": str(folder / "sample.parquet"),
            "patterns": patterns,
            "sets": sets,
            "result": str(folder / "result.json"),
        }
        side = Path(__file__).with_name("snorkel_side.py")
        subprocess.run(
            [snorkel_python(), str(side)],
            input=json.dumps(task), text=True, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        result = json.loads((folder / "result.json").read_text())
        applying(folder, texts, result["apply"])
    quality(sets, result["fit"])


def applying(folder, texts, snorkel) -> None:
    """Print rows per second of Snorkel's applier and of whole labelmill jobs."""
    base = SAMPLE / snorkel["seconds"]
    print(f"| 20 regex functions | rows | seconds | rows/s | against Snorkel |\n|{'---|' * 5}")
    print(f"| Snorkel PandasLFApplier, applying alone | {SAMPLE:,} | {snorkel['seconds']:.1f} "
          f"| {base:,.0f} | 1 |")  # fmt: skip
    for rows in (SAMPLE, texts.num_rows):
        job = write_job(folder / str(rows), texts, rows)
        started = time.perf_counter()
        command = [sys.executable, "-m", "pipelines", "run", str(job)]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        print(f"| labelmill, whole job from shell to labels | {rows:,} | {seconds:.1f} "
              f"| {rows / seconds:,.0f} | {rows / seconds / base:.1f} |")  # fmt: skip


def quality(sets, snorkel) -> None:
    """Print accuracy and log loss on covered records with gold, no gold in any fit."""
    print(f"\n| votes | majority vote | Snorkel LabelModel | labelmill default |\n|{'---|' * 4}")
    rows = []
    for name, folder in sets.items():
        votes = np.load(Path(folder) / "L.npy").astype(np.int64)
        gold = np.load(Path(folder) / "gold.npy")
        classes = len(json.loads((Path(folder) / "meta.json").read_text())["classes"])
        covered = (votes >= 0).any(axis=1)
        votes, gold = votes[covered], gold[covered]
        table, inverse = from_dense_with_inverse(votes, n_classes=classes)
        majority = MajorityVote(classes).fit(table).predict_proba(table)[inverse]
        ours = LabelModel(classes).fit(table).predict_proba(table)[inverse]
        scores = [score(p, gold) for p in (majority, np.array(snorkel[name]), ours)]
        rows.append([(s["accuracy"], s["log_loss"]) for s in scores])
        cells = " | ".join(f"{a:.3f} / {ll:.2f}" for a, ll in rows[-1])
        print(f"| {name.removeprefix('lf_')} | {cells} |")
    means = np.array(rows).mean(axis=0)
    print("| **mean** | " + " | ".join(f"**{a:.3f} / {ll:.2f}**" for a, ll in means) + " |")


if __name__ == "__main__":
    main()
