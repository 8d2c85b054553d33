"""Snorkel's interface on labelmill: semantics of the pieces, sharing, fingerprints, spaCy."""

from __future__ import annotations

import copy
import importlib
import os
import pickle
import re
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pyarrow as pa
import pytest

from labelmill.apply import apply_functions
from labelmill.code import collect_code, functions_of, load_modules
from labelmill.columns import columns_used
from labelmill.compat.snorkel import (
    BaseMapper,
    LabelingFunction,
    LambdaMapper,
    NLPLabelingFunction,
    Preprocessor,
    SpacyPreprocessor,
    labeling_function,
    lambda_mapper,
    nlp_labeling_function,
    preprocessor,
)
from labelmill.compat.snorkel.map.memo import Memo, get_hashable
from labelmill.errors import LabelingFunctionError
from labelmill.fingerprint import fingerprint
from labelmill.kinds import is_labeling_function
from labelmill.labeling import LabelingFunction as JobFunction
from labelmill.records import ID, iterate_records
from labelmill.votes import LFInfo, LFTable

ROOT = Path(__file__).resolve().parents[2]
ABSTAIN, HAM, SPAM = -1, 0, 1


def batch_of(texts, **columns):
    return pa.RecordBatch.from_pydict(
        {ID: [f"r{n}" for n in range(len(texts))], "text": texts, **columns}
    )


def run(lfs, batch):
    table = LFTable(tuple(LFInfo(lf.name, "") for lf in lfs), ("ham", "spam"))
    return apply_functions(batch, lfs, table)


def votes_of(lfs, batch):
    """Return votes as Snorkel has them: rows by functions, -1 for an abstain."""
    rows = [
        dict(zip(r["lfs"], r["labels"], strict=True)) for r in run(lfs, batch).votes.to_pylist()
    ]
    return [[row.get(n, ABSTAIN) for n in range(len(lfs))] for row in rows]


def point(**fields):
    return SimpleNamespace(**fields)


# Labeling functions


def test_functions_are_labelmills_own():
    lf = LabelingFunction("a", lambda x: 1)
    assert isinstance(lf, JobFunction)
    assert is_labeling_function(lf)


def test_decorator_takes_name_resources_and_preprocessors():
    @preprocessor()
    def doubled(x):
        x.n *= 2
        return x

    @labeling_function("other", resources={"least": 5}, pre=[doubled])
    def lf(x, least):
        return SPAM if x.n >= least else ABSTAIN

    assert lf.name == "other"
    assert [lf(point(n=2)), lf(point(n=3))] == [ABSTAIN, SPAM]
    steps = "[LambdaPreprocessor doubled, Pre: []]"
    assert repr(lf) == f"LabelingFunction other, Preprocessors: {steps}"


@pytest.mark.parametrize("decorator", [labeling_function, nlp_labeling_function, preprocessor])
def test_missing_parentheses_are_named(decorator):
    with pytest.raises(LabelingFunctionError, match=r"missing its parentheses.*\(\)"):
        decorator(lambda x: 1)


def test_resources_are_the_object_that_was_given():
    words = {"words": ["cash"]}
    lf = LabelingFunction("a", lambda x, words: int(x.text in words), resources=words)
    words["words"] = ["prize"]
    assert lf(point(text="prize")) == 1
    assert votes_of([lf], batch_of(["prize", "cash"])) == [[1], [0]]


def test_preprocessor_that_returns_nothing_is_an_error():
    forgetful = LambdaMapper("forgetful", lambda x: None)
    lf = LabelingFunction("a", lambda x: 1 if x.text else 0, pre=[forgetful])
    with pytest.raises(ValueError, match=r"a: preprocessor LambdaMapper forgetful.* None"):
        lf(point(text=""))
    silent = LabelingFunction("silent", lambda x: 1, pre=[forgetful])
    assert run([lf, silent], batch_of(["a", "b"])).outcomes.faults == (2, 2)


def test_functions_can_be_told_apart_and_kept_in_sets():
    one, other = (LabelingFunction("a", lambda x: 1, resources={"k": []}) for _ in range(2))
    assert len({one, other, one}) == 2


class Counting(LabelingFunction):
    """A subclass with state, set after its base's constructor."""

    def __init__(self, name, word):
        super().__init__(name, self.vote)
        self.word = word

    def vote(self, x):
        return x.text.count(self.word) - 1


class Inverted(LabelingFunction):
    """A subclass that changes how it is called."""

    def __call__(self, x):
        vote = super().__call__(x)
        return vote if vote == ABSTAIN else 1 - vote


