"""What records, shards and starting cost besides functions: the constants of pipelines/capacity.py.

Runs one job with a single cheap function over corpora that differ in records and in shards, in one
process, and fits `processor seconds = start + records * a + shards * b` by non-negative least
squares on relative errors; wall time, which others on the machine change, is shown beside. With
`--many N`, also plans and runs N shards of five records, and prints plan time, size of the job
graph and peak memory: where a driver would be the bottleneck.

    python -m benchmarks.capacity [--many 10000]
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

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).parents[1]
GRID = [(2_000, 1), (2_000, 50), (200_000, 1), (200_000, 50), (200_000, 400), (800_000, 8)]
TEXTS = ["cash prize now", "hello, lunch at noon?", "win free things", "see you tomorrow"]
LFS = """
from labelmill import keywords

money = keywords("money", label="spam", words=["cash", "prize"])
"""


def write_job(folder: Path, rows: int, shards: int) -> Path:
    """Write a job of so many records in so many files."""
    (folder / "data").mkdir(parents=True)
    each = rows // shards
    for shard in range(shards):
        with (folder / "data" / f"{shard:06d}.jsonl").open("w") as file:
            for n in range(each):
                file.write(f'{{"id": "{shard}-{n}", "text": "{TEXTS[n % len(TEXTS)]}"}}\n')
    (folder / "lfs.py").write_text(LFS)
    job = {"name": "capacity", "input": {"uri": "data/*.jsonl", "id": "id"}}
    job |= {"labels": ["ham", "spam"], "lfs": ["lfs.py"], "output": {"uri": "out"}}
    path = folder / "job.yaml"
    path.write_text(json.dumps(job | {"gates": {"min_coverage": 0}}))
    return path


def run(job: Path, *flags: str) -> tuple[float, float, float]:
    """Run a job; return its wall and processor seconds and the largest process in MB."""
    command = [sys.executable, "-m", "pipelines", "run", str(job), *flags]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if status:
        sys.exit(process.stderr.read().decode() if process.stderr else "the job failed")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--many", type=int, metavar="N", help="Also run N shards of 5 records.")
    many = parser.parse_args().many
    flags = ["--direct_running_mode=in_memory"]
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        for rows, shards in GRID:
            job = write_job(Path(folder) / f"{rows}-{shards}", rows, shards)
            seen.append((rows, shards, *run(job, *flags)))
        fit(seen)
        if many:
            job = write_job(Path(folder) / "many", 5 * many, many)
            show_many(job, many)


def fit(seen: list[tuple[int, int, float, float, float]]) -> None:
    """Print what was seen, and the constants that explain it best."""
    design = np.array([[1, rows, shards] for rows, shards, *_ in seen], dtype=float)
    seconds = np.array([row[3] for row in seen])
    constants, _ = nnls(design / seconds[:, None], np.ones(len(seen)))
    print("| records | shards | wall s | processor s | largest process MB | model, processor s |")
    print("|---|---|---|---|---|---|")
    for (rows, shards, wall, cpu, memory), model in zip(seen, design @ constants, strict=True):
        print(f"| {rows:,} | {shards:,} | {wall:.1f} | {cpu:.1f} | {memory:,.0f} | {model:.1f} |")
    start, row, shard = constants
    costs = f"{row * 1e6:.2f} us a record, {shard * 1e3:.0f} ms a shard"
    print(f"\nprocessor time: start {start:.1f} s, {costs}\n")


def show_many(job: Path, shards: int) -> None:
    """Print what so many shards cost the launcher, and the whole run."""
    script = (
        "import sys, time, apache_beam as beam; from pathlib import Path\n"
        "from labelmill.jobfile import load_job; from labelmill.publication import RunInfo\n"
        "from pipelines.plan import make_plan; from pipelines.graph import *\n"
        "from transforms.refit import refit_of\n"
        "t = time.monotonic(); spec, folder = load_job(Path(sys.argv[1]))\n"
        "p = make_plan(spec, folder, full=False); planned = time.monotonic() - t\n"
        "r = RunInfo('r', 's', 'r', 'v', None, None, '')\n"
        "pipeline = beam.Pipeline(); s = p.corpus.shards; refit = refit_of(p.task, p.parent)\n"
        "build_graph(pipeline, GraphInputs(s, p.task, p.prepared, r, p.rows_of(s), refit))\n"
        "print(planned, pipeline.to_runner_api().ByteSize())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(job)], cwd=ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    planned, size = done.stdout.split()
    first = run(job)
    again = run(job)
    print("| shards | plan s | job graph KB | run s | processor s | largest process MB | rerun s |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {shards:,} | {float(planned):.1f} | {int(size) / 1e3:,.0f} | {first[0]:.0f} | "
        f"{first[1]:.0f} | {first[2]:,.0f} | {again[0]:.1f} |"
    )


if __name__ == "__main__":
    main()
