"""Candidates: what a text has, and that the functions made of them find exactly that."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from labelmill.lfspec import FUNCTION_KINDS
from labelmill.teach.candidates import Kind, candidate_keys, find_candidates, unpack
from labelmill.teach.index import index_texts, index_with
from labelmill.teach.wording import entry_of, in_words, name_of
from labelmill.testing import votes

TEXTS = [
    "Shared library for sound\nThis package, the shared library, plays sounds.",
    "documentation of a shared library - DOCUMENTATION files",
    'a "Shared" library; plays\n\nsound files',
    "Größe und Straße — café “quoted” naïve ½ ²",
    "Ünïcödé größe: 漢字 テスト x_1 __init__",
    "",
    None,
    "\nlibrary sound on the second line",
    "sound",
    "playing library playback libraries",
    "shared\tlibrary\r\nplayback of sounds!!!",
]


def _all_candidates(texts):
    column = pa.array(texts, pa.string())
    keys = np.concatenate([unpack(packed)[1] for _, packed in candidate_keys(column)])
    return column, find_candidates([column], np.unique(keys))


def test_candidates_of_every_kind_are_found():
    _, found = _all_candidates(TEXTS)
    assert {candidate.kind for candidate in found.values()} == set(Kind)


def test_functions_vote_on_exactly_the_texts_that_have_their_candidate():
    column, found = _all_candidates(TEXTS)
    keys = np.array(sorted(found), dtype=np.uint64)
    has = index_with(column, keys).toarray() > 0
    for n, key in enumerate(keys.tolist()):
        entry = entry_of(found[key], name="f", label="yes", field="text")
        ((kind, fields),) = entry.items()
        (function,) = FUNCTION_KINDS[kind](**fields).build()
        said = [vote == "yes" for vote in votes(function, TEXTS, ["no", "yes"])]
        assert said == has[:, n].tolist(), (found[key], entry)


def test_rare_and_common_candidates_are_left_out():
    texts = ["common rare" if n < 3 else "common seen" if n < 8 else "common" for n in range(40)]
    index = index_texts(pa.array(texts))
    found = find_candidates([pa.array(texts)], index.keys)
    assert {c.words[0] for c in found.values() if c.kind is Kind.WORD} == {"seen"}
    assert set(index.frequency.tolist()) == {5}


def test_an_index_does_not_depend_on_how_texts_are_cut(tmp_path):
    texts = pa.array([text or "" for text in TEXTS] * 3)
    index = index_texts(texts)
    parts = [index_with(texts.slice(n, 5), index.keys).toarray() for n in range(0, len(texts), 5)]
    assert np.array_equal(np.concatenate(parts), index.has.toarray())


@pytest.mark.parametrize(
    ("kind", "shown"), [(Kind.GAP, "a * library"), (Kind.TITLE_PREFIX, "pla- in the title")]
)
def test_candidates_are_said_in_words(kind, shown):
    _, found = _all_candidates(["a shared library plays songs", "playing"])
    assert shown in [in_words(c) for c in found.values() if c.kind is kind]


def test_names_do_not_repeat():
    _, found = _all_candidates(["cash"])
    word = next(c for c in found.values() if c.kind is Kind.WORD)
    assert name_of(word, "spam", {"spam_cash"}) == "spam_cash_2"