def test_subclasses_with_state_and_calls_of_their_own_vote_as_they_say():
    upper = LambdaMapper("upper", lambda x: point(text=x.text.upper()))
    lfs = [
        Counting("cash", "cash"),
        Inverted("inverted", lambda x, word: int(word in x.text), {"word": "CASH"}, [upper]),
    ]
    assert votes_of(lfs, batch_of(["cash cash", "lunch"])) == [[1, 0], [-1, 1]]
    again = pickle.loads(cloudpickle.dumps(lfs))
    assert votes_of(again, batch_of(["cash cash", "lunch"])) == [[1, 0], [-1, 1]]


def test_subclass_state_and_code_count_in_its_fingerprint():
    assert fingerprint(Counting("a", "cash")) == fingerprint(Counting("a", "cash"))
    assert fingerprint(Counting("a", "cash")) != fingerprint(Counting("a", "prize"))
    plain = LabelingFunction("a", len, {"word": "CASH"})
    assert fingerprint(Inverted("a", len, {"word": "CASH"})) != fingerprint(plain)


# Mappers


def test_mapper_leaves_its_data_point_as_it_is():
    @lambda_mapper()
    def edited(x):
        x.text = "new"
        x.tags.append("new")
        x.inner["a"].append(1)
        return x

    (record,) = iterate_records(
        pa.RecordBatch.from_pylist([{"text": "old", "tags": ["old"], "inner": {"a": [0]}}])
    )
    for x in (point(text="old", tags=["old"], inner={"a": [0]}), record, copy.copy(record)):
        mapped = edited(x)
        assert (mapped.text, mapped.tags, mapped.inner) == ("new", ["old", "new"], {"a": [0, 1]})
        assert (x.text, x.tags, x.inner) == ("old", ["old"], {"a": [0]})


def test_preprocessors_run_in_order_the_nested_ones_first():
    def adding(letter, pre=()):
        def add(x):
            x.text += letter
            return x

        return LambdaMapper(letter, add, list(pre))

    a, b = adding("a"), adding("b")
    lf = LabelingFunction("lf", lambda x: len(x.text) if x.text == "-abcad" else -1,
                          pre=[adding("c", [a, b]), adding("d", [a])])  # fmt: skip
    assert lf(point(text="-")) == 6
    seen = LabelingFunction("seen", lambda x: int(x.text == "-abcad"), pre=lf._pre)
    assert votes_of([seen], batch_of(["-", ""])) == [[1], [0]]


class Joined(Preprocessor):
    def __init__(self, **options):
        super().__init__("joined", {"first": "title", "then": "text"}, {"out": "whole"}, **options)

    def run(self, first, then):
        return {"out": f"{first} {then}", "unused": 1}


class Plain(Preprocessor):
    def run(self, title, text):
        return {"whole": title + text} if text else None


def test_mapper_reads_and_makes_the_fields_that_it_names():
    mapped = Joined()(point(title="a", text="b"))
    assert vars(mapped) == {"title": "a", "text": "b", "whole": "a b"}
    assert Plain("p")(point(title="a", text="b")).whole == "ab"
    assert Plain("p")(point(title="a", text="")) is None


def test_mapper_whose_arguments_name_no_fields_is_refused():
    class Open(Preprocessor):
        def run(self, **fields):
            return fields

    with pytest.raises(ValueError, match="give field_names="):
        Open("open")
    assert Open("open", {"a": "b"})(point(b=1)).a == 1


def test_base_mapper_and_run_have_to_be_filled_in():
    with pytest.raises(NotImplementedError, match="BaseMapper"):
        BaseMapper("b", [], memoize=False)(point())
    with pytest.raises(NotImplementedError, match="no method run"):
        Preprocessor("p", {})(point())


# Memoizing


def counting(**options):
    calls = []

    @preprocessor(**options)
    def counted(x):
        calls.append(x.text)
        x.size = len(x.text)
        return x

    return counted, calls


def test_memoized_results_are_kept_by_value_until_they_are_reset():
    counted, calls = counting(memoize=True)
    points = [point(text="a", tags=["t"]) for _ in range(2)]
    assert counted(points[0]) is counted(points[1])
    counted(point(text="a", tags=["u"]))
    assert calls == ["a", "a"]
    counted.reset_cache()
    counted(points[0])
    assert calls == ["a"] * 3


