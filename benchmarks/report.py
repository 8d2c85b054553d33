"""What a report costs: wall and processor seconds from shell to page, its size, and peak memory.

Real short texts: the package summaries of the shared data folder (`LABELMILL_DATA`, or
`../shared/data` beside the checkout), in files of 100,000 rows, with the 20 expressions of
`benchmarks/throughput.py`. The second version has one of them edited, so that the report compares
every label with the version before. Prints the table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.throughput import DATA, ROOT, enlarge, write_job


def run(*arguments: str) -> tuple[float, float, float]:
    """Run labelmill; return wall and processor seconds, and peak MB of its largest process."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
        "sys.exit(done.returncode)\n"
    )
    command = [sys.executable, "-m", "pipelines", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        check=True, capture_output=True, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    cpu, peak = map(float, done.stdout.split()[-2:])
    return time.perf_counter() - started, cpu, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--keep", type=Path, help="Folder to leave the data sets in.")
    arguments = parser.parse_args()
    source = DATA / "text_pypi" / "texts.parquet"
    if not source.exists():
        print(f"no {source}: set LABELMILL_DATA to the folder with the shared data sets")
        return
    texts = pq.read_table(source, columns=["id", "text"])
    print("| rows, 20 regexes | version | seconds | cpu s | MB of the page | peak MB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for rows in arguments.rows:
            folder = (arguments.keep or Path(temporary)) / str(rows)
            job = write_job(folder, enlarge(texts, rows), rows)
            run("run", str(job))
            job.write_text(job.read_text().replace("(flask|", "(flask|bottle|"))
            run("run", str(job))
            for version, title in ((1, "the first"), (2, "compared with the first")):
                page = folder / f"report-{version}.html"
                taken, cpu, peak = run(
                    "report", str(folder / "out"), "--version", str(version), "--out", str(page)
                )
                size = page.stat().st_size / 1e6
                numbers = f"{taken:.1f} | {cpu:.1f} | {size:.2f} | {peak:,.0f}"
                print(f"| {rows:,} | {title} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
