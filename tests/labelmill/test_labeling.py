"""Writing labeling functions: the decorator, matchers, and what counts as one in a module."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill import ABSTAIN, keywords, labeling_function, regex
from labelmill.errors import LabelingFunctionError
from labelmill.kinds import is_labeling_function, kind_of


def text(value):
    return SimpleNamespace(text=value)


def votes_on(lf, *texts):
    return [lf(text(value)) != ABSTAIN for value in texts]


@pytest.mark.parametrize("decorator", [labeling_function, labeling_function()])
def test_decorator_works_bare_and_called(decorator):
    @decorator
    def short(x):
        return len(x.text) < 3

    assert (short.name, short(text("ab"))) == ("short", True)


def test_decorator_takes_a_name_first_as_snorkel_does():
    lf = labeling_function("other")(lambda x: 1)
    assert lf.name == "other"


def test_calling_a_function_applies_preprocessors_and_resources():
    lf = labeling_function(pre=[lambda x: x.text, str.upper], resources={"suffix": "!"})(
        lambda x, suffix: x + suffix
    )
    assert lf(text("a")) == "A!"


def test_batch_function_cannot_have_preprocessors():
    with pytest.raises(LabelingFunctionError, match="pre= works on one record"):
        labeling_function(batch=True, pre=[str])


def test_one_field_may_be_given_as_text():
    assert labeling_function(fields="text")(lambda x: 1).fields == ("text",)


def test_keyword_matches_whole_words_only():
    lf = keywords("k", label=1, words=["cash"])
    assert votes_on(lf, "CASH now", "cashier", "my_cash", "cash", "") == [
        *(True, False, False, True, False)
    ]


def test_phrase_matches_with_any_white_space():
    lf = keywords("k", label=1, words=["free  prize"])
    assert votes_on(lf, "a free prize", "free\n\tprize", "freeprize", "free big prize") == [
        *(True, True, False, False)
    ]


def test_words_of_punctuation_match():
    lf = keywords("k", label=1, words=["c++", "$$$", ".net"])
    assert votes_on(lf, "I like C++.", "c++11", "c", "win $$$ now", ".NET", "x.net") == [
        *(True, False, False, True, True, False)
    ]


def test_keywords_are_unicode_and_may_mind_case():
    assert votes_on(keywords("k", label=1, words=["größe"]), "GRÖSSE", "GRÖßE", "größer") == [
        *(False, True, False)
    ]
    minding = keywords("k", label=1, words=["Cash"], ignore_case=False)
    assert votes_on(minding, "Cash", "cash") == [True, False]


@given(st.sets(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_every_word_is_found_where_it_stands_alone(words):
    lf = keywords("k", label=1, words=words, ignore_case=False)
    assert all(lf(text(f" {word} ")) == 1 for word in words)


@given(st.permutations(["free", "free prize", "win", "cash"]))
def test_order_of_words_makes_no_difference(words):
    assert keywords("k", label=1, words=words) == keywords("k", label=1, words=set(words))


@pytest.mark.parametrize("words", ["cash", b"cash", [], ["ok", "  "]])
def test_wrong_words_are_refused(words):
    with pytest.raises(LabelingFunctionError, match="keywords 'k'"):
        keywords("k", label=1, words=words)


def test_regex_searches_with_its_flags():
    lf = regex("r", label=1, pattern=r"^b", flags=re.IGNORECASE | re.MULTILINE)
    assert votes_on(lf, "a\nB", "ab") == [True, False]


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", b"a", None, re.compile("a")])
def test_pattern_that_is_no_regular_expression_is_refused(pattern):
    with pytest.raises(LabelingFunctionError, match="regex 'r'"):
        regex("r", label=1, pattern=pattern)


def test_null_text_abstains():
    assert keywords("k", label=1, words=["a"])(text(None)) == ABSTAIN
    assert regex("r", label=1, pattern="")(text(None)) == ABSTAIN


def snorkel_function(name="foreign"):
    """Return an object like Snorkel's labeling functions, from a module named like its own."""

    def call(self, x):
        return 1

    cls = type("LabelingFunction", (), {"__module__": "snorkel.labeling.lf.core", "__call__": call})
    lf = cls()
    lf.name = name
    return lf


def test_labeling_functions_are_told_from_other_values():
    assert all(
        is_labeling_function(value)
        for value in (
            labeling_function(lambda x: 1),
            keywords("k", label=1, words=["a"]),
            snorkel_function(),
        )
    )
    assert not any(
        is_labeling_function(value)
        for value in (keywords, labeling_function, type(snorkel_function()), len, 1, None)
    )


def test_kinds_are_named_for_tables():
    lfs = (
        keywords("k", label=1, words=["a"]),
        regex("r", label=1, pattern="a"),
        labeling_function(lambda x: 1),
        labeling_function(batch=True)(lambda x: 1),
        snorkel_function(),
    )
    assert [kind_of(lf) for lf in lfs] == ["keywords", "regex", "python", "batch", "python"]


def test_word_with_half_of_a_character_is_refused():
    with pytest.raises(LabelingFunctionError, match=r"'\\ud83d' holds half of a character"):
        keywords("k", label=1, words=["\ud83d"])