def test_memoize_key_decides_what_is_equal():
    counted, calls = counting(memoize=True, memoize_key=lambda x: x.text)
    assert [counted(point(text=text, n=n)).size for n, text in enumerate(("a", "bb", "a"))] == [
        1, 2, 1,
    ]  # fmt: skip
    assert calls == ["a", "bb"]


def test_what_is_remembered_is_not_edited_by_the_mapper_around_it():
    counted, calls = counting(memoize=True)

    @preprocessor(pre=[counted])
    def outer(x):
        x.size += 1
        return x

    assert [outer(point(text="abc")).size for _ in range(2)] == [4, 4]
    assert calls == ["abc"]


def test_without_memoize_nothing_is_kept():
    counted, calls = counting()
    counted(point(text="a"))
    counted(point(text="a"))
    assert calls == ["a", "a"]


def test_memory_is_bounded_and_forgets_what_was_used_longest_ago():
    memo = Memo(2)
    memo.put("a", 1)
    memo.put("b", 2)
    memo.get("a")
    memo.put("c", 3)
    assert [key in memo._results for key in "abc"] == [True, False, True]
    assert len(memo) == 2


def test_keys_know_values_and_not_identity():
    (record,) = iterate_records(pa.RecordBatch.from_pylist([{"a": 1, "b": [1, 2]}]))
    values = [{"a": 1, "b": [1, {2}]}, [np.arange(3)], record, copy.copy(record), point(a=None)]
    for value in values:
        assert get_hashable(value) == get_hashable(copy.deepcopy(value))
        hash(get_hashable(value))
    assert get_hashable(record) == get_hashable(copy.copy(record))
    assert get_hashable(np.arange(2)) != get_hashable(np.arange(2.0))
    assert get_hashable(1) != get_hashable(True)
    with pytest.raises(ValueError, match="memoize_key"):
        get_hashable(bytearray(b"a"))


def test_points_without_a_key_are_mapped_each_time():
    counted, calls = counting(memoize=True)
    counted(point(text="a", raw=bytearray(b"a")))
    counted(point(text="a", raw=bytearray(b"a")))
    assert len(calls) == 2


# In a job


def test_preprocessors_run_once_per_record_for_all_functions_nested_ones_too():
    calls = Counter()

    def counted(name, **options):
        @preprocessor(name, **options)
        def step(x):
            calls[name] += 1
            return x

        return step

    shared = counted("shared")
    nested = counted("nested", pre=[shared], memoize=True)
    lfs = [
        LabelingFunction(str(n), lambda x: 1 if x.text else 0, pre=pre)
        for n, pre in enumerate(([shared], [nested], [nested], [shared, counted("last")]))
    ]
    run(lfs, batch_of([f"text {n}" for n in range(10)]))
    assert calls == {"shared": 10, "nested": 10, "last": 10}


def test_preprocessor_called_in_its_own_way_keeps_its_pre():
    class Odd(LambdaMapper):
        def __call__(self, x):
            return super().__call__(x) if x.text else x

    a = LambdaMapper("a", lambda x: point(text=x.text + "a"))
    odd = Odd("odd", lambda x: point(text=x.text + "b"), [a])
    lf = LabelingFunction("lf", lambda x: int(x.text == "-ab"), pre=[odd])
    assert votes_of([lf], batch_of(["-", ""])) == [[1], [0]]


def test_failed_preprocessor_costs_its_record():
    @preprocessor()
    def lowered(x):
        x.text = x.text.lower()
        return x

    lf = LabelingFunction("lf", lambda x: int(x.text == "a"), pre=[Joined(pre=[lowered])])
    applied = run([lf], batch_of(["A", None, "B"], title=["", "", ""]))
    assert applied.outcomes.faults == (1,)
    assert "lower" in applied.faults[0].message


def test_columns_are_known_where_preprocessors_name_their_fields():
    def used(f, *pre):
        use = columns_used(LabelingFunction("a", f, pre=list(pre)))
        return use.columns if use.complete else None

    lowered = LambdaMapper("l", lambda x: x)
    assert used(lambda x: x.whole + x.n, Joined()) == ("n", "text", "title")
    assert used(lambda x: x.n) == ("n",)
    assert used(lambda x: x.get("n"), Joined()) is None
    assert used(lambda x: x.whole, Joined(pre=[lowered])) is None
    assert used(lambda x: x.whole, lowered, Joined()) is None
    assert used(lambda x: x.whole, Plain("p")) is None
    assert used(lambda x: x.whole, Joined(memoize=True, memoize_key=len)) is None


