"""What labeling functions cost: matchers, word lists, Python functions, preprocessors, Snorkel.

Real short texts: the package summaries of the shared data folder (`LABELMILL_DATA`, or
`../shared/data` beside the checkout). Every table is ratios of measurements of one run; the
tables are those of docs/performance.md. Snorkel runs in an environment of its own, on a sample.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.others import side_python
from benchmarks.throughput import DATA, REGEXES, ROOT, enlarge
from labelmill import keywords, regex
from labelmill.apply import FunctionSet
from labelmill.labeling import Matcher
from labelmill.records import ID, iterate_records
from labelmill.store import Store
from labelmill.versions import read_manifest
from labelmill.votes import LFInfo, LFTable

BATCH = 8192
SAMPLE = 20_000
CLASSES = tuple(REGEXES)
TRIVIAL = [f"0 if len(x.text) > {n * 10} else -1" for n in range(20)]


@dataclass(frozen=True)
class Spent:
    """Wall and processor seconds of a command and all that it started."""

    wall: float
    cpu: float


def header(*titles: str) -> None:
    print(f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}")


def timed(command: list[str], **options: Any) -> Spent:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, **options)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def write_texts(folder: Path, texts: pa.Table) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for start in range(0, texts.num_rows, 100_000):
        part = texts.slice(start, 100_000)
        pq.write_table(part, folder / "data" / f"part-{start // 100_000:03d}.parquet")


def run_job(folder: Path, lfs: list[Any], *flags: str) -> Spent:
    """Run a whole job over the texts in `folder`."""
    shutil.rmtree(folder / "out", ignore_errors=True)  # or a gate would see another job's labels
    job = {
        "name": "functions",
        "input": {"uri": "data/*.parquet", "id": "id"},
        "labels": list(CLASSES),
        "lfs": lfs,
        "output": {"uri": "out/"},
    }
    (folder / "job.yaml").write_text(json.dumps(job, ensure_ascii=False))  # JSON is YAML
    command = [sys.executable, "-m", "pipelines", "run", str(folder / "job.yaml"), "--full"]
    return timed([*command, *flags])


def declared(matcher: Matcher) -> dict[str, Any]:
    fields = {"name": matcher.name, "label": matcher.label}
    if matcher.kind == "keywords":
        return {"keywords": {**fields, "words": list(matcher.words)}}
    return {"regex": {**fields, "pattern": matcher.pattern}}


def in_memory(lfs: list[Any], batches: list[pa.RecordBatch]) -> tuple[float, float, int]:
    """Return seconds to build and to apply `lfs` in this process, and the votes."""
    table = LFTable(tuple(LFInfo(lf.name, "") for lf in lfs), CLASSES)
    started = time.perf_counter()
    functions = FunctionSet(lfs, table)
    built = time.perf_counter()
    votes = sum(sum(functions.apply(batch).outcomes.votes) for batch in batches)
    return built - started, time.perf_counter() - built, votes


def snorkel(folder: Path, texts: pa.Table, patterns: list[str], bodies: list[str]) -> Any:
    """Return seconds and votes of Snorkel's PandasLFApplier on a sample."""
    pq.write_table(texts.slice(0, SAMPLE), folder / "sample.parquet")
    task = {
        "texts": str(folder / "sample.parquet"),
        "patterns": patterns,
        "bodies": bodies,
        "result": str(folder / "result.json"),
    }
    side = Path(__file__).with_name("snorkel_side.py")
    subprocess.run(
        [side_python("snorkel"), str(side)],
        input=json.dumps(task), text=True, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return json.loads((folder / "result.json").read_text())


def matchers_of(
    strings: list[str],
) -> tuple[list[Matcher], list[Matcher], list[Matcher], list[str]]:
    """Return 1,000 keyword functions, 20 regexes, 1,000 of rare words, 20,000 words of a list."""
    counts = Counter(
        word for text in strings[:100_000] for word in re.findall(r"\w+", text.lower())
    )
    vocabulary = [word for word, _ in counts.most_common(30_000)][200:]
    chance = random.Random(0)
    many, rare = (
        [
            keywords(f"k{n}", label=CLASSES[n % 4], words=chance.sample(some, 10))
            for n in range(1000)
        ]
        for some in (vocabulary, vocabulary[-10_000:])
    )
    expressions = [
        regex(f"{label}_{n}", label=label, pattern=pattern)
        for label, patterns in REGEXES.items()
        for n, pattern in enumerate(patterns)
    ]
    return many, expressions, rare, vocabulary[:20_000]


def matching(texts: pa.Table, many: list[Matcher], expressions: list[Matcher], words: list[str]):
    """Print what matching alone costs, one process and one thread."""
    batches = [
        pa.RecordBatch.from_arrays([b["id"].cast(pa.string()), b["text"].cast(pa.string())],
                                   names=[ID, "text"])
        for b in texts.to_batches(max_chunksize=BATCH)
    ]  # fmt: skip
    gazetteer = [keywords("gazetteer", label=CLASSES[0], words=words)]
    header(f"matching alone, {texts.num_rows:,} texts", "build s", "scan s", "votes")
    for title, lfs in (
        ("20 keyword functions x 10 words", many[:20]),
        ("1,000 x 10", many),
        ("1 x 20,000 words", gazetteer),
        ("20 regexes", expressions),
        ("20 x 10 keywords and 20 regexes", [*many[:20], *expressions]),
    ):
        build, scan, votes = in_memory(lfs, batches)
        print(f"| {title} | {build:.2f} | {scan:.2f} | {votes:,} |", flush=True)
    rows = min(SAMPLE, texts.num_rows)
    strings = texts["text"].slice(0, rows).to_pylist()
    started = time.perf_counter()
    for matcher in expressions:
        search = re.compile(matcher.pattern, matcher.flags).search
        for text in strings:
            search(text)
    projected = (time.perf_counter() - started) * texts.num_rows / rows
    print(f"| 20 regexes, `re` for each, from {rows:,} texts | | {projected:.1f} | |\n")


def whole_jobs(
    folder: Path, texts: pa.Table, many: list[Matcher], expressions: list[Matcher],
    rare: list[Matcher], words: list[str], snorkel_seconds: float,
) -> None:  # fmt: skip
    """Print whole jobs from shell to published labels, against Snorkel's applying alone."""
    folder.mkdir(exist_ok=True)
    (folder / "words.txt").write_text("\n".join(words))
    gazetteer = {"name": "gazetteer", "label": CLASSES[0], "words_file": "words.txt"}
    keywords_20 = [declared(m) for m in many[:20]]
    base_rate = SAMPLE / snorkel_seconds
    header("whole job", "seconds", "cpu s", "rows/s", "votes", "against Snorkel, 40 functions")
    print(f"| Snorkel PandasLFApplier, applying {SAMPLE:,} rows alone | {snorkel_seconds:.1f} | | "
          f"{base_rate:,.0f} | | 1 |")  # fmt: skip
    both = [*keywords_20, *map(declared, expressions)]
    for title, lfs, rows in (
        ("20 keyword and 20 regex functions", both, texts.num_rows),
        ("the same, four times the texts", both, 4 * texts.num_rows),
        ("20 keyword functions", keywords_20, texts.num_rows),
        ("1,000 keyword functions, words as rare", [declared(m) for m in rare], texts.num_rows),
        ("1,000 keyword functions, words as common", [declared(m) for m in many], texts.num_rows),
        ("20 keyword functions and a gazetteer of 20,000", [*keywords_20, {"keywords": gazetteer}],
         texts.num_rows),
    ):  # fmt: skip
        shutil.rmtree(folder / "data", ignore_errors=True)
        write_texts(folder, enlarge(texts, rows))
        spent = run_job(folder, lfs)
        rate = rows / spent.wall
        print(f"| {title} | {spent.wall:.2f} | {spent.cpu:.2f} | {rate:,.0f} | "
              f"{votes_of(folder):,} | {rate / base_rate:.0f} |", flush=True)  # fmt: skip


def votes_of(folder: Path) -> int:
    """Return the votes of the version that a job published."""
    return sum(read_manifest(Store.open(str(folder / "out"))).counts["votes"])


PYTHON_HEAD = "from labelmill import labeling_function\n"


def python_functions(folder: Path, texts: pa.Table, snorkel_seconds: float) -> None:
    """Print what trivial Python functions and a shared preprocessor cost."""
    source = PYTHON_HEAD + "".join(
        f"@labeling_function()\ndef f{n}(x):\n    return {body}\n" for n, body in enumerate(TRIVIAL)
    )
    write_texts(folder, texts)
    (folder / "lfs.py").write_text(source)
    spent = run_job(folder, ["lfs.py"], "--direct_running_mode=in_memory")
    empty = run_job(folder, [{"keywords": {"name": "k", "label": 0, "words": ["a"]}}],
                    "--direct_running_mode=in_memory")  # fmt: skip
    loop = bare_loop(texts)
    per_row = {
        "Snorkel PandasLFApplier": snorkel_seconds / SAMPLE,
        "a bare Python loop": loop / texts.num_rows,
        "labelmill, applying": None,
        "labelmill, whole job": spent.cpu / texts.num_rows,
        "labelmill, a job with one keyword function": empty.cpu / texts.num_rows,
    }
    lfs = [_compiled(body, n) for n, body in enumerate(TRIVIAL)]
    batches = [
        pa.RecordBatch.from_arrays([b["id"].cast(pa.string()), b["text"].cast(pa.string())],
                                   names=[ID, "text"])
        for b in texts.slice(0, 200_000).to_batches(max_chunksize=BATCH)
    ]  # fmt: skip
    _, applying, _ = in_memory(lfs, batches)
    per_row["labelmill, applying"] = applying / min(200_000, texts.num_rows)
    base = per_row["Snorkel PandasLFApplier"]
    header("20 trivial Python functions", "processor us/record", "against Snorkel")
    for title, seconds in per_row.items():
        print(f"| {title} | {seconds * 1e6:.2f} | {base / seconds:.1f} |")
    preprocessor(texts)


def _compiled(body: str, n: int) -> Any:
    from labelmill import LabelingFunction

    return LabelingFunction(f"f{n}", eval(f"lambda x: {body}"))


def bare_loop(texts: pa.Table) -> float:
    """Return the seconds of a loop by hand: records, calls, and a matrix of votes."""
    functions = [eval(f"lambda x: {body}") for body in TRIVIAL]
    seconds = 0.0
    for batch in texts.select(["text"]).to_batches(max_chunksize=BATCH):
        started = time.perf_counter()
        records = list(iterate_records(batch))
        matrix = np.empty((len(functions), len(records)), dtype=np.int16)
        for row, function in zip(matrix, functions, strict=True):
            votes = []
            for record in records:
                votes.append(function(record))
            row[:] = votes
        seconds += time.perf_counter() - started
    return seconds


def preprocessor(texts: pa.Table) -> None:
    """Print what a preprocessor costs that 1, 5 and 20 functions share."""
    from labelmill import LabelingFunction

    calls = Counter[str]()

    def words(x: Any) -> Any:
        calls["words"] += 1
        x.words = re.findall(r"\w+", x.text)
        return x

    part = texts.slice(0, 50_000)
    batches = [
        pa.RecordBatch.from_arrays([b["id"].cast(pa.string()), b["text"].cast(pa.string())],
                                   names=[ID, "text"])
        for b in part.to_batches(max_chunksize=BATCH)
    ]  # fmt: skip
    header("functions that share a preprocessor", "calls of it per record", "us/record")
    for n in (1, 5, 20):
        calls.clear()
        lfs = [
            LabelingFunction(f"f{k}", _longer_than(k), pre=(words,)) for k in range(n)
        ]  # fmt: skip
        _, seconds, _ = in_memory(lfs, batches)
        print(f"| {n} | {calls['words'] / part.num_rows:g} | {seconds / part.num_rows * 1e6:.2f} |")


def _longer_than(k: int) -> Callable[[Any], int]:
    return lambda x: 0 if len(x.words) > k else -1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=841_708)
    arguments = parser.parse_args()
    source = DATA / "text_pypi" / "texts.parquet"
    if not source.exists():
        print(f"no {source}: set LABELMILL_DATA to the folder with the shared data sets")
        return
    texts = enlarge(pq.read_table(source, columns=["id", "text"]), arguments.rows)
    many, expressions, rare, words = matchers_of(texts["text"].slice(0, 100_000).to_pylist())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        patterns = [m.pattern if not m.flags else f"(?i){m.pattern}" for m in many[:20]]
        patterns += [m.pattern for m in expressions]
        found = snorkel(folder, texts, patterns, TRIVIAL)
        matching(texts, many, expressions, words)
        whole_jobs(folder, texts, many, expressions, rare, words, found["apply"]["seconds"])
        python_functions(folder, texts, found["trivial"]["seconds"])


if __name__ == "__main__":
    main()
