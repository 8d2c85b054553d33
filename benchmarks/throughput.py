"""Rows per second and peak memory of whole jobs, from shell to published labels.

Real short texts: the package summaries of the shared data folder (`LABELMILL_DATA`, or
`../shared/data` beside the checkout), in files of 100,000 rows. Prints the table of
docs/performance.md.
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
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LABELMILL_DATA", ROOT.parent / "shared" / "data"))

REGEXES = {
    "http": [r"https?://\S+", r"\bREST(ful)?\b", r"(?i)\bweb\s?(server|socket|hook)s?\b",
             r"(?i)\b(flask|django|fastapi|aiohttp)\b"],
    "data": [r"(?i)\bdata ?(frame|set|base)s?\b", r"(?i)\b(pandas|numpy|arrow|parquet)\b",
             r"(?i)\bsql(ite|alchemy)?\b", r"(?i)\bcsv|json|xml\b", r"(?i)\betl\b"],
    "science": [r"(?i)\bmachine[ -]learning\b", r"(?i)\b(neural|deep) \w+", r"(?i)\bbayes\w*",
                r"(?i)\bsimulat(e|or|ion)s?\b", r"(?i)\b(bio|chem|phys)\w+", r"(?i)\bstatistic\w*"],
    "tool": [r"(?i)\bcommand[ -]line\b", r"(?i)\bcli\b", r"(?i)\b(lint|format)(er|ter|ting)?\b",
             r"(?i)\bplug-?ins?\b", r"(?i)\b(build|deploy)(s|ing|ment)?\b"],
}  # fmt: skip


def enlarge(texts: pa.Table, rows: int) -> pa.Table:
    """Repeat the texts, with ids of their own, until there are `rows`."""
    copies = []
    for n in range(-(-rows // texts.num_rows)):
        ids = pc.binary_join_element_wise(texts["id"].cast(pa.string()), str(n), "#")
        copies.append(pa.table({"id": ids, "text": texts["text"]}))
    return pa.concat_tables(copies).slice(0, rows)


def write_job(folder: Path, texts: pa.Table, rows: int) -> Path:
    (folder / "data").mkdir(parents=True)
    for start in range(0, rows, 100_000):
        part = texts.slice(start, min(100_000, rows - start))
        pq.write_table(part, folder / "data" / f"part-{start // 100_000:03d}.parquet")
    lfs = [
        {"regex": {"name": f"{label}_{n}", "label": label, "pattern": pattern}}
        for label, patterns in REGEXES.items()
        for n, pattern in enumerate(patterns)
    ]
    job = {
        "name": f"throughput-{rows}",
        "input": {"uri": "data/*.parquet", "id": "id"},
        "labels": list(REGEXES),
        "lfs": lfs,
        "output": {"uri": "out/"},
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))  # JSON is YAML
    return path


def measure(job: Path, *flags: str) -> tuple[float, float]:
    """Return wall seconds and peak memory, in MB, of the largest process of one run."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
        "sys.exit(done.returncode)\n"
    )
    command = [sys.executable, "-m", "pipelines", "run", str(job), "--full", *flags]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    return time.perf_counter() - started, float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, nargs="*", default=[2_000, 200_000, 800_000, 841_708, 3_200_000]
    )
    arguments = parser.parse_args()
    source = DATA / "text_pypi" / "texts.parquet"
    if not source.exists():
        print(f"no {source}: set LABELMILL_DATA to the folder with the shared data sets")
        return
    texts = pq.read_table(source, columns=["id", "text"])
    in_memory = ("--direct_running_mode=in_memory",)
    processes = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    print("| rows, 20 regexes | runner | seconds | rows/s | peak MB of the largest process |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for rows in arguments.rows:
            job = write_job(Path(folder) / str(rows), enlarge(texts, rows), rows)
            for title, flags in (("in memory", in_memory), ("2 processes", processes)):
                seconds, peak = measure(job, *flags)
                rate = rows / seconds
                print(
                    f"| {rows:,} | {title} | {seconds:.1f} | {rate:,.0f} | {peak:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
