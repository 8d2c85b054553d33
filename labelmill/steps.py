"""Which functions of a job run over a batch, in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from labelmill.combining import Combination, Combiner
from labelmill.labeling import BatchFunction, FunctionGroup, Matcher, PaidFunction
from labelmill.matching import MatcherSet


class Steps:
    """Functions of a job by the way in which they run, all or some.

    Args:
        every: Functions and parts, as `labelmill.combining.with_parts` gives them.
        labels: Class index that each votes for, see `labelmill.apply.labels_of`.
        combiner: Their combinations.
        running: Positions of those that run.
        late: What `late_functions` gave.
        is_guarded: Whether a function runs in a process of its own.

    Attributes:
        matchers: Matchers, compiled together.
        groups: Functions that vote together, with their positions.
        guarded: Functions that run in a process of their own.
        unguarded: Functions that run in this one.
        combined_early: Combinations that need no answer that costs money.
        paid: Functions that cost money.
        combined_late: The other combinations.
    """

    def __init__(
        self,
        every: Sequence[Any],
        labels: Mapping[int, int],
        combiner: Combiner,
        running: AbstractSet[int],
        late: AbstractSet[int],
        is_guarded: Callable[[Any], bool],
    ) -> None:
        chosen = {n: lf for n, lf in enumerate(every) if n in running}
        self.matchers = MatcherSet(
            {n: lf for n, lf in chosen.items() if isinstance(lf, Matcher)}, labels
        )
        self.groups = _groups(chosen)
        grouped = {n for _, positions in self.groups for n in positions}
        single = [
            n
            for n, lf in chosen.items()
            if not isinstance(lf, Matcher | Combination) and n not in grouped
        ]
        self.paid = [n for n in single if isinstance(every[n], PaidFunction)]
        others = [n for n in single if n not in self.paid]
        self.guarded = [n for n in others if is_guarded(every[n])]
        self.unguarded = [n for n in others if not is_guarded(every[n])]
        combined = [n for n in combiner.order if n in chosen]
        self.combined_early = [n for n in combined if n not in late]
        self.combined_late = [n for n in combined if n in late]


def late_functions(every: Sequence[Any], combiner: Combiner) -> frozenset[int]:
    """Return the functions that cost money, and the combinations that need one of them.

    Which records the former are asked about does not depend on the votes of any of these.
    """
    paid = frozenset(n for n, lf in enumerate(every) if isinstance(lf, PaidFunction))
    return paid | {n for n in combiner.order if not combiner.needed_by(n).isdisjoint(paid)}


def with_dependents(
    every: Sequence[Any],
    combiner: Combiner,
    changed: AbstractSet[int],
    failed: AbstractSet[int],
) -> frozenset[int]:
    """Return the functions that have to run where the votes of some changed.

    Those that look at the votes of others run again when one of these does: combinations, and
    functions that cost money and are asked where the others leave it open. A combination fails
    where a part fails, which stored votes do not tell: such parts run again as well.

    Args:
        every: Functions and parts.
        combiner: Their combinations.
        changed: Positions of functions that have to run anyway.
        failed: Positions of other functions that failed on a record.
    """
    running = set(changed)
    while True:
        before = len(running)
        for n in combiner.order:
            needed = combiner.needed_by(n)
            if n in running or not needed.isdisjoint(running):
                running |= {n, *(needed & failed)}
        if running:
            running |= {n for n, lf in enumerate(every) if _looks_at_others(lf)}
        if len(running) == before:
            return frozenset(running)


def _looks_at_others(lf: Any) -> bool:
    return isinstance(lf, PaidFunction) and lf.only_where != "all"


def _groups(chosen: Mapping[int, Any]) -> list[tuple[FunctionGroup, list[int]]]:
    """Return the groups of functions that vote together, with their members' positions."""
    found: dict[int, tuple[FunctionGroup, list[int]]] = {}
    for n, lf in chosen.items():
        if isinstance(lf, BatchFunction) and lf.group is not None:
            found.setdefault(id(lf.group), (lf.group, []))[1].append(n)
    return list(found.values())
