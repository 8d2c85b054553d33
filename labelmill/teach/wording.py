r"""Candidates as functions of a job file: `keywords` for a word, `regex` for all else.

The functions vote on exactly the texts that have the candidate; `\W` and `\w` are those of `re`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from labelmill.teach.candidates import LONG_WORD, Candidate, Kind

_LETTER = "[a-z0-9_]"
_IN_TITLE = r"\A.*"
_TITLE_END = r"[^\w\n]*(?:\n|\Z)"
_TITLE_GAP = r"[^\w\n]+"
_GAP = r"\W+"
_LONGEST_NAME = 60

_SHOWN = {
    Kind.WORD: "{0}",
    Kind.BIGRAM: "{0} {1}",
    Kind.TRIGRAM: "{0} {1} {2}",
    Kind.GAP: "{0} * {1}",
    Kind.TITLE_WORD: "{0} in the title",
    Kind.TITLE_BIGRAM: "{0} {1} in the title",
    Kind.FIRST: "{0} at the beginning",
    Kind.FIRST_TWO: "{0} {1} at the beginning",
    Kind.TITLE_LAST: "{0} at the title's end",
    Kind.TITLE_LAST_TWO: "{0} {1} at the title's end",
    Kind.LAST: "{0} at the end",
    Kind.LAST_TWO: "{0} {1} at the end",
    Kind.TITLE_PREFIX: "{0}- in the title",
    Kind.TITLE_SUFFIX: "-{0} in the title",
}


def in_words(candidate: Candidate) -> str:
    """Return a candidate as a person would say it."""
    return _SHOWN[candidate.kind].format(*candidate.words)


def pattern_of(candidate: Candidate) -> str:
    """Return the regular expression, to be searched without regard to case."""
    words = candidate.words
    kind = candidate.kind
    more = LONG_WORD - len(words[0])
    if kind is Kind.GAP:
        return rf"\b{words[0]}{_GAP}\w+{_GAP}{words[1]}\b"
    if kind is Kind.TITLE_PREFIX:
        return rf"{_IN_TITLE}\b{words[0]}{_LETTER}{{{more},}}\b"
    if kind is Kind.TITLE_SUFFIX:
        return rf"{_IN_TITLE}\b{_LETTER}{{{more},}}{words[0]}\b"
    inside = _TITLE_GAP.join(words) if kind.name.startswith("TITLE") else _GAP.join(words)
    if kind in (Kind.TITLE_WORD, Kind.TITLE_BIGRAM):
        return rf"{_IN_TITLE}\b{inside}\b"
    if kind in (Kind.TITLE_LAST, Kind.TITLE_LAST_TWO):
        return rf"{_IN_TITLE}\b{inside}{_TITLE_END}"
    if kind in (Kind.FIRST, Kind.FIRST_TWO):
        return rf"\A\W*{inside}\b"
    if kind in (Kind.LAST, Kind.LAST_TWO):
        return rf"\b{inside}\W*\Z"
    return rf"\b{inside}\b"


def entry_of(candidate: Candidate, *, name: str, label: str, field: str) -> dict[str, Any]:
    """Return an entry of `lfs` that votes for `label` where a text has the candidate.

    Args:
        candidate: The candidate.
        name: Name of the function.
        label: Class.
        field: Column with the texts.
    """
    where = {} if field == "text" else {"field": field}
    if candidate.kind is Kind.WORD:
        words = list(candidate.words)
        return {"keywords": {"name": name, "label": label, "words": words, **where}}
    pattern = pattern_of(candidate)
    fields = {"name": name, "label": label, "pattern": pattern, "ignore_case": True}
    return {"regex": {**fields, **where}}


def name_of(candidate: Candidate, label: str, taken: Collection[str]) -> str:
    """Return a name for a function that none has yet, such as ``sports_world_cup``."""
    said = f"{label} {in_words(candidate)}".replace("'s", "").replace("*", "x")
    base = "_".join(re.findall(r"\w+", said.replace(" in the ", " ").replace(" at the ", " ")))
    base = base[:_LONGEST_NAME].lower()
    name, n = base, 2
    while name in taken:
        name, n = f"{base}_{n}", n + 1
    return name
