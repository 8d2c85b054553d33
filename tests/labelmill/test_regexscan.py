"""The regex scan against `re`, which it must equal on any text."""

# ruff: noqa: RUF001 - characters that look alike are the point
from __future__ import annotations

import re
import threading
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from labelmill import regexengine
from labelmill.regexscan import RegexScan
from labelmill.regextranslate import UntranslatableError, translate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that the installed version is not right is tested below
    ENGINES = ["re"] if regexengine.load(required=False) is None else ["re", "hyperscan"]
needs_hyperscan = pytest.mark.skipif(
    "hyperscan" not in ENGINES, reason="a version of hyperscan that loses no matches is not here"
)
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:this version of hyperscan")

I, M, S, A, X = re.IGNORECASE, re.MULTILINE, re.DOTALL, re.ASCII, re.VERBOSE  # noqa: E741

TEXTS = [
    "", " ", "\n", "\n\n", "\0", "a", "A", "b", "ab", "ba", "aab", "foo", "Foo", "FOO", "foo\n",
    "foo\n\n", "\nfoo", "foo\nbar", "bar\nfoo\nbar", "foobar", "barfoo", "foo bar", "foo-bar",
    "foo foo", "foo Foo", "a\0b", "\0foo\0", "foo\x1cbar", "foo\x1f", "\x1c", "\x85", "foo\x85bar",
    "foo\xa0bar", "foo\u2028bar", "foo\r\nbar", "foo_bar", "foo1", "1foo", "12", "a1b2", "'x'",
    "\"x'", "\"x\"", "x=1; y=2", "éfoo", "fooé", "é", "É", "é", "e\u0301foo", "foo\u0301", "ſ", "S",
    "s", "K", "k", "K", "İ", "I", "i", "ı", "istanbul", "İstanbul", "ISTANBUL", "straße", "STRASSE",
    "STRAẞE", "µ", "μ", "Μ", "Σ", "σ", "ς", "ΟΔΟΣ", "привет", "ПРИВЕТ", "Привет foo", "中文",
    "中文foo", "foo中文bar", "½", "½foo", "foo½", "٣", "३", "²", "\u200d", "😀", "foo😀", "𐐀", "𐐨",
    "ǅ", "ﬅ", "ﬆ", "\u0345", "ι", "ͅfoo", "^$", "[x]", "a.b", "a\\b", "aaaa", "abab", "abcabc",
    "aaab\n", "The cat", "the the cat", "2024-01-31", "x@y.org", "http://x/y", "  foo  ", "\tfoo",
]  # fmt: skip

