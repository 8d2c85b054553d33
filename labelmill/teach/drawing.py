"""Which records to judge next: random ones, then uncertain ones that differ from each other."""

from __future__ import annotations

import numpy as np

from labelmill.teach.extra import needs_teach, one_thread
from labelmill.teach.features import Floats
from labelmill.teach.tokens import Ints

POOL = 3000
EARLY = 150
"""Judgements up to which all of the pool are clustered; after, only the most uncertain."""
MOST_UNCERTAIN = 400


@one_thread()
def draw_uncertain(
    probs: Floats, shared: Floats, pool: Ints, n: int, *, judged: int, seed: int = 0
) -> Ints:
    """Draw diverse uncertain records: the nearest one to each centre of a clustering.

    Args:
        probs: P(class) of the pool, float64, shape (p, k).
        shared: Its features, float64, shape (p, d).
        pool: Its records, int64, shape (p,).
        n: Records to draw.
        judged: Records judged so far.
        seed: Seed of the clustering.

    Returns:
        At most n of `pool`, all different.

    Raises:
        JobSpecError: The extra `teach` is not installed.
    """
    with needs_teach():
        from sklearn.cluster import KMeans  # noqa: PLC0415  an extra
    top = np.sort(probs, axis=1)
    margin = top[:, -1] - top[:, -2]
    weights = np.ones(len(pool))
    kept = np.arange(len(pool))
    if judged > EARLY:
        kept = np.argsort(margin, kind="stable")[: max(MOST_UNCERTAIN, n)]
    else:
        weights = (1 - margin) ** 2 + 1e-6
    if len(kept) <= n:
        all_of_them: Ints = pool[kept]
        return all_of_them
    points = shared[kept]
    means = KMeans(n, n_init=1, max_iter=50, random_state=seed).fit(
        points, sample_weight=weights[kept]
    )
    distances = means.transform(points)
    chosen: list[int] = []
    free = np.ones(len(kept), dtype=bool)
    for centre in range(n):
        nearest = int(np.argmin(np.where(free, distances[:, centre], np.inf)))
        free[nearest] = False
        chosen.append(nearest)
    drawn: Ints = pool[kept[np.array(chosen)]]
    return drawn
