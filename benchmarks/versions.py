"""What the commands about versions cost on a large data set: diff, explain, export and the rest.

The job of `benchmarks.refresh`, published twice with one function edited in between. Wall time from
shell to output, processor time and peak memory of the largest process. Prints the table of
docs/performance.md.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.refresh import SHARDS, measure, python_functions, write_job, write_shard
from benchmarks.throughput import DATA, enlarge


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
        write_shard(folder, texts, SHARDS - 1)
        measure(["run", str(job)])
        (folder / "lfs.py").write_text(python_functions(0.45))
        measure(["run", str(job)])
        out, last = str(folder / "out"), texts.column("id")[-1].as_py()
        print(f"| {rows:,} rows, {SHARDS} shards, 2 versions | s | cpu s | peak MB |")
        print("|---|---|---|---|", flush=True)
        for title, arguments in {
            "history": ["history", out],
            "diff, every label may have moved": ["diff", out],
            "explain one record": ["explain", out, str(last)],
            "export Parquet": ["export", out, f"{name}/a.parquet"],
            "export Parquet, soft, with a column": [
                *("export", out, f"{name}/b.parquet", "--labels", "soft", "--column", "text")
            ],
            "export JSONL": ["export", out, f"{name}/c.jsonl"],
            "export CSV, balanced, two splits": [
                *("export", out, f"{name}/d.csv", "--balance", "--split", "train=.8,test=.2")
            ],
            "verify": ["verify", out],
            "gc --keep 1 --dry-run": ["gc", out, "--keep", "1", "--dry-run"],
        }.items():
            wall, cpu, peak = measure(arguments)
            print(f"| {title} | {wall:.1f} | {cpu:.1f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
