"""Keyword functions over short texts: one pass for all of them against `re` for each.

Texts: the package summaries of the shared data folder. Prints the figures of docs/performance.md;
the votes of the 20 functions are compared one by one.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
from throughput import DATA

from labelmill import keywords
from labelmill.keywordscan import KeywordScan
from labelmill.labeling import Matcher

BATCH = 8192


def scan(matchers: list[Matcher], texts: pa.Array) -> tuple[float, int]:
    """Return seconds and votes of the one pass."""
    ready = KeywordScan(matchers)
    started = time.perf_counter()
    votes = sum(
        len(ready.hits(texts.slice(start, BATCH))[0]) for start in range(0, len(texts), BATCH)
    )
    return time.perf_counter() - started, votes


def main() -> None:
    source = DATA / "text_pypi" / "texts.parquet"
    if not source.exists():
        print(f"no {source}: set LABELMILL_DATA to the folder with the shared data sets")
        return
    texts = pq.read_table(source, columns=["text"])["text"].combine_chunks().cast(pa.string())
    strings = texts.to_pylist()
    counts = Counter(
        word for text in strings[:100_000] for word in re.findall(r"\w+", text.lower())
    )
    vocabulary = [word for word, _ in counts.most_common(30_000)][200:]
    chance = random.Random(0)
    many = [keywords(f"f{n}", label=0, words=chance.sample(vocabulary, 10)) for n in range(1000)]
    print(f"| {len(strings):,} texts, 10 words a function | seconds | votes |\n|---|---|---|")
    for functions in (many, many[:20]):
        seconds, votes = scan(functions, texts)
        print(f"| {len(functions):,} functions, one pass | {seconds:.2f} | {votes:,} |")
    started = time.perf_counter()
    found = 0
    for matcher in many[:20]:
        search = re.compile(matcher.pattern, matcher.flags).search
        found += sum(1 for text in strings if search(text))
    print(f"| 20 functions, `re` for each | {time.perf_counter() - started:.2f} | {found:,} |")


if __name__ == "__main__":
    main()
