"""What a refresh costs against the full run: nothing changed, a function edited, a shard added.

Real short texts: the package summaries of the shared data folder (`LABELMILL_DATA`, or
`../shared/data` beside the checkout), in 100 files, with 50 functions: 5 keyword lists, 5 regular
expressions and 40 functions in Python. Wall time from shell to published labels, processor time of
all processes, which others on the machine change less, and the peak memory of the largest process.
Prints the table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.throughput import DATA, REGEXES, ROOT, enlarge

SHARDS = 100
WORDS = ["server", "client", "parser", "model", "test"]

PYTHON = """
import re

from labelmill import ABSTAIN, labeling_function

STOP = {"a", "an", "and", "for", "in", "of", "the", "to", "with"}


def share(x, letters):
    words = [w for w in re.findall(r"[a-z]+", x.text.lower()) if w not in STOP]
    return sum(w[0] in letters for w in words) / max(len(words), 1)

"""
FUNCTION = """
@labeling_function()
def starts_{n}(x):
    return {label!r} if share(x, {letters!r}) > {least} else ABSTAIN

"""


def python_functions(least: float) -> str:
    """Return 40 functions, the last of which depends on `least`."""
    labels, letters = list(REGEXES), "etaoinshrdlucmfwypvbgkqjxz"
    text = PYTHON
    for n in range(40):
        chosen = letters[n % 20 : n % 20 + 3]
        text += FUNCTION.format(
            n=n, label=labels[n % 4], letters=chosen, least=least if n == 39 else 0.4
        )
    return text


def write_job(folder: Path, texts: pa.Table) -> Path:
    """Write the job with all shards but the last."""
    (folder / "data").mkdir(parents=True)
    for shard in range(SHARDS - 1):
        write_shard(folder, texts, shard)
    labels = list(REGEXES)
    patterns = [(label, p) for label, several in REGEXES.items() for p in several][:5]
    lfs: list[object] = ["lfs.py"]
    lfs += [
        {"regex": {"name": f"regex_{n}", "label": label, "pattern": pattern}}
        for n, (label, pattern) in enumerate(patterns)
    ]
    lfs += [
        {"keywords": {"name": f"word_{n}", "label": labels[n % 4], "words": [word]}}
        for n, word in enumerate(WORDS)
    ]
    (folder / "lfs.py").write_text(python_functions(0.4))
    job = {
        "name": "refresh",
        "input": {"uri": "data/*.parquet", "id": "id"},
        "labels": labels,
        "lfs": lfs,
        "output": {"uri": "out/"},
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))  # JSON is YAML
    return path


def write_shard(folder: Path, texts: pa.Table, shard: int) -> None:
    edges = [texts.num_rows * n // SHARDS for n in (shard, shard + 1)]
    part = texts.slice(edges[0], edges[1] - edges[0])
    pq.write_table(part, folder / "data" / f"part-{shard:03d}.parquet")


def measure(arguments: list[str]) -> tuple[float, float, float]:
    """Return wall and processor seconds of a command, and the peak MB of its largest process."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
        "sys.exit(done.returncode)\n"
    )
    command = [sys.executable, "-m", "pipelines", *arguments]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        check=True, capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    cpu, peak = map(float, done.stdout.split()[-2:])
    return time.perf_counter() - started, cpu, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=841_708)
    rows = parser.parse_args().rows
    source = DATA / "text_pypi" / "texts.parquet"
    if not source.exists():
        print(f"no {source}: set LABELMILL_DATA to the folder with the shared data sets")
        return
    texts = enlarge(pq.read_table(source, columns=["id", "text"]), rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = write_job(folder, texts)
        full, full_cpu, peak = measure(["run", str(job)])
        print(f"| {rows:,} rows, {SHARDS} shards | s | of full | cpu s | of full | peak MB |")
        print("|---|---|---|---|---|---|")
        print(f"| full run | {full:.1f} | 1 | {full_cpu:.1f} | 1 | {peak:,.0f} |", flush=True)

        def report(title: str) -> None:
            wall, cpu, peak = measure(["run", str(job)])
            shares = f"{wall:.1f} | 1/{full / wall:.0f} | {cpu:.1f} | 1/{full_cpu / cpu:.0f}"
            print(f"| {title} | {shares} | {peak:,.0f} |", flush=True)

        report("nothing changed")
        (folder / "lfs.py").write_text(python_functions(0.45))
        report("1 of 50 functions edited, in Python")
        job.write_text(job.read_text().replace('["server"]', '["servers"]'))
        report("1 of 50 functions edited, a keyword")
        write_shard(folder, texts, SHARDS - 1)
        report("1 new shard")


if __name__ == "__main__":
    main()
