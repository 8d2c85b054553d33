r"""Regular expressions in Hyperscan's language, over texts laid out in one buffer.

The texts stand as `labelmill.textlayout` puts them, ``\xfe text \xff``, so that anchors become
bytes and no match leaves its text. Two translations of each expression exist: for texts of
ASCII, with every class as the set of bytes that `re` itself gives; and for other texts, where a
class admits any character it might. Where Hyperscan cannot say what `re` says, the translation
finds more than `re` would, never less, and is marked as not exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from labelmill import regextree
from labelmill.regexbytes import (
    CONTINUATION,
    LEADS,
    LONGEST,
    byte_class,
    byte_string,
    char_bytes,
)
from labelmill.regextree import AHEAD, BEHIND, CHARS, GROUPS, ZERO_WIDTH, Items, Node
from labelmill.textlayout import CLOSE, OPEN

_REST = r"[^\xfe]*\xfe"  # to the start of the next text: one report for every text found

_COST_LIMIT = 10_000  # compile time grows faster than the cost; this much takes about .2 s
_COPIES_LIMIT = 1_000
_REPEAT_COST_LIMIT = 2_000
_NOT_SELECTIVE = 0.1


class UntranslatableError(Exception):
    """An expression has no translation that is worth compiling; its message says why."""


@dataclass(frozen=True)
class Translation:
    """What to search for, in Hyperscan's language.

    Attributes:
        expressions: The text is found where one of them is; none of them: nowhere.
        exact: Whether they find what `re` does, and nothing more.
        everywhere: Whether every text is found without searching.
    """

    expressions: tuple[str, ...]
    exact: bool
    everywhere: bool = False


class _Piece(NamedTuple):
    """A part of a translation, with what it costs an automaton and how much it tells."""

    text: str
    cost: int = 0
    firsts: int = 0
    lasts: int = 0
    nullable: bool = True
    bits: float = 0.0


_EMPTY = _Piece("")


def translate(pattern: str, flags: int, *, ascii_only: bool) -> Translation:
    r"""Translate one expression for searching.

    Args:
        pattern: A regular expression on text, as `re` takes it.
        flags: `re` flags.
        ascii_only: For texts of ASCII; otherwise for texts with at least one other character.

    Raises:
        UntranslatableError: There is no translation that is worth compiling.

    Example:
        >>> translate(r"^sp(am)+\s*$", 0, ascii_only=True).expressions
        ('(?:\\xfesp(?:am)+[\\x09-\\x0d\\x1c-\\x20]*\\x0a?\\xff)[^\\xfe]*\\xfe',)
    """
    try:
        tree = regextree.read(pattern, flags)
        best = _Translator(tree, ascii_only).search(tree)
        if not best.exact:
            for node in tree:
                if node[0] == "ASSERT":  # it has to be found too, wherever it looks
                    other = _Translator(tree, ascii_only).search(node[1][1])
                    best = max(best, other._replace(exact=False), key=lambda found: found.bits)
    except RecursionError as error:
        raise UntranslatableError("nested too deeply") from error
    everywhere = "" in best.texts or not (best.exact or best.bits > _NOT_SELECTIVE)
    texts = () if everywhere else tuple(f"(?:{text}){_REST}" for text in best.texts)
    return Translation(texts, best.exact, everywhere)


class _Search(NamedTuple):
    texts: list[str]
    exact: bool
    bits: float


class _Translator:
    def __init__(self, tree: Items, ascii_only: bool) -> None:
        self._ascii = ascii_only
        self._exact = True
        self._groups = {
            node[1][0]: node[1][1] for node in regextree.walk(tree) if node[0] in GROUPS
        }
        self._referred: dict[int, _Piece | None] = {}
        self._plain = False  # inside a back-reference, which looks at nothing around it

    def search(self, tree: Items) -> _Search:
        tree = regextree.trim(tree, AHEAD)
        if any(name in regextree.ATOMIC for name, _ in regextree.walk(tree)):
            self._exact = False
        tree = regextree.trim(tree, BEHIND)
        pieces = [self._sequence(part, True, True) for part in regextree.split(tree)]
        found = [piece for piece in pieces if piece is not None]
        for piece in found:
            if piece.cost > _COST_LIMIT:
                raise UntranslatableError(f"its automaton is too large ({piece.cost=})")
        bits = min((piece.bits for piece in found), default=math.inf)
        return _Search([piece.text for piece in found], self._exact, bits)

    def _loosen(self, piece: _Piece | None = _EMPTY) -> _Piece | None:
        self._exact = False
        return piece

    def _sequence(self, items: Items, first: bool, last: bool) -> _Piece | None:
        """Translate items in a row; None is what nothing can match.

        Args:
            items: Nodes.
            first: Nothing of the expression stands before.
            last: Nothing of the expression stands after.
        """
        items = _outermost(list(items), first, last)
        result = _EMPTY
        for n, node in enumerate(items):
            piece = self._node(node, first and n == 0, last and n == len(items) - 1)
            if piece is None:
                return None
            result = _joined(result, piece)
        return result

    def _node(self, node: Node, first: bool, last: bool) -> _Piece | None:
        name, value = node
        if name in CHARS:
            return self._char(node)
        if name == "SUBPATTERN":
            return self._sequence(value[1], first, last)
        if name == "KIND_GROUP":
            return self._loosen(self._sequence(value[1], first, last))
        if name == "BRANCH":
            return _either(self._sequence(way, first, last) for way in value)
        if name == "REPEAT":
            return self._repeat(*value)
        if name == "POSSESSIVE_REPEAT":
            return self._loosen(self._repeat(*value))
        if name == "ATOMIC_GROUP":
            return self._loosen(self._sequence(value, first, last))
        if name == "AT":
            return self._at(value[0], value[1], first, last)
        if name in ZERO_WIDTH:
            return self._look_around(name, value[0], value[1], first, last)
        if name == "GROUPREF":
            return self._loosen(self._reference(*value))
        if name == "GROUPREF_EXISTS":
            return self._loosen(_either(self._sequence(way, False, False) for way in value[1:]))
        if name == "FAILURE":
            return None
        raise UntranslatableError(f"{name} is not known")

    def _char(self, node: Node) -> _Piece | None:
        char = char_bytes(node, self._ascii)
        ways = [] if not char.alone else [byte_class(char.alone)]
        ways += [byte_string(encoded) for encoded in char.listed]
        if not ways and not char.leads:
            return None
        bits = 7 - math.log2(len(char.alone) + len(char.listed)) if ways else 0.0
        if char.leads:
            self._exact = False
            text = f"{byte_class(char.alone | char.leads)}{byte_class(CONTINUATION)}*"
            return _Piece(text, 2, 1, 2, False, 0.0 if char.leads == LEADS else min(bits, 1.0))
        text = ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"
        cost = sum(map(len, char.listed)) + len(ways)
        return _Piece(text, cost, len(ways), len(ways), False, bits)

    def _repeat(self, least: int, most: int | None, body: Items) -> _Piece | None:
        if most == 0:
            return _EMPTY
        if len(body) == 1 and body[0][0] in CHARS:
            char = char_bytes(body[0], self._ascii)
            if char.leads:  # bytes are counted, not characters
                self._exact = False
                every = char.alone | char.leads | CONTINUATION
                piece = _Piece(byte_class(every), 1, 1, 1, False)
                return self._times(piece, least, None if most is None else most * LONGEST)
        inside = self._sequence(body, False, False)
        if inside is None:
            return _EMPTY if least == 0 else None
        if not inside.firsts:  # empty, or only looks
            return _EMPTY if least == 0 else inside
        return self._times(inside, least, most)

    def _times(self, body: _Piece, least: int, most: int | None) -> _Piece:
        single = body.cost == 1 and not body.nullable
        edges = body.firsts * body.lasts
        if single:
            limit = _COPIES_LIMIT
        else:
            limit = max(_REPEAT_COST_LIMIT // (body.cost + edges), 1)
            limit = math.isqrt(limit) + 1 if body.nullable else limit
        bits = body.bits * least
        if max(least, most or 1) > limit:
            self._exact = False
            least, most = min(least, limit), None
        copies = max(least, most or 1)
        ends = 1 if single else (copies if body.nullable else copies - least + 1)
        return _Piece(
            f"(?:{body.text}){_times_text(least, most)}" if not single
            else body.text + _times_text(least, most),
            copies // 8 + 2 if single else copies * (body.cost + edges * ends),
            body.firsts * (copies if body.nullable and not single else 1),
            body.lasts * ends,
            least == 0 or body.nullable,
            bits,
        )  # fmt: skip

    def _at(self, kind: str, flags: int, first: bool, last: bool) -> _Piece | None:
        if self._plain:
            return _EMPTY
        if kind in ("BOUNDARY", "NON_BOUNDARY"):
            if not self._ascii and (kind == "NON_BOUNDARY" or not flags & re.ASCII):
                return self._loosen()
            if kind == "BOUNDARY":
                return _Piece(r"\b", 1)
            if first:  # not between the texts
                return _Piece(r"[^\xff]\B", 1, 1, 1, False)
            return _Piece(r"\B", 1)
        if first and kind in _STARTS:
            return _Piece(_STARTS[kind], 1, 1, 1, False)
        if last and kind in _ENDS:
            return _Piece(_ENDS[kind], 2, 2, 1, False)
        return self._loosen()

    def _look_around(
        self, name: str, side: int, body: Items, first: bool, last: bool
    ) -> _Piece | None:
        if self._plain:
            return _EMPTY
        if not body:
            return _EMPTY if name == "ASSERT" else None
        if name == "ASSERT" or len(body) != 1 or body[0][0] not in CHARS:
            return self._loosen()
        if not ((first and side == BEHIND) or (last and side == AHEAD)):
            return self._loosen()
        # No such character there: another one, or the end of the text.
        others = frozenset(range(128)) - char_bytes(body[0], self._ascii).alone
        if not self._ascii:
            self._exact = False
            others |= LEADS | CONTINUATION
        return _Piece(byte_class(others | {OPEN if side == BEHIND else CLOSE}), 1, 1, 1, False)

    def _reference(self, number: int, flags: int) -> _Piece | None:
        """Translate a back-reference as a second occurrence of what its group can match."""
        anything = _Piece(byte_class(frozenset(range(0xF5))) + "*", 2, 1, 1, True)
        if flags & re.IGNORECASE:
            return anything
        if number not in self._referred:
            before, self._plain = self._plain, True
            piece = self._sequence(self._groups[number], False, False)
            self._plain = before
            small = piece is None or piece.cost <= _COST_LIMIT // 100
            self._referred[number] = piece if small else anything
        return self._referred[number]


_STARTS = {"START": r"\xfe", "LINE_START": r"[\x0a\xfe]"}
_ENDS = {"NEAR_END": r"\x0a?\xff", "END": r"\xff", "LINE_END": r"[\x0a\xff]"}


def _outermost(items: list[Node], first: bool, last: bool) -> list[Node]:
    """Bring what becomes a byte outside of what only looks, among conditions on one place."""
    if first:
        for n in range(len(items)):
            if items[n][0] not in ZERO_WIDTH:
                break
            if _takes_byte(items[n], BEHIND):
                items.insert(0, items.pop(n))
                break
    if last:
        for n in reversed(range(len(items))):
            if items[n][0] not in ZERO_WIDTH:
                break
            if _takes_byte(items[n], AHEAD):
                items.append(items.pop(n))
                break
    return items


def _takes_byte(node: Node, side: int) -> bool:
    name, value = node
    if name == "AT":
        return value[0] in (_STARTS if side == BEHIND else _ENDS)
    body = value[1]
    return name == "ASSERT_NOT" and value[0] == side and len(body) == 1 and body[0][0] in CHARS


def _joined(a: _Piece, b: _Piece) -> _Piece:
    return _Piece(
        a.text + b.text,
        a.cost + b.cost + a.lasts * b.firsts,
        a.firsts + (b.firsts if a.nullable else 0),
        b.lasts + (a.lasts if b.nullable else 0),
        a.nullable and b.nullable,
        a.bits + b.bits,
    )


def _either(ways: Iterable[_Piece | None]) -> _Piece | None:
    possible = [way for way in ways if way is not None]
    if not possible:
        return None
    return _Piece(
        f"(?:{'|'.join(way.text for way in possible)})" if len(possible) > 1 else possible[0].text,
        sum(way.cost for way in possible),
        sum(way.firsts for way in possible),
        sum(way.lasts for way in possible),
        any(way.nullable for way in possible),
        min(way.bits for way in possible),
    )


def _times_text(least: int, most: int | None) -> str:
    if most is None:
        return {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    if (least, most) == (0, 1):
        return "?"
    return f"{{{least}}}" if least == most else f"{{{least},{most}}}"
