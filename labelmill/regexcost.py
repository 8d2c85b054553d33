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
        (200.0, inf)
    """
    return length * _ways(_parsed(pattern, flags), max(length, 1))


@lru_cache(maxsize=4096)
def _parsed(pattern: str, flags: int) -> Any:
    return _parser.parse(pattern, flags)


def _ways(parsed: Any, length: int) -> float:
    """Return in how many ways a parsed expression may match at one place."""
    total = 1.0
    for operation, argument in parsed:
        total *= _ways_of(str(operation), argument, length)
    return total


def _ways_of(operation: str, argument: Any, length: int) -> float:
    if operation in _REPEATS:
        least, most, body = argument
        return _repeated(_ways(body, length), int(least), min(int(most), max(length, int(least))))
    if operation == "BRANCH":
        return sum(_ways(part, length) for part in argument[1])
    if operation == "SUBPATTERN":
        return _ways(argument[3], length)
    if operation == "ATOMIC_GROUP":
        return _ways(argument, length)
    if operation in ("ASSERT", "ASSERT_NOT"):
        return _ways(argument[1], length)
    if operation == "GROUPREF_EXISTS":
        _, yes, no = argument
        return _ways(yes, length) + (_ways(no, length) if no is not None else 1.0)
    return float(length) if operation == "GROUPREF" else 1.0


def _repeated(ways: float, least: int, most: int) -> float:
    """Return the ways of `least` to `most` repetitions of what matches in `ways` ways."""
    if ways <= 1.0:
        return float(most - least + 1)
    if math.isinf(ways) or most * math.log(ways) > 100:
        return math.inf
    return float(ways**most * ways / (ways - 1))