ANY_FLAGS = (0, I, A, I | A, M, S, I | M)
TRICKY = [
    *((pattern, flags) for flags in (0, I, A, I | A) for pattern in (
        r"\bfoo\b", r"\Bfoo", r"foo\B", r"\b", r"\B", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S",
        r"foo\sbar", r"^\w+$", r"^\W+$", "s", "k", "i", "ı", "İ", "ſ", "ß", "µ", "σ", "straße",
        "istanbul", "[^k]", "[a-z]+$", "[ιa]", "[а-я]{3}", "[^\\W\\d_]", "𐐀", "[𐐀a]", "ǆ", "ﬆ",
    )),
    *((pattern, flags) for flags in (0, M, S, M | S) for pattern in (
        "^foo", "foo$", r"\Afoo", r"foo\Z", "^$", "^foo$", r"foo.bar", "$", "^", r"\A\Z", "$\n",
        "foo$|bar", "^bar|foo$", "(?:^|\\s)foo(?:\\s|$)", ".", "^.+$", r"\n^bar", r"foo$\nbar",
    )),
    (r"(?<!\w)foo(?!\w)", 0), (r"(?<!\S)foo(?!\S)", 0), ("(?<=bar)foo", 0), ("foo(?=bar)", 0),
    ("foo(?!bar)", 0), ("(?<!bar)foo", 0), ("(?=.*foo)(?=.*bar)", 0), ("^(?!.*foo)", 0),
    ("^(?=.*bar).*$", S), ("foo(?=$)", 0), (r"foo(?!\n)", 0), ("(?!)", 0), ("(?=)", 0),
    (r"(?<=\b)foo", 0), (r"(?<=^)foo", 0), (r"(\w)\1", 0), (r"(\w+) \1", I), (r"(['\"]).*\1", 0),
    (r"(a)?b(?(1)a|b)", 0), (r"(?P<q>['\"])x(?P=q)", 0), (r"(ab|a)(?:\1)", I), (r"(a*)+$", 0),
    ("(?>a+)b", 0), ("a++b", 0), ("a*+a", 0), ("(?>a|ab)$", 0), ("a{2,}+$", 0), ("[ab]*+b", 0),
    ("a*", 0), ("a*?", 0), ("(?:)", 0), ("|a", 0), ("a|", 0), ("()", 0), ("x{0}foo", 0),
    ("a{2}", 0), ("a{2,3}b", 0), ("(?:ab){2}", 0), ("(?:a|b){3,}", 0), (r"\w{4,}?", 0),
    (r"(?i:f)oo", 0), (r"(?-i:f)oo", I), (r"(?s:.)bar", 0), (r"(?m:^)bar", 0), (r"(?a:\w)", 0),
    (r"(?a:\bfoo\b)", 0), (r"(?u:\s)", A), (r"(?i)foo", 0), (r"(?x) f o o # comment", 0),
    ("f o\\ o", X), (r"foo [ ] bar", X), (r"[\x1c-\x1f]", 0), (r"[^\x00-\x7f]", 0), (r"\0", 0),
    (r"[\0]", 0), (r"\xff", 0), (r"[\xfe-\xff]", 0), (r"[^a]", 0), (r"[^\n]$", 0), (r"\[x\]", 0),
    (r"[\]^-]", 0), (r"\d{4}-\d\d-\d\d", 0), (r"\d", A), (r"https?://\S+", 0), (r"\S+@\S+", 0),
    (r"(?i)\b(the) \1\b", 0), (r"\b(?:foo|bar)s?\b", I), ("😀", 0), ("[😀-😂]", 0), ("[中文]", 0),
    ("[\u4e00-\u9fff]", 0), ("e\u0301", 0), (r"\u0301", 0), ("\u0345", I), (r"\B\B", 0),
    (r"(?:\b|\B)\B", 0), (r"\B|x", 0), (r"(?:(?=)|b)\B", 0), (r"(?:\B){2}", 0), (r"\b\b|^$", 0),
    (r"\b$", 0), (r"^\b", 0), (r"\B$", 0), (r"^\B", 0), (r"a?$", 0), (r"(?:foo$|bar)\b", 0),
    (r"(?:^foo)?bar", 0), (r"(?:^|(?<=\n))foo", 0), (r"foo\Z|\Abar", 0), (r"\w+\W+\w+", 0),
]  # fmt: skip


def expected(patterns: list[tuple[str, int]], texts: list[str | None]) -> set[tuple[int, int]]:
    return {
        (n, row)
        for n, (pattern, flags) in enumerate(patterns)
        for row, text in enumerate(texts)
        if text is not None and re.search(pattern, text, flags)
    }


def found(scan: RegexScan, column: pa.Array) -> set[tuple[int, int]]:
    functions, rows = scan.hits(column)
    assert functions.dtype == rows.dtype == np.int64
    pairs = list(zip(functions.tolist(), rows.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    return set(pairs)


@pytest.mark.parametrize("engine", ENGINES)
def test_tricky_patterns_on_tricky_texts_equal_re(engine):
    scan = RegexScan(TRICKY, engine=engine)
    truth = expected(TRICKY, TEXTS)
    hits = found(scan, pa.array(TEXTS))

    wrong = [(*TRICKY[n], TEXTS[row]) for n, row in hits ^ truth]
    assert wrong == []
    assert set(scan.how) == (
        {"every row"} if engine == "re" else {"scan", "confirmed", "every row"}
    )


@needs_hyperscan
def test_each_tricky_pattern_alone_equals_re():
    column = pa.array(TEXTS)
    for pattern, flags in TRICKY:
        scan = RegexScan([(pattern, flags)], engine="hyperscan")
        assert found(scan, column) == expected([(pattern, flags)], TEXTS), (pattern, flags)


@needs_hyperscan
def test_candidates_need_the_confirmation():
    candidates = RegexScan(TRICKY, engine="hyperscan").candidates(pa.array(TEXTS))
    listed = set(zip(candidates.functions.tolist(), candidates.rows.tolist(), strict=True))
    truth = expected(TRICKY, TEXTS)

    assert listed > truth
    assert len({row for _, row in listed - truth}) > len(TEXTS) / 2


CHARACTERS = "aAbkKsSiI1_ -.\n\0\x1c\x1féÉßſKİıµσςюЮ中½\u0301\u0345\x85\xa0\u2028😀𐐀𐐨"
characters = st.sampled_from(CHARACTERS) | st.sampled_from(CHARACTERS[:16])
class_parts = st.one_of(
    st.sampled_from([r"\w", r"\W", r"\d", r"\D", r"\s", r"\S"]),
    characters.map(re.escape),
    st.tuples(characters, characters).map(lambda ends: "-".join(map(re.escape, sorted(ends)))),
)
classes = st.builds(
    lambda negated, parts: f"[{'^' * negated}{''.join(parts)}]",
    st.booleans(),
    st.lists(class_parts, min_size=1, max_size=3),
)
atoms = st.one_of(
    characters.map(re.escape),
    classes,
    st.sampled_from([".", r"\w", r"\W", r"\s", r"\S", r"\d", r"\D"]),
    st.sampled_from(["^", "$", r"\b", r"\B", r"\A", r"\Z"]),
    st.sampled_from([r"\1", r"(?(1)a|b)"]),
)
quantifiers = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "{0}"]),
        st.sampled_from(["", "?", "+"]),
    ),
)
kinds = ["", "?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", "?-i:", "?s:", "?m:", "?a:", "?x:"]
openings = st.sampled_from(kinds).map("({}".format)
regexes = st.recursive(
    atoms,
    lambda inside: st.one_of(
        st.lists(inside, max_size=4).map("".join),
        st.lists(inside, min_size=2, max_size=3).map("|".join),
        st.builds("{}{})".format, openings, inside),
        st.builds("(?:{}){}".format, inside, quantifiers),
        st.builds("{}{}".format, atoms, quantifiers),
    ),
    max_leaves=8,
)
flags = st.sampled_from([0, I, M, S, A, I | A, I | M, I | M | S, X])
texts = st.one_of(
    st.text(characters, max_size=8),
    st.text(st.sampled_from(CHARACTERS[:16]), max_size=8),
    st.text(max_size=5),
)