FILE = """
from labelmill.compat.snorkel.labeling import labeling_function
from labelmill.compat.snorkel.preprocess import Preprocessor, preprocessor


@preprocessor(memoize=True)
def lowered(x):
    x.text = x.text.lower()
    return x


class Sized(Preprocessor):
    def __init__(self, unit):
        super().__init__("sized", {"text": "text"}, {"size": "size"}, pre=[lowered])
        self.unit = unit

    def run(self, text):
        return {"size": len(text) // self.unit}


sized = Sized(2)


@labeling_function(resources={"limit": 3}, pre=[sized])
def long(x, limit):
    return 1 if x.size > limit else -1
"""


def fingerprint_in_job(text, folder):
    folder.mkdir(exist_ok=True)
    (folder / "snorkel_lfs.py").write_text(text)
    code = collect_code([folder / "snorkel_lfs.py"])
    (module,) = load_modules(code)
    (lf,) = functions_of(module)
    with suppress(AttributeError):
        lf(point(text="abc"))  # what it remembers is no part of it
    return fingerprint(lf, frozenset(file.module for file in code.files))


@pytest.mark.parametrize(
    ("old", "new", "is_edit"),
    [
        ("lower()", "upper()", True),
        ("// self.unit", "% self.unit", True),
        ("Sized(2)", "Sized(3)", True),
        ('"limit": 3', '"limit": 4', True),
        ("else -1", "else 0", True),
        (', {"size": "size"}', ', {"size": "n"}', True),
        ("    return x\n", "    return x  # lower\n", False),
        ("return 1 if", "'Docstring.'\n    return 1 if", False),
    ],
)
def test_edits_change_fingerprints_and_comments_do_not(tmp_path, old, new, is_edit):
    assert old in FILE
    before = fingerprint_in_job(FILE, tmp_path / "a")
    after = fingerprint_in_job(FILE.replace(old, new), tmp_path / "b")
    assert (after != before) == is_edit


FINGERPRINTS = """
from labelmill.compat.snorkel import *
from labelmill.fingerprint import fingerprint
import snorkel_lfs

parsing = SpacyPreprocessor("text", "doc", "blank:en", pre=[snorkel_lfs.lowered], memoize=True)
lfs = [snorkel_lfs.long, LabelingFunction("p", snorkel_lfs.long._f, {"limit": 3}, [parsing])]
lfs.append(NLPLabelingFunction("n", snorkel_lfs.long._f, language="blank:en"))
print([fingerprint(lf) for lf in lfs])
"""


