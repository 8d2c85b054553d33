"""The bound on what a backtracking search takes."""

from __future__ import annotations

import math

import pytest

from labelmill.regexcost import search_steps

QUICK = [
    ("cash|prize", 1000),
    (r"https?://\S+", 1000),
    (r"\b\w+@\w+\.com", 100),
    ("a{3,5}b", 10_000),
]
SLOW = [
    ("(a+)+$", 30),
    ("(a|a)*b", 40),
    (r"(\w+\s?)+$", 60),
    ("(?:ab){0,499}(?:ab){5000}(?<=c)", 20_000),
    ("(?=((?:ab){0,400}(?:ab){3000}c))|zz", 24_000),
    (r"(?:\d\d ){300}\b(?<!\d )", 900_000),
    (r"(\w+) .* \1", 10_000),
]


@pytest.mark.parametrize(("pattern", "length"), QUICK)
def test_plain_expressions_are_sure_to_be_quick(pattern, length):
    assert search_steps(pattern, 0, length) < 1e8


@pytest.mark.parametrize(("pattern", "length"), SLOW)
def test_expressions_that_took_seconds_are_not(pattern, length):
    assert search_steps(pattern, 0, length) > 5e8


def test_bound_grows_with_the_text():
    for pattern, _ in [*QUICK, *SLOW]:
        steps = [search_steps(pattern, 0, length) for length in (1, 10, 100, 1000)]
        assert steps == sorted(steps)
        assert not math.isnan(steps[-1])
