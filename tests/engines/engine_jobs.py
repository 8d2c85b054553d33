"""The jobs that every engine runs: the demo, and eight shards of generated text."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmill.manifest import Manifest
from labelmill.store import Store
from labelmill.versions import read_manifest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "unicode_names"
RUN_SECONDS = 300

TOPICS = {
    "money": ["invoice", "refund", "payment", "price", "bank", "cash"],
    "travel": ["flight", "hotel", "train", "ticket", "visa", "airport"],
    "health": ["doctor", "fever", "clinic", "vaccine", "allergy", "dose"],
}
FILLERS = (
    "the", "a", "my", "to", "of", "and", "with", "please", "about", "when", "where", "again",
)  # fmt: skip

LFS = '''
import time
from pathlib import Path

from labelmill import ABSTAIN, keywords, labeling_function, regex

pay = keywords("pay", label="money", words=["invoice", "payment", "bank"])
back = keywords("back", label="money", words=["refund", "cash", "price"])
fly = keywords("fly", label="travel", words=["flight", "airport", "visa"])
stay = regex("stay", label="travel", pattern=r"\\\\b(hotel|tickets?)\\\\b")
ill = keywords("ill", label="health", words=["fever", "allergy", "dose"])
cure = regex("cure", label="health", pattern=r"(?i)doctor|clinic|vaccine")


@labeling_function()
def shortest(x):
    return "travel" if len(x.text) < 25 else ABSTAIN


@labeling_function(batch=True)
def slow(batch):
    """Votes for money where there is a digit, and takes its time if told."""
    time.sleep(float(Path(DELAY).read_text()) * batch.num_rows / 1000)
    return [0 if any(c.isdigit() for c in text) else None for text in batch["text"].to_pylist()]
'''


@dataclass(frozen=True)
class Local:
    """A job, and where the local runner published it."""

    job: Path
    out: Path


def demo_job(folder: Path) -> Path:
    """Write the demo with its corpus and return its job file."""
    command = [sys.executable, str(DEMO / "make_corpus.py"), "--out", str(folder / "data")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name in ("job.yaml", "lfs.py"):
        shutil.copy(DEMO / name, folder / name)
    return folder / "job.yaml"


def text_job(folder: Path, shards: int = 8, rows: int = 1500, **changes: Any) -> Path:
    """Write a job on generated texts, a file a shard, and return its job file.

    Args:
        folder: Where.
        shards: Files.
        rows: Records of each.
        changes: Sections of the job file.
    """
    (folder / "data").mkdir(parents=True)
    for shard in range(shards):
        random_ = random.Random(shard)
        with (folder / "data" / f"{shard:03d}.jsonl").open("w") as file:
            for n in range(rows):
                topic = random_.choice(list(TOPICS))
                words = random_.choices(FILLERS, k=random_.randint(3, 9))
                words += random_.choices(TOPICS[topic], k=random_.randint(0, 2))
                if random_.random() < 0.1:
                    words.append(random_.choice(TOPICS[random_.choice(list(TOPICS))]))
                if topic == "money" and random_.random() < 0.5:
                    words.append(str(random_.randint(1, 999)))
                random_.shuffle(words)
                record = {"id": f"{shard}-{n}", "text": " ".join(words), "topic": topic}
                file.write(json.dumps(record) + "\n")
    (folder / "lfs.py").write_text(LFS.replace("DELAY", repr(str(folder / "delay"))))
    set_delay(folder / "job.yaml", 0)
    job = {
        "name": "topics",
        "input": {"uri": "data/*.jsonl", "id": "id"},
        "labels": list(TOPICS),
        "lfs": ["lfs.py"],
        "gold": {"column": "topic", "fit": 0.01},
        "output": {"uri": "out"},
        **changes,
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))
    return path


def set_delay(job: Path, seconds: float) -> None:
    """Set what a function of `text_job` takes for a thousand records; its code stays the same."""
    (job.parent / "delay").write_text(repr(seconds))


def command(job: Path, out: Path | str, *flags: str) -> list[str]:
    """Return the command line of a run."""
    return [
        sys.executable, "-m", "pipelines", "run", str(job), "--set", f"output.uri={out}", *flags,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Return an environment in which the command is the checkout's."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def run(job: Path, out: Path | str, *flags: str, code: int = 0) -> subprocess.CompletedProcess:
    """Run a job and check its exit code."""
    done = subprocess.run(
        command(job, out, *flags), cwd=job.parent, env=environment(), capture_output=True,
        text=True, timeout=RUN_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def digests(out: Path | str) -> dict[str, str]:
    """Return the digest of every stored file but manifests and records of runs."""
    store = Store.open(str(out))
    paths = [path for path in store.list() if not path.startswith("_labelmill")]
    return {path: hashlib.sha256(store.get(path)).hexdigest() for path in paths}


def manifest(out: Path | str) -> Manifest:
    """Return the manifest of the current version."""
    return read_manifest(Store.open(str(out)))


def assert_same_version(out: Path | str, other: Path | str) -> None:
    """Check that two data sets have the same bytes, and the same manifest but for the run."""
    assert digests(out) == digests(other)
    assert manifest(out).digest == manifest(other).digest