def test_fingerprints_are_the_same_in_every_process_and_hold_no_code_of_labelmill(tmp_path):
    (tmp_path / "snorkel_lfs.py").write_text(FILE)
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    printed = set()
    for seed, change in (("1", ""), ("2", ""), ("3", "Memo.added = 1\n_Step.added = 1\n")):
        names = "from labelmill.compat.snorkel.map.core import Memo, _Step\n"
        done = subprocess.run(
            [sys.executable, "-c", names + change + FINGERPRINTS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)
    assert len(printed) == 1


def test_functions_travel_by_cloudpickle_without_what_they_remember():
    counted, _ = counting(memoize=True)
    lfs = [
        LabelingFunction(name, lambda x: x.size - 1, pre=[Joined(pre=[counted])])
        for name in ("a", "b")
    ]
    batch = batch_of(["a", "bb"], title=["", ""])
    before = votes_of(lfs, batch)
    assert len(counted._memo) == 2

    again = pickle.loads(cloudpickle.dumps(lfs))

    assert len(again[0]._pre[0]._pre[0]._memo) == 0
    assert votes_of(again, batch) == before == [[0, 0], [1, 1]]


# Modules


NAMES = {
    "labeling": "labeling_function LabelingFunction",
    "labeling.lf": "labeling_function LabelingFunction",
    "labeling.lf.core": "labeling_function LabelingFunction",
    "labeling.lf.nlp": "nlp_labeling_function NLPLabelingFunction",
    "map": "BaseMapper LambdaMapper Mapper lambda_mapper",
    "map.core": "BaseMapper LambdaMapper Mapper lambda_mapper get_hashable",
    "preprocess": "BasePreprocessor LambdaPreprocessor Preprocessor preprocessor",
    "preprocess.core": "BasePreprocessor LambdaPreprocessor Preprocessor preprocessor",
    "preprocess.nlp": "SpacyPreprocessor",
    "types": "DataPoint DataPoints Field FieldMap HashingFunction",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_snorkel_has_them(module):
    loaded = importlib.import_module(f"labelmill.compat.snorkel.{module}")
    assert [name for name in NAMES[module].split() if not hasattr(loaded, name)] == []


def test_what_is_not_provided_says_what_to_do():
    with pytest.raises(ImportError, match=r"labelmill run.*leave PandasLFApplier out"):
        from labelmill.compat.snorkel.labeling import PandasLFApplier  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from labelmill.compat.snorkel.labeling import nothing  # noqa: F401


def test_importing_does_not_import_spacy_or_snorkel():
    code = (
        "import sys, labelmill.compat.snorkel\n"
        "assert not {'spacy', 'snorkel'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# spaCy


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """Return the folder of a pipeline with entities and sentences."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("spacy", reason="spaCy is not installed: pip install labelmill[nlp]")
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": name} for name in ("Ada", "Alan")])
    folder = tmp_path_factory.mktemp("pipeline") / "people"
    nlp.to_disk(folder)
    return str(folder)


class Spied:
    """A pipeline in the place of `labelmill.nlp.Pipeline`'s, with counts of what it parsed."""

    def __init__(self, nlp):
        self._nlp = nlp
        self.vocab = nlp.vocab
        self.piped, self.single = [], []

    def pipe(self, texts):
        texts = list(texts)
        self.piped += texts
        return self._nlp.pipe(texts)

    def __call__(self, text):
        self.single.append(text)
        return self._nlp(text)


@pytest.fixture
def spied(language, monkeypatch):
    """Count what each loaded pipeline parses; no pipeline is loaded yet."""
    from labelmill import nlp

    loaded = []
    load = nlp._load

    def spy(*settings):
        loaded.append(Spied(load(*settings)))
        return loaded[-1]

    monkeypatch.setattr(nlp, "_load", spy)
    nlp.pipeline.cache_clear()
    yield loaded
    nlp.pipeline.cache_clear()


def has_person(x):
    return SPAM if any(entity.label_ == "PERSON" for entity in x.doc.ents) else ABSTAIN


def long_sentence(x):
    return HAM if max(len(sentence) for sentence in x.doc.sents) > 4 else ABSTAIN


TEXTS = ["I met Ada. She left.", "Nothing here to see, alas.", "Alan", "One. Two."]
PEOPLE = [[SPAM, HAM], [ABSTAIN, HAM], [SPAM, ABSTAIN], [ABSTAIN, ABSTAIN]]
PEOPLE[0][1] = ABSTAIN


def test_documents_are_piped_once_for_functions_with_the_same_settings(language, spied):
    lfs = [nlp_labeling_function(language=language)(f) for f in (has_person, long_sentence)]
    own = SpacyPreprocessor("text", "doc", language, memoize=True)
    lfs.append(LabelingFunction("own", lambda x: len(x.doc) % 2, pre=[own]))

    assert spied == []  # it is loaded when it is first used
    votes = votes_of(lfs, batch_of(TEXTS))

    assert [row[:2] for row in votes] == PEOPLE
    assert len({id(step) for lf in lfs for step in lf.pre}) == 1
    (nlp,) = spied
    assert sorted(nlp.piped) == sorted(TEXTS)
    assert nlp.single == []


def test_other_settings_have_documents_of_their_own(language, spied):
    plain = NLPLabelingFunction("plain", has_person, language=language)
    without = NLPLabelingFunction("without", has_person, language=language, disable="entity_ruler")
    assert votes_of([plain, without], batch_of(TEXTS)) == [[1, -1], [-1, -1], [1, -1], [-1, -1]]
    assert len(spied) == 2


def test_direct_calls_vote_as_the_job_does(language):
    lf = NLPLabelingFunction("a", has_person, language=language)
    assert [lf(point(text=text)) for text in TEXTS] == [row[0] for row in PEOPLE]
    assert repr(lf).startswith("NLPLabelingFunction a, Preprocessors: [SpacyPreprocessor")


def test_preprocessors_before_the_parser_run_once_and_may_fail(language, spied):
    calls = []

    @preprocessor()
    def titled(x):
        calls.append(x.text)
        x.text = x.text.title()
        return x

    lfs = [
        nlp_labeling_function(pre=[titled], language=language)(has_person),
        labeling_function(pre=[titled])(lambda x: SPAM if x.text == "Ada" else ABSTAIN),
    ]
    applied = run(lfs, batch_of(["ada", None, "alan"]))

    assert applied.outcomes.votes == (2, 1)
    assert applied.outcomes.faults == (1, 1)
    assert calls == ["ada", None, "alan"]
    assert sorted(spied[0].piped) == ["Ada", "Alan"]


def test_text_that_cannot_be_parsed_costs_its_record(language):
    lf = NLPLabelingFunction("a", has_person, language=language)
    texts = ["Ada", None, "x" * 1_000_001, "Alan"]
    applied = run([lf], batch_of(texts))
    assert applied.outcomes.votes == (2,)
    assert applied.outcomes.faults == (2,)
    assert [fault.message[:7] for fault in applied.faults] == ["[E1041]", "[E088] "]


def test_batches_are_mapped_as_single_records_are(language):
    spacy_step = SpacyPreprocessor(
        "text", "doc", language, pre=[LambdaMapper("t", lambda x: point(text=x.text.title()))],
        memoize=True, memoize_key=lambda x: x.text,
    )  # fmt: skip
    mapped = spacy_step.map_batch([point(text="ada"), point(text=None), point(text="")])
    assert [type(x) for x in mapped] == [SimpleNamespace, AttributeError, SimpleNamespace]
    assert mapped[0].doc.text == "Ada"
    assert mapped[0].doc.to_bytes() == spacy_step(point(text="ada")).doc.to_bytes()


def test_subclass_of_the_parser_keeps_its_way(language):
    class Shouting(SpacyPreprocessor):
        def run(self, text):
            return super().run(text.upper())

    shouting = Shouting("text", "doc", language)
    lf = LabelingFunction("a", lambda x: int(x.doc.text == "ADA"), pre=[shouting])
    assert votes_of([lf], batch_of(["ada", "alan"])) == [[1], [0]]
    assert lf.pre == (shouting,)


def test_step_after_the_parser_gets_a_document_of_its_own(language):
    @preprocessor()
    def marked(x):
        x.doc.user_data["mark"] = 1
        return x

    parse = SpacyPreprocessor("text", "doc", language)
    lfs = [
        LabelingFunction("marked", lambda x: len(x.doc.user_data), pre=[parse, marked]),
        LabelingFunction("plain", lambda x: len(x.doc.user_data), pre=[parse]),
    ]
    assert votes_of(lfs, batch_of(["Ada"])) == [[1, 0]]


def test_missing_pipeline_is_told_before_anything_runs(language):
    with pytest.raises(LabelingFunctionError, match="spacy download en_no_such_pipeline"):
        nlp_labeling_function(language="en_no_such_pipeline")(has_person)


def test_missing_spacy_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LabelingFunctionError, match=r"pip install 'labelmill\[nlp\]'"):
        SpacyPreprocessor("text", "doc")


def test_parser_reads_its_text_alone(language):
    use = columns_used(NLPLabelingFunction("a", has_person, text_field="body", language=language))
    assert (use.columns, use.complete) == (("body",), True)


def test_settings_and_not_the_loaded_pipeline_count_in_a_fingerprint(language):
    def made(**options):
        return NLPLabelingFunction("a", has_person, language=language, **options)

    lf = made()
    before = fingerprint(lf)
    lf(point(text="Ada"))
    assert fingerprint(lf) == fingerprint(made()) == before
    assert len({before, *(fingerprint(made(**{k: "x"})) for k in ("disable", "text_field"))}) == 3


def test_functions_on_documents_travel_without_the_pipeline(language):
    lfs = [nlp_labeling_function(language=language)(f) for f in (has_person, long_sentence)]
    votes_of(lfs, batch_of(TEXTS))
    pickled = cloudpickle.dumps(lfs)
    assert len(pickled) < 10_000
    assert votes_of(pickle.loads(pickled), batch_of(TEXTS)) == PEOPLE


def test_pipeline_that_learned_many_words_is_loaded_again(spied, language, monkeypatch):
    from labelmill import nlp

    monkeypatch.setattr(nlp, "_MOST_NEW_STRINGS", 10)
    lf = NLPLabelingFunction("a", has_person, language=language)
    for n in range(3):
        words = " ".join(f"new{n}word{m}" for m in range(20))
        assert votes_of([lf], batch_of([words, "Ada"])) == [[-1], [1]]
    assert len(spied) == 3


# The page


def test_the_page_about_snorkel_holds():
    if os.environ.get("CI") != "true":
        pytest.importorskip("spacy", reason="spaCy is not installed: pip install labelmill[nlp]")
    page = (ROOT / "docs" / "howto" / "snorkel.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 3
    namespace = {"__name__": "snorkel_page"}
    for block in blocks:
        exec(compile(block, "snorkel.md", "exec"), namespace)
