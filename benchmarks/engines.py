"""What each engine costs over the local runner in one process, on the texts of the throughput job.

Every engine is started as the tests start it, and runs a job of 2,000 records, which shows what
starting costs, then the whole job twice: the first time cold. `ratio` is the second whole run
without the small job's time, over the same of the local runner: what is left of the engine once its
start is taken away. Shared data as for benchmarks/throughput.py; engines by scripts/engines.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.throughput import DATA, ROOT, write_job

sys.path.insert(0, str(ROOT / "tests" / "engines"))  # where the tests have their engines
import engines

SMALL = 2_000
LOCAL = ["--direct_running_mode=in_memory"]
PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


def seconds(job: Path, flags: list[str], name: str) -> float:
    """Run a job into an empty folder and return its wall time."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "pipelines", "run", str(job), "--set"]
        started = time.monotonic()
        done = subprocess.run(
            [*command, f"output.uri={out}/labels", *flags], cwd=ROOT, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{name}: {done.stderr}")
        return time.monotonic() - started


def local(flags: list[str]) -> Callable[[Path], AbstractContextManager[Any]]:
    return lambda _: nullcontext(engines.Engine(flags))


KINDS: dict[str, Callable[[Path], AbstractContextManager[Any]]] = {
    "local": local(LOCAL),
    "local, 2 processes": local(PROCESSES),
    "prism": engines.prism,
    "flink embedded": engines.flink_embedded,
    "spark embedded": engines.spark_embedded,
    "spark standalone": engines.spark_cluster,
    "flink standalone": engines.flink_cluster,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=841_708)
    parser.add_argument("--only", nargs="*", default=list(KINDS), help="Engines, besides local.")
    arguments = parser.parse_args()
    source = DATA / "text_pypi" / "texts.parquet"
    if not source.exists():
        sys.exit(f"no {source}: set LABELMILL_DATA to the folder with the shared data sets")
    texts = pq.read_table(source, columns=["id", "text"])
    print("| engine | 2,000 records s | whole job cold s | warm s | ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = write_job(folder / "small", texts, SMALL)
        whole = write_job(folder / "whole", texts, arguments.rows)
        base = 0.0
        for kind in dict.fromkeys(["local", *arguments.only]):
            with KINDS[kind](folder / kind.replace(" ", "-").replace(",", "")) as engine:
                start = min(seconds(small, engine.flags, kind) for _ in range(2))
                cold = seconds(whole, engine.flags, kind)
                warm = seconds(whole, engine.flags, kind)
            base = base or warm - start
            ratio = (warm - start) / base
            print(f"| {kind} | {start:.1f} | {cold:.1f} | {warm:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