def compiles(pattern: str, flags: int) -> bool:
    try:
        re.compile(pattern, flags)
    except re.error:
        return False
    return True


@given(
    patterns=st.lists(st.tuples(regexes, flags), min_size=1, max_size=8),
    column=st.lists(st.none() | texts, max_size=12),
    cut=st.integers(0, 5),
    engine=st.sampled_from(ENGINES[::-1]),
)
@example(patterns=[(r"\B(?:)", 0)], column=["A", "1", "--"], cut=0, engine=ENGINES[-1])
@example(patterns=[(r"(?u:\s)\B", A)], column=["\x1f", "\x1cI"], cut=0, engine=ENGINES[-1])
@example(patterns=[("(?:a|𐐀)", I)], column=["𐐀", "𐐨"], cut=0, engine=ENGINES[-1])
@settings(
    deadline=None, max_examples=250, suppress_health_check=[HealthCheck.filter_too_much]
)  # fmt: skip
def test_generated_patterns_equal_re(patterns, column, cut, engine):
    kept = [(pattern, flags) for pattern, flags in patterns if compiles(pattern, flags)]
    assume(kept)
    array = pa.array(column, pa.string()).slice(cut)

    assert found(RegexScan(kept, engine=engine), array) == expected(kept, column[cut:])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("column", [[], [None], [""], [None, "", None], ["", "a", None, ""]])
def test_columns_of_little_text_equal_re(column, engine):
    patterns = [("a", 0), ("a*", 0), ("^$", 0), (r"\B", 0), ("(?=b)", 0)]

    scan = RegexScan(patterns, engine=engine)
    assert found(scan, pa.array(column, pa.string())) == expected(patterns, column)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_without_patterns_has_no_hits(engine):
    assert found(RegexScan([], engine=engine), pa.array(["a"])) == set()


@needs_hyperscan
def test_rows_over_several_pieces_and_a_row_of_ten_megabytes_equal_re():
    long = "x " * 2_500_000 + "needle\n" + "y\0" * 2_500_000
    texts = [f"row {n} é" if n % 7 == 0 else f"row {n}\n" for n in range(20_000)]
    texts[11] = texts[5_000] = long
    texts[12] = long + "é needles"
    patterns = [(r"\bneedles?\b", 0), (r"^row \d*7$", 0), (r"y\0\Z", 0), (r"\d0\s*$", 0), ("é", I)]

    scan = RegexScan(patterns, engine="hyperscan")
    assert found(scan, pa.array(texts).slice(3)) == expected(patterns, texts[3:])


@needs_hyperscan
def test_a_pattern_that_re_would_backtrack_over_for_years_is_decided_by_the_scan():
    scan = RegexScan([("(a+)+$", 0)], engine="hyperscan")

    assert scan.how == ("scan",)
    assert found(scan, pa.array(["a" * 40 + "b", "a" * 40])) == {(0, 1)}


