"""Hypothesis strategies for votes, and small vote sets with known truth."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


@st.composite
def vote_matrices(draw, max_records=30, max_lfs=5, max_classes=4):
    """Draw a dense matrix with abstains, its number of classes, and gold for some records."""
    k = draw(st.integers(2, max_classes))
    n = draw(st.integers(0, max_records))
    m = draw(st.integers(1, max_lfs))
    votes = draw(hnp.arrays(np.int16, (n, m), elements=st.integers(-1, k - 1)))
    gold = draw(hnp.arrays(np.int16, (n,), elements=st.integers(-1, k - 1)))
    return votes, k, gold


def simulated_lfs(seed=0, n=2000, m=9, k=3):
    """Single-class functions of precision about .8 that each vote on a quarter of the records."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, k, n)
    votes = np.full((n, m), -1)
    for lf in range(m):
        target = lf % k
        fires = rng.random(n) < np.where(gold == target, 0.5, 0.06)
        votes[fires, lf] = target
    return votes, gold


def simulated_crowd(seed=0, n=400, m=20, k=3, asked=5):
    """Annotators of accuracy .5 to .9 who each see a random part of the records."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, k, n)
    skill = rng.uniform(0.5, 0.9, m)
    votes = np.full((n, m), -1)
    for record in range(n):
        for worker in rng.choice(m, size=asked, replace=False):
            right = rng.random() < skill[worker]
            votes[record, worker] = gold[record] if right else rng.integers(0, k)
    return votes, gold


def simulated_mixture(seed=0, n=400, k=3):
    """The functions of `simulated_lfs`, then the annotators of `simulated_crowd`, on one truth."""
    functions, gold = simulated_lfs(seed, n=n, k=k)
    annotators, same = simulated_crowd(seed, n=n, k=k)
    assert np.array_equal(gold, same)
    return np.hstack([functions, annotators]), gold
