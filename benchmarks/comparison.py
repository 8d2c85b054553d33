"""labelmill's label model against Snorkel's on real votes, in one run.

Snorkel is installed from PyPI into an environment of its own (a few minutes, once). Data: the
shared folder (`LABELMILL_DATA`, or `../shared/data` beside the checkout).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from throughput import DATA, ROOT

from labelmodel import LabelModel, MajorityVote, from_dense_with_inverse, score


def snorkel_python() -> str:
    command = [sys.executable, str(ROOT / "scripts" / "side_environment.py"), "snorkel"]
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
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "result.json"
        side = Path(__file__).with_name("snorkel_side.py")
        subprocess.run(
            [str(snorkel_python()), str(side)],
            input=json.dumps({"sets": sets, "result": str(path)}),
            text=True, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        result = json.loads(path.read_text())
    quality(sets, result["fit"])


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