@needs_hyperscan
def test_sure_candidates_are_not_confirmed_and_others_are():
    scan = RegexScan([(r"\bfoo\b", 0), ("foo(?!bar)", 0), ("(?!foo)", 0)], engine="hyperscan")
    candidates = scan.candidates(pa.array(["foo", "foobar", "éfoo", "bar"]))

    listed = {
        (n, row): sure
        for n, row, sure in zip(
            candidates.functions.tolist(),
            candidates.rows.tolist(),
            candidates.sure.tolist(),
            strict=True,
        )
    }
    assert scan.how == ("scan", "confirmed", "every row")
    assert {key: sure for key, sure in listed.items() if key[0] == 0} == {
        (0, 0): True,
        (0, 2): False,
    }
    assert {row for n, row in listed if n == 1} == {0, 1, 2}
    assert {row for n, row in listed if n == 2} == {0, 1, 2, 3}
    assert not any(sure for (n, _), sure in listed.items() if n > 0)


@needs_hyperscan
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\w{3,30000}@", "me you@"),
        (r"(?:\w+\s){50,20000}end", "a " * 60 + "end"),
        ("(?:(?:a{1,50}b){1,50}c){1,50}d", "abcd"),
        ("x" + "b?" * 3000 + "y", "xby"),
        ("|".join(f"word{n}x" for n in range(5000)), "word4999x"),
        (r"\b(?:" + "|".join(f"word{n}x" for n in range(5000)) + r")\b", "a word4999x"),
        ("(?:" * 150 + "a" + ")*b" * 150, "ab" * 150),
        (r"(a)(\1\1)(\2\2)(\3\3)(\4\4)(\5\5)(\6\6)(\7\7)(\8\8)(\9\9)", "a" * 1100),
    ],
)
def test_large_patterns_leave_the_others_alone(pattern, text):
    patterns = [("foo", 0), (pattern, 0), (r"\d+$", 0)]
    texts = [text, text[1:], text[:-1], "foo 12", "foo", "é foo", ""]

    scan = RegexScan(patterns, engine="hyperscan")

    assert (scan.how[0], scan.how[2]) == ("scan", "scan")
    assert found(scan, pa.array(texts)) == expected(patterns, texts)


@needs_hyperscan
def test_what_the_compiler_refuses_is_searched_with_re_and_the_others_are_scanned():
    refused = (r"\b\B", 0)  # it can never match, which the compiler takes for a mistake
    patterns = [("foo", 0), refused, ("bar", 0)]

    scan = RegexScan(patterns, engine="hyperscan")

    assert scan.how == ("scan", "every row", "scan")
    assert found(scan, pa.array(["foo bar", "é bar"])) == {(0, 0), (2, 0), (2, 1)}


def test_an_automaton_that_would_be_too_large_is_not_translated():
    with pytest.raises(UntranslatableError, match="too large"):
        translate("x" + "b?" * 3000 + "y", 0, ascii_only=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_share_a_scan(engine):
    rows = [f"{n} foo {n % 97} bar é" if n % 5 == 0 else f"{n} foo" for n in range(3000)]
    patterns = [(r"\b\d*7 foo", 0), ("96 bar", 0), (r"\bé", 0), (r"\d", 0)]
    scan, column, truth = (
        RegexScan(patterns, engine=engine),
        pa.array(rows),
        expected(patterns, rows),
    )
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.extend(found(scan, column) == truth for _ in range(5))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [True] * 20


def test_patterns_that_re_has_to_look_at_on_most_rows_are_named():
    scan = RegexScan([("a", 0), ("(?!b)", 0), (r"(\w)\1", 0)], engine="re")

    assert scan.costly(100, [3, 100, 51]) == (1, 2)
    assert scan.costly(0, np.zeros(3, dtype=np.int64)) == ()


def test_a_pattern_that_is_none_is_an_error():
    with pytest.raises(re.error):
        RegexScan([("(", 0)])


@pytest.mark.parametrize("state", ["missing", "wrong"])
def test_hyperscan_that_is_missing_or_loses_matches_is_not_used(monkeypatch, state):
    if state == "missing":
        monkeypatch.setattr(regexengine, "_installed", lambda: None)
    else:
        monkeypatch.setattr(regexengine, "_installed", object)
        monkeypatch.setattr(regexengine, "_loses_matches", lambda: True)
    regexengine._warn_once.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan = RegexScan([("foo", 0)])

    assert scan.engine == "re"
    assert [str(w.message)[:23] for w in caught] == ["this version of hypersc"] * (state == "wrong")
    assert found(scan, pa.array(["foo", "bar"])) == {(0, 0)}
    with pytest.raises(ImportError, match="hyperscan"):
        RegexScan([("foo", 0)], engine="hyperscan")
