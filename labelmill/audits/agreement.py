"""How far auditors agree beyond chance: Krippendorff's alpha and Cohen's kappa."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Votes = npt.NDArray[np.int64]


def krippendorff_alpha(votes: Votes) -> float | None:
    """Return Krippendorff's alpha for nominal data.

    Args:
        votes: Class of each record by each auditor, int64, shape (n, m), -1 for none.

    Returns:
        1 for full agreement, 0 for that of chance; None where no record has two answers, or all
        answers are one class, so that chance would do as well.

    Source: Krippendorff, "Content analysis: an introduction to its methodology", 2nd edition
    (2004), section 11.3 (by way of the matrix of coincidences).
    """
    paired = votes[(votes >= 0).sum(axis=1) >= 2]
    if not len(paired):
        return None
    k = int(paired.max()) + 1
    counts = np.stack([(paired == c).sum(axis=1) for c in range(k)], axis=1).astype(np.float64)
    each = counts.sum(axis=1)
    same = (counts * (counts - 1)).sum(axis=1) / (each - 1)
    observed = each.sum() - same.sum()
    totals = counts.sum(axis=0)
    n = totals.sum()
    expected = (n**2 - (totals**2).sum()) / (n - 1)
    return None if expected == 0 else float(1 - observed / expected)


def cohen_kappa(first: Votes, second: Votes) -> float | None:
    """Return Cohen's kappa of two auditors on the records that both judged.

    Args:
        first: Class of each record, int64, shape (n,), -1 for none.
        second: The same of the other auditor.

    Returns:
        1 for full agreement, 0 for that of chance; None where chance would agree fully or there
        is no such record.

    Source: Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20 (1960).
    """
    both = (first >= 0) & (second >= 0)
    if not both.any():
        return None
    a, b = first[both], second[both]
    k = int(max(a.max(), b.max())) + 1
    shares = [np.bincount(side, minlength=k) / len(a) for side in (a, b)]
    chance = float(shares[0] @ shares[1])
    return None if chance >= 1 else float(((a == b).mean() - chance) / (1 - chance))
