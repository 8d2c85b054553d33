"""The keyword scan against `re`, which it must equal on any text."""

# ruff: noqa: RUF001 - characters that look alike are the point
from __future__ import annotations

import re
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labelmill import keywords, regex
from labelmill.keywordscan import KeywordScan, _fold_table, _TokenTable, fold
from labelmill.labeling import Matcher

TRICKY = "aAkKsSiI1_ \t\n\0.-+éÉßſKİıµμΣσςͅιΙἀюЮ中文½ぁ\u0301\u200dǅǆŉﬅﬆẞ𐐀𐐨Ⓐⓐ\x1c\x85"
WORDS = [
    "a", "k", "s", "i", "ss", "ka", "is", "c++", "e-mail", "a b", "a b c", "é", "É", "ß", "ſ",
    "K", "İ", "ı", "µ", "Σ", "ς", "ͅ", "ι", "Ю", "中文", "½", "++", "♥", "_", "a_1", "1", "ŉ", "ﬅ",
    "ǅ", "𐐀", "Ⓐ", "-a", "a-", "é a", "é",
]  # fmt: skip


def expected(matchers: list[Matcher], texts: list[str | None]) -> set[tuple[int, int]]:
    return {
        (n, row)
        for n, matcher in enumerate(matchers)
        for row, text in enumerate(texts)
        if text is not None and re.search(matcher.pattern, text, matcher.flags)
    }


def found(matchers: list[Matcher], column: pa.Array) -> set[tuple[int, int]]:
    functions, rows = KeywordScan(matchers).hits(column)
    pairs = list(zip(functions.tolist(), rows.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    return set(pairs)


texts = st.one_of(
    st.text(st.sampled_from(TRICKY), max_size=12),
    st.text(max_size=8),
    st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=4).map("".join),
)
word_sets = st.lists(
    st.tuples(
        st.lists(
            st.sampled_from(WORDS)
            | st.text(st.sampled_from(TRICKY), min_size=1, max_size=4).filter(str.strip),
            min_size=1,
            max_size=4,
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(column=st.lists(st.none() | texts, max_size=12), functions=word_sets, cut=st.integers(0, 5))
@example(column=["ſun", "SUN", "sun"], functions=[(["sun"], True), (["ſun"], False)], cut=0)
@example(column=["\u0345", "xͅ"], functions=[(["ι"], True)], cut=0)
@example(column=["ab", "c", "", None, "d"], functions=[(["abc", "bc", "cd", "d"], True)], cut=0)
@settings(deadline=None, max_examples=300)
def test_scan_votes_exactly_where_re_finds_the_pattern(column, functions, cut):
    matchers = [
        keywords(f"f{n}", label=0, words=words, ignore_case=ignore_case)
        for n, (words, ignore_case) in enumerate(functions)
    ]
    array = pa.array(column, pa.string()).slice(cut)

    assert found(matchers, array) == expected(matchers, column[cut:])


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"\bcash\b", ("cash",)),
        (r"\b(?:cash|prize)\b", ("cash", "prize")),
        (r"(?i)\b(cash|free prize)\b", ("cash", "free prize")),
        (r"\b(?:cash|prize)", ()),
        (r"\b(?:cash|pri.e)\b", ()),
        (r"\bcash|prize\b", ()),
        (r"\b(?:cash|)\b", ()),
        (r"(?a)\bcash\b", ()),
        (r"(?x)\b(?:cash now)\b", ()),
    ],
)
def test_regexes_that_are_word_lists_are_scanned_as_such(pattern, words):
    matcher = regex("r", label=0, pattern=pattern)
    assert matcher.words == words
    column = ["cash", "CASH!", "a prize", "free prize", "free  prize", "écash", "cash_", "pri"]
    if words:
        assert found([matcher], pa.array(column)) == expected([matcher], column)


def test_folding_joins_all_that_ignorecase_takes_for_each_other():
    # Every character that re treats specially, found by asking re; one way is enough, since
    # whatever matches in one direction has to fold alike.
    cased = [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower() != c or c.upper() != c]
    cased += [chr(code) for code in _fold_table()[0]]
    every = "".join(sorted(set(cased)))
    for char in sorted(set(cased)):
        for other in re.findall(re.escape(char), every, re.IGNORECASE):
            assert fold(char) == fold(other), (char, other)


def test_many_functions_and_rows_over_several_chunks_equal_re():
    rng = np.random.default_rng(0)
    vocabulary = [f"word{n}" for n in range(400)] + ["Straße", "naïve", "日本", "İstanbul"]
    rows = [" ".join(rng.choice(vocabulary, 12)) for _ in range(6000)]
    rows[17] = rows[17] + " " + "filler " * 100_000 + "word7"
    matchers = [
        keywords(f"f{n}", label=0, words=list(rng.choice(vocabulary, 5, replace=False)))
        for n in range(30)
    ]

    assert found(matchers, pa.array(rows)) == expected(matchers, rows)


def test_tokens_that_share_a_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr("labelmill.keywordscan._mix", lambda hashes: hashes & np.uint64(7))
    matchers = [keywords(w, label=0, words=[w]) for w in ("alpha", "beta", "gamma", "delta", "pi")]
    rows = ["alpha gamma", "pi", "none of them here", "delta, beta", "alphabet"]

    assert found(matchers, pa.array(rows)) == expected(matchers, rows)


@pytest.mark.parametrize("column", [[], [None], [""], [None, "", None]])
def test_columns_without_text_have_no_hits(column):
    matchers = [keywords("f", label=0, words=["a", "é", "++"])]

    assert found(matchers, pa.array(column, pa.string())) == set()


def test_token_table_finds_a_gazetteer_in_one_pass():
    words = sorted(f"name{n}x".encode() for n in range(20_000))
    column = pa.array([f"we met name{n}x and name{n}xy" for n in range(0, 20_000, 7)])

    runs, rows = _TokenTable(words).find(column, np.ones(len(column), dtype=bool))

    assert len(runs) == len(column)
    assert sorted(rows.tolist()) == list(range(len(column)))
