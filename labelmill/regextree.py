"""A regular expression as a tree of plain nodes, and what of it a search may cut off.

`re`'s own parser reads the expression. Flags are resolved here, so that a node means the same
wherever it stands. Turning the tree into another engine's language is `regextranslate`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

# Any: neither the parser nor its trees have stubs; a node's value depends on its name.
_parser: Any = import_module("re._parser")
Node = tuple[str, Any]
Items = Sequence[Node]

GROUPS = frozenset({"SUBPATTERN", "KIND_GROUP"})
CHARS = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})
ZERO_WIDTH = frozenset({"AT", "ASSERT", "ASSERT_NOT"})
ATOMIC = frozenset({"ATOMIC_GROUP", "POSSESSIVE_REPEAT"})
BEHIND, AHEAD = -1, 1

_REPEATS = frozenset({"REPEAT", "POSSESSIVE_REPEAT"})
_KIND_FLAGS = re.ASCII | re.LOCALE | re.UNICODE
_CHAR_FLAGS = re.ASCII | re.IGNORECASE | re.DOTALL
_BRANCH_LIMIT = 100


def read(pattern: str, flags: int) -> list[Node]:
    """Parse `pattern` as `re` does.

    Nodes are ``(name, value)``; names are those of `re`'s parser, but all repeats that give back
    are ``REPEAT`` and groups that change nothing have no flags. Values:

    - ``LITERAL``, ``NOT_LITERAL``, ``ANY``, ``IN``: ``(what, flags)``
    - ``AT``: ``(kind, flags)``, kind one of ``START``, ``LINE_START``, ``NEAR_END``, ``END``,
      ``LINE_END``, ``BOUNDARY``, ``NON_BOUNDARY``
    - ``SUBPATTERN``: ``(number or None, items)``; ``KIND_GROUP`` the same for ``(?a:...)`` and
      ``(?u:...)``, which `re` may read with the flags outside, so that it finds less
    - ``ATOMIC_GROUP``: items; ``BRANCH``: list of items
    - ``REPEAT``, ``POSSESSIVE_REPEAT``: ``(least, most or None, items)``
    - ``ASSERT``, ``ASSERT_NOT``: ``(BEHIND or AHEAD, items)``
    - ``GROUPREF``: ``(number, flags)``; ``GROUPREF_EXISTS``: ``(number, yes items, no items)``

    Raises:
        re.error: The pattern is no regular expression.
    """
    tree = _parser.parse(pattern, flags)
    return _plain(tree, tree.state.flags)


def _plain(tree: Any, flags: int) -> list[Node]:
    return [_node(str(op), value, flags) for op, value in tree]


def _node(name: str, value: Any, flags: int) -> Node:
    if name == "IN":
        parts = [(str(op), str(v) if str(op) == "CATEGORY" else v) for op, v in value]
        return name, (tuple(parts), flags & _CHAR_FLAGS)
    if name in CHARS:
        return name, (value, flags & _CHAR_FLAGS)
    if name == "AT":
        return name, (_at(str(value), flags), flags & _CHAR_FLAGS)
    if name == "SUBPATTERN":
        number, added, removed, body = value
        if added & _KIND_FLAGS:
            name, flags = "KIND_GROUP", flags & ~_KIND_FLAGS
        return name, (number, _plain(body, (flags | added) & ~removed))
    if name == "BRANCH":
        return name, [_plain(body, flags) for body in value[1]]
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, body = value
        bound = None if most == _parser.MAXREPEAT else int(most)
        kind = "REPEAT" if name != "POSSESSIVE_REPEAT" else name
        return kind, (int(least), bound, _plain(body, flags))
    if name in ("ASSERT", "ASSERT_NOT"):
        return name, (value[0], _plain(value[1], flags))
    if name == "ATOMIC_GROUP":
        return name, _plain(value, flags)
    if name == "GROUPREF_EXISTS":
        number, yes, no = value
        return name, (number, _plain(yes, flags), _plain(no or (), flags))
    return name, (value, flags & _CHAR_FLAGS)


def _at(name: str, flags: int) -> str:
    lines = flags & re.MULTILINE
    return {
        "AT_BEGINNING": "LINE_START" if lines else "START",
        "AT_BEGINNING_STRING": "START",
        "AT_END": "LINE_END" if lines else "NEAR_END",
        "AT_END_STRING": "END",
        "AT_BOUNDARY": "BOUNDARY",
        "AT_NON_BOUNDARY": "NON_BOUNDARY",
    }.get(name, name)


def children(node: Node) -> Iterator[Items]:
    """Return the item lists directly inside a node."""
    name, value = node
    if name == "BRANCH":
        yield from value
    elif name == "ATOMIC_GROUP":
        yield value
    elif name == "GROUPREF_EXISTS":
        yield from value[1:]
    elif name in GROUPS or name in _REPEATS or name in ("ASSERT", "ASSERT_NOT"):
        yield value[-1]


def walk(items: Items) -> Iterator[Node]:
    """Return every node of a tree."""
    for node in items:
        yield node
        for inside in children(node):
            yield from walk(inside)


def trim(items: Items, side: int) -> list[Node]:
    r"""Cut from one end of a search what does not change whether it finds anything.

    A search for ``x+y*`` finds something where one for ``x`` does; ``foo(?=bar)`` where ``foobar``
    does. Cutting at the end (`side` AHEAD) is exact for atomic groups too, cutting at the start
    (`side` BEHIND) treats them as others and so may find more.
    """
    items, at = list(items), 0 if side == BEHIND else -1
    while items:
        name, value = items[at]
        if name in _REPEATS:
            least, _, body = value
            if least == 0:
                del items[at]
                continue
            once = ("SUBPATTERN", (None, body))
            if least == 1:
                items[at] = once
                continue
            if name == "POSSESSIVE_REPEAT" or (len(body) == 1 and body[0][0] in CHARS):
                items[at] = (name, (least, least, body))
                break
            others = (name, (least - 1, least - 1, body))
            items[at:] = [others, once] if side == AHEAD else [once, others, *items[1:]]
        elif name == "ATOMIC_GROUP":
            items[at] = ("SUBPATTERN", (None, value))
        elif name == "ASSERT" and (value[0] == side or not value[1]):
            items[at] = ("SUBPATTERN", (None, value[1]))
        elif name == "SUBPATTERN":
            body = trim(value[1], side)
            if body:
                items[at] = (name, (value[0], body))
                break
            del items[at]
        elif name == "BRANCH":
            ways = [trim(way, side) for way in value]
            if all(ways):
                items[at] = (name, ways)
                break
            del items[at]
        else:
            break
    return items


def split(items: Items) -> list[list[Node]]:
    """Split a search with a long list of alternatives into searches with shorter ones."""
    for n, (name, value) in enumerate(items):
        if name == "BRANCH" and len(value) > _BRANCH_LIMIT:
            starts = range(0, len(value), _BRANCH_LIMIT)
            parts = [[("BRANCH", value[start : start + _BRANCH_LIMIT])] for start in starts]
        elif name == "SUBPATTERN":
            parts = split(value[1])
        else:
            continue
        if len(parts) > 1:
            return [[*items[:n], ("SUBPATTERN", (None, part)), *items[n + 1 :]] for part in parts]
    return [list(items)]


def char_source(node: Node) -> str:
    """Return one of the `CHARS` nodes as the regular expression it was read from."""
    name, (what, _) = node
    if name == "ANY":
        return "."
    if name != "IN":
        return f"[{'^' if name == 'NOT_LITERAL' else ''}{_escape(what)}]"
    return f"[{''.join(_IN_PARTS[part](value) for part, value in what)}]"


def _escape(code: int) -> str:
    return f"\\U{code:08x}"


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_IN_PARTS: dict[str, Any] = {
    "NEGATE": lambda _: "^",
    "LITERAL": _escape,
    "RANGE": lambda ends: f"{_escape(ends[0])}-{_escape(ends[1])}",
    "CATEGORY": _CATEGORIES.__getitem__,
}
