"""A crowd of 10 million tasks through a whole job, from files to published labels.

Run it as `python -m benchmarks.scale` from the root of the repository; `--tasks` makes it smaller.
Binary tasks are asked of 10 of 1,000 annotators each, whose sensitivity and specificity are
uniform in .4 to .95. The corpus is Parquet files of ids; the answers are a votes table; Dawid-Skene
is fitted in 20 steps. Prints a row of docs/label-models-compared.md: wall and processor seconds and
the peak memory of the largest process, and the accuracy of the published labels beside that of the
posterior under the true parameters.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.fit import ANNOTATORS, ASKED, STEPS, Crowd
from benchmarks.refresh import measure
from labelmill import open_labels

TASKS = 10_000_000
SHARDS = 16
IDS_FROM = 100_000_000
"""Added to the number of a task, so that all ids are of one length."""


def write_job(folder: Path, tasks: int) -> tuple[Path, np.ndarray, float]:
    """Write corpus, votes table and job file.

    Returns:
        The job file, the class of each task int8[tasks], and the share of the tasks on which the
        posterior under the true parameters is right.
    """
    crowd = Crowd(tasks)
    gold = np.empty(tasks, dtype=np.int8)
    best, done = 0, 0
    annotators = pa.array([f"w{n:04d}" for n in range(ANNOTATORS)])
    schema = pa.schema([("task", pa.string()), ("worker", pa.string()), ("answer", pa.string())])
    with pq.ParquetWriter(folder / "votes.parquet", schema) as writer:
        for block in crowd.blocks():
            right = crowd.posterior(block).argmax(axis=1) == block.eval_gold
            best += int(block.counts[right].sum())
            rows = np.repeat(np.arange(len(block)), block.counts)
            block_votes = block.lfs.reshape(-1, ASKED)[rows].ravel()
            answers = block.labels.reshape(-1, ASKED)[rows].ravel()
            gold[done : done + len(rows)] = block.eval_gold[rows]
            ids = ids_of(done, done + len(rows)).take(pa.array(np.arange(len(rows)).repeat(ASKED)))
            done += len(rows)
            columns = [ids, annotators.take(pa.array(block_votes)), _named(answers)]
            writer.write_table(pa.table(columns, schema=schema))
    (folder / "tasks").mkdir()
    for shard in range(SHARDS):
        first, last = (tasks * n // SHARDS for n in (shard, shard + 1))
        part = pa.table({"id": ids_of(first, last)})
        pq.write_table(part, folder / "tasks" / f"part-{shard:02d}.parquet")
    job = {
        "name": "crowd",
        "input": {"uri": "tasks/*.parquet", "id": "id"},
        "labels": ["no", "yes"],
        "lfs": [
            {
                "votes": {
                    "uri": "votes.parquet", "item": "task", "source": "worker", "vote": "answer",
                }
            }
        ],
        "model": {
            "name": "dawid_skene", "options": {"max_iter": STEPS, "abstain": "missing", "tol": 0.0},
        },
        "output": {"uri": "out/"},
    }  # fmt: skip
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))  # JSON is YAML
    return path, gold, best / tasks


def ids_of(first: int, last: int) -> pa.Array:
    """Ids of tasks first..last - 1."""
    return pc.cast(pa.array(np.arange(IDS_FROM + first, IDS_FROM + last)), pa.string())


def _named(answers: np.ndarray) -> pa.Array:
    return pa.array(["no", "yes"]).take(pa.array(answers))


def accuracy_of(output: Path, gold: np.ndarray) -> float:
    """Share of the published labels that are right, of all tasks."""
    right = 0
    for batch in open_labels(output).to_batches(columns=["id", "label"]):
        tasks = pc.cast(batch.column("id"), pa.int64()).to_numpy() - IDS_FROM
        said = pc.equal(batch.column("label"), "yes").to_numpy(zero_copy_only=False)
        right += int(np.count_nonzero(said == (gold[tasks] == 1)))
    return right / len(gold)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS)
    tasks = parser.parse_args().tasks
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job, gold, best = write_job(folder, tasks)
        wall, cpu, peak = measure(["run", str(job)])
        right = accuracy_of(folder / "out", gold)
    rate = tasks * ASKED * STEPS / cpu / 1e6
    sys.stdout.write(
        "| tasks x annotators a task | wall s | cpu s | votes x steps / cpu s | peak memory of the "
        "largest process | accuracy | with the true parameters |\n"
        "|---|---|---|---|---|---|---|\n"
        f"| {tasks:,} x {ASKED} | {wall:.0f} | {cpu:.0f} | {rate:.1f}M | {peak / 1024:.1f} GB | "
        f"{right:.4f} | {best:.4f} |\n"
    )


if __name__ == "__main__":
    main()
