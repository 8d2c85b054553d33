"""How long a regular expression can take: a bound on the steps of a backtracking search.

`re` tries one way of matching after another. The number of ways multiplies along an expression,
so that it can be bounded from the expression's parts and the length of the text.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

_parser: Any = re._parser  # type: ignore[attr-defined]  # the standard library's own, since 3.11

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def search_steps(pattern: str, flags: int, length: int) -> float:
    """Return a bound on the steps that `re.search` takes on a text.

    Args:
        pattern: A valid regular expression.
        flags: `re` flags.
        length: Characters in the text.

    Returns:
        The bound, infinite where the ways of matching grow exponentially.

    Example:
        >>> search_steps("cash|prize", 0, 100), search_steps("(a+)+$", 0, 100)
        (1000.0, inf)
    """
    _, steps = _explored(_parsed(pattern, flags), max(length, 1))
    return length * steps


@lru_cache(maxsize=4096)
def _parsed(pattern: str, flags: int) -> Any:
    return _parser.parse(pattern, flags)


def _explored(parsed: Any, length: int) -> tuple[float, float]:
    """Return in how many ways an expression may match at one place, and the steps to try them all.

    What stands behind something that matches in several ways is tried once for each of them.
    """
    ways, steps = 1.0, 0.0
    for operation, argument in parsed:
        own_ways, own_steps = _explored_part(str(operation), argument, length)
        steps += ways * own_steps
        ways *= own_ways
    return ways, steps


def _explored_part(operation: str, argument: Any, length: int) -> tuple[float, float]:
    if operation in _REPEATS:
        least, most, body = argument
        return _repeated(_explored(body, length), int(least), int(most), length)
    if operation == "SUBPATTERN":
        return _explored(argument[3], length)
    if operation == "ATOMIC_GROUP":
        return _explored(argument, length)
    if operation in ("ASSERT", "ASSERT_NOT"):
        return _explored(argument[1], length)
    if operation in ("BRANCH", "GROUPREF_EXISTS"):
        parts = argument[1] if operation == "BRANCH" else [p for p in argument[1:] if p is not None]
        explored = [_explored(part, length) for part in parts]
        return sum(w for w, _ in explored) + 1.0, sum(s for _, s in explored) + 1.0
    return 1.0, float(length) if operation == "GROUPREF" else 1.0


def _repeated(body: tuple[float, float], least: int, most: int, length: int) -> tuple[float, float]:
    """Return ways and steps of `least` to `most` repetitions of `body`."""
    ways, steps = body
    times = min(most, max(length, least))  # each takes a character, or is the last one
    if ways <= 1.0:
        return float(times - least + 1), times * max(steps, 1.0)
    if math.isinf(ways) or times * math.log(ways) > 100:
        return math.inf, math.inf
    every = float(ways**times * ways / (ways - 1))
    return every, every * steps
