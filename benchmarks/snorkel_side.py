"""The Snorkel half of the benchmarks; runs in an environment of its own, writes one JSON file."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pandas as pd
from snorkel.labeling import LabelingFunction, PandasLFApplier


def regexes(patterns: list[str]) -> list[LabelingFunction]:
    """Return functions that search an expression."""

    def make(n: int, pattern: str) -> LabelingFunction:
        search = re.compile(pattern).search
        return LabelingFunction(f"lf{n}", lambda x: 0 if search(x.text) else -1)

    return [make(n, pattern) for n, pattern in enumerate(patterns)]


def trivial(bodies: list[str]) -> list[LabelingFunction]:
    """Return functions of `x` with these bodies, which the benchmark wrote."""
    return [LabelingFunction(f"lf{n}", eval(f"lambda x: {b}")) for n, b in enumerate(bodies)]


def apply(texts_file: str, lfs: list[LabelingFunction]) -> dict[str, float]:
    """Time PandasLFApplier."""
    frame = pd.read_parquet(texts_file)
    applier = PandasLFApplier(lfs)
    started = time.perf_counter()
    votes = applier.apply(frame, progress_bar=False)
    return {"seconds": time.perf_counter() - started, "votes": int((votes >= 0).sum())}


def main() -> None:
    task = json.loads(sys.stdin.read())
    result = {
        "apply": apply(task["texts"], regexes(task["patterns"])),
        "trivial": apply(task["texts"], trivial(task["bodies"])),
    }
    Path(task["result"]).write_text(json.dumps(result))


main()
