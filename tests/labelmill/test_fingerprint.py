"""Fingerprints: edits that must change them, edits that must not, and who else may compute them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from labelmill import keywords, labeling_function, regex
from labelmill.code import collect_code, functions_of, load_modules
from labelmill.fingerprint import fingerprint
from labelmill.job import prepare_job
from labelmill.jobfile import load_job
from labelmill.labeling import LabelingFunction

ROOT = Path(__file__).resolve().parents[2]

LFS = '''
import re
import helper
from helper import shout
from labelmill import labeling_function

WORDS = {"cash", "prize", "win", "free"}
LIMITS = {"low": 1, "high": 9}
LINK = re.compile("http")
UNUSED = 1


class Rules:
    """Rules."""

    start = 3

    @staticmethod
    def fits(text):
        return len(text) > 5

    def holds(self, text):
        return text.startswith("a")


def pre(x):
    return x


def make(limit):
    def over(x):
        """Docstring."""
        return len(x.text) > limit  # comment

    return over


def size(text, least=3):
    return len(text) >= least and bool(LINK.search(text))


@labeling_function(resources={"table": {"a": 1}}, pre=[pre], version="1")
def lf(x, table):
    """Docstring."""
    import late
    rules = Rules()
    if x.text in WORDS and rules.holds(x.text) and Rules.fits(x.text):
        return 1
    inner = [word for word in x.text.split() if word in {"one", "two", "three"}]
    if helper.whisper(x.text) or shout(x.text) or size(x.text) or late.hour(x):
        return LIMITS["low"] if (lambda t: t > 2)(len(inner)) else 0
    return over(x)


over = make(4)
'''

FILES = {
    "lfs.py": LFS,
    "helper.py": "LOUD = 2\n\n\ndef whisper(t):\n    return quiet(t)\n\n\ndef quiet(t):\n"
    "    return t.islower()\n\n\ndef shout(t):\n    return t.upper() * LOUD\n\n\n"
    "def elsewhere():\n    return 1\n",
    "late.py": "def hour(x):\n    return 12\n",
}


def write(folder, files=FILES):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def fingerprint_in(folder, name="lf"):
    code = collect_code([folder / "lfs.py"])
    (module,) = load_modules(code)
    lf = next(lf for lf in functions_of(module) if lf.name == name)
    return fingerprint(lf, frozenset(file.module for file in code.files))


def edited(folder, name, old, new):
    assert FILES[name].count(old) >= 1, old
    return fingerprint_in(write(folder, {**FILES, name: FILES[name].replace(old, new)}))


UNCHANGED = {
    "comment": ("lfs.py", "  # comment", ""),
    "docstrings": ("lfs.py", '"""Docstring."""', '"""Other words."""'),
    "class docstring": ("lfs.py", '    """Rules."""\n', ""),
    "layout": ("lfs.py", 'LIMITS["low"]', "LIMITS[\n        'low'\n    ]"),
    "set order": ("lfs.py", '{"cash", "prize", "win", "free"}', '{"free", "win", "prize", "cash"}'),
    "annotations": (
        "lfs.py",
        "def size(text, least=3):",
        "def size(text: str, least: int = 3) -> bool:",
    ),
    "unused global": ("lfs.py", "UNUSED = 1", "UNUSED = 2"),
    "global named like a field": ("lfs.py", "UNUSED = 1", "text = 5"),
    "unrelated code": ("lfs.py", "UNUSED = 1", "def unrelated():\n    return 1\n"),
    "unrelated order": ("lfs.py", LFS, LFS.replace("UNUSED = 1\n", "") + "\nUNUSED = 1\n"),
    "unrelated sibling function": ("helper.py", "return 1", "return 2"),
    "declared fields": ("lfs.py", 'version="1"', 'version="1", fields=["text"]'),
}

CHANGED = {
    "body": ("lfs.py", "return 1\n", "return 0\n"),
    "called function": ("lfs.py", ">= least", "> least"),
    "default argument": ("lfs.py", "least=3", "least=4"),
    "sibling's function, imported by name": ("helper.py", "t.upper()", "t.lower()"),
    "sibling's function, by attribute": ("helper.py", "return quiet(t)", "return not quiet(t)"),
    "function called by that": ("helper.py", "t.islower()", "t.isupper()"),
    "global used by a helper only": ("helper.py", "LOUD = 2", "LOUD = 3"),
    "module imported late": ("late.py", "12", "13"),
    "set constant": ("lfs.py", '"cash"', '"gold"'),
    "set in the body": ("lfs.py", '"three"', '"four"'),
    "dict constant": ("lfs.py", '"low": 1', '"low": 2'),
    "compiled pattern": ("lfs.py", 're.compile("http")', 're.compile("https")'),
    "pattern's flags": ("lfs.py", 're.compile("http")', 're.compile("http", re.I)'),
    "closure value": ("lfs.py", "make(4)", "make(5)"),
    "function in the closure": ("lfs.py", "> limit", ">= limit"),
    "resource": ("lfs.py", '{"a": 1}', '{"a": 2}'),
    "preprocessor": ("lfs.py", "def pre(x):\n    return x", "def pre(x):\n    return x or None"),
    "version": ("lfs.py", 'version="1"', 'version="2"'),
    "method": ("lfs.py", 'startswith("a")', 'startswith("b")'),
    "static method": ("lfs.py", "len(text) > 5", "len(text) > 6"),
    "lambda": ("lfs.py", "t > 2", "t > 3"),
}


@pytest.fixture
def original(tmp_path):
    return fingerprint_in(write(tmp_path / "original"))


@pytest.mark.parametrize("edit", UNCHANGED.values(), ids=UNCHANGED)
def test_edit_that_decides_nothing_keeps_the_fingerprint(tmp_path, original, edit):
    assert edited(tmp_path / "edited", *edit) == original


@pytest.mark.parametrize("edit", CHANGED.values(), ids=CHANGED)
def test_edit_that_decides_changes_the_fingerprint(tmp_path, original, edit):
    assert edited(tmp_path / "edited", *edit) != original


def test_fingerprint_is_that_of_the_loaded_source_not_of_the_file_on_disk(tmp_path, original):
    shutil.rmtree(tmp_path / "original")
    write(tmp_path / "original", {**FILES, "lfs.py": "\n" * 40})  # the next copy loads from memory
    assert fingerprint_in(write(tmp_path / "copy")) == original


SCRIPT = """
import sys
from pathlib import Path
from labelmill.jobfile import load_job
from labelmill.job import prepare_job
print([lf.fingerprint for lf in prepare_job(*load_job(sys.argv[1])).table.lfs])
"""
JOB = "name: n\ninput: {uri: x.jsonl}\nlabels: [a, b]\nlfs: [lfs.py]\noutput: {uri: out}\n"


def test_other_processes_folders_and_hash_seeds_agree(tmp_path):
    printed = set()
    for seed in ("0", "1", "2"):
        folder = write(tmp_path / seed / ("deep" * int(seed)), {**FILES, "job.yaml": JOB})
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(folder / "job.yaml")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(result.stdout)
    assert len(printed) == 1


def test_dict_that_is_named_like_a_cache_is_a_constant_like_any_other(tmp_path):
    prints = set()
    for n in (1, 2):
        text = f"CACHE_TERMS = {{'a': {n}}}\n@labeling_function\ndef lf(x): return CACHE_TERMS[x]\n"
        text = "from labelmill import labeling_function\n" + text
        prints.add(fingerprint_in(write(tmp_path / str(n), {"lfs.py": text})))

    assert len(prints) == 2


def test_implementation_registered_with_singledispatch_counts(tmp_path):
    prints = set()
    for n in (1, 2):
        text = (
            "from functools import singledispatch\nfrom labelmill import labeling_function\n"
            "@singledispatch\ndef vote(x): return None\n"
            f"@vote.register\ndef _(x: str): return {n}\n"
            "@labeling_function\ndef lf(x): return vote(x.text)\n"
        )
        prints.add(fingerprint_in(write(tmp_path / str(n), {"lfs.py": text})))

    assert len(prints) == 2


MATCHER = {"name": "m", "label": "spam", "words": ["cash"]}


@pytest.mark.parametrize(
    "change",
    [
        {"words": ["win"]},
        {"label": "ham"},
        {"label": 1},
        {"field": "title"},
        {"ignore_case": False},
    ],
    ids=str,
)
def test_everything_that_a_matcher_does_is_in_its_fingerprint(change):
    assert fingerprint(keywords(**{**MATCHER, **change})) != fingerprint(keywords(**MATCHER))


def test_name_of_a_matcher_and_order_of_its_words_decide_nothing():
    one = keywords("one", label=1, words=["a", "b"])
    other = keywords("other", label=1, words=("b", "a"))
    assert fingerprint(one) == fingerprint(other)


def test_class_index_and_name_are_different_labels():
    assert fingerprint(regex("r", label=1, pattern="a")) != fingerprint(
        regex("r", label="1", pattern="a")
    )


def test_batch_flag_is_in_the_fingerprint():
    def fn(x):
        return 1

    assert fingerprint(labeling_function(fn)) != fingerprint(labeling_function(batch=True)(fn))


# fmt: off
PAIR = [lambda x: x.text > "a", lambda x: x.text > "b"]; NEST = lambda x: [lambda y: y, x]  # noqa: E702, E731
# fmt: on


def of(fn, **options):
    return fingerprint(LabelingFunction("lf", fn, **options))


def test_two_lambdas_on_one_line_differ():
    assert of(PAIR[0]) != of(PAIR[1]) != of(NEST)
    assert of(PAIR[0]) == of(PAIR[0])


def compiled(source):
    """Return a function whose source is nowhere to be found."""
    namespace = {"__name__": __name__}
    exec(compile(source, "<nowhere>", "exec"), namespace)
    return namespace["f"]


def test_function_without_source_is_known_by_its_code():
    variants = [
        "def f(x): return x.text",
        "def f(x): return x.title",
        "def f(x): return x.text == 'a'",
        "def f(x): return (lambda y: y + 1)(x)",
        "def f(x): return (lambda y: y + 2)(x)",
    ]
    assert len({of(compiled(variant)) for variant in variants}) == len(variants)
    assert [of(compiled(v)) for v in variants] == [of(compiled(v)) for v in variants]


def test_equal_and_different_values_are_told_apart():
    class Slotted:
        __slots__ = ("a",)

        def __init__(self, a):
            self.a = a

    def values(n):
        return [
            n,
            float(n),
            str(n),
            b"%d" % n,
            (n,),
            [n],
            {n},
            frozenset([n]),
            {"a": n},
            np.array([n]),
            np.array([n], dtype=object),
            np.int64(n),
            pa.array([n]),
            pa.table({"a": [n]}),
            functools.partial(pow, n),
            Slotted(n),
            functools.lru_cache(lambda x, n=n: x),
        ]

    def prints(n):
        return [of(PAIR[0], resources={"r": value}) for value in values(n)]

    assert prints(1) == prints(1)
    assert len({*prints(1), *prints(2)}) == 2 * len(values(1))


def test_values_that_hold_themselves_end():
    loop = [1]
    loop.append(loop)
    assert of(pow, resources={"r": loop}) == of(pow, resources={"r": loop})


def test_value_without_readable_state_counts_by_its_class():
    import threading

    assert of(pow, resources={"r": threading.Lock()}) == of(pow, resources={"r": threading.Lock()})


def test_default_arguments_of_every_called_function_count(tmp_path):
    def source(a, b):
        return (
            "from labelmill import labeling_function\n"
            f"A = {a}\nB = {b}\n"
            "def one(x, n=A): return n\ndef two(x, n=B): return n\n"
            "@labeling_function\ndef lf(x): return one(x) + two(x)\n"
        )

    prints = {
        fingerprint_in(write(tmp_path / f"{a}{b}", {"lfs.py": source(a, b)}))
        for a in (1, 2)
        for b in (1, 2)
    }
    assert len(prints) == 4


def test_snorkel_function_is_known_by_what_it_wraps():
    class LabelingFunctionLike:
        def __init__(self, fn, **resources):
            self.name, self._f, self._resources, self._cache = "s", fn, resources, {}

        def __call__(self, x):
            self._cache[x] = 1
            return self._f(x)

    LabelingFunctionLike.__module__ = "snorkel.labeling"
    lf = LabelingFunctionLike(PAIR[0])
    before = fingerprint(lf)
    assert fingerprint(LabelingFunctionLike(PAIR[1])) != before
    assert fingerprint(LabelingFunctionLike(PAIR[0], a=1)) != before


DECLARED = {
    "job.yaml": JOB.replace("[lfs.py]", "[lfs.py, {all: {name: c, label: a, of: [plain, words]}},"
                            " {lookup: {name: t, label: b, field: text, table: table.txt}}]"),
    "lfs.py": (
        "import json\nfrom labelmill import keywords, labeling_function, resource\n"
        "words = keywords('words', label='a', words_file='words.txt')\n"
        "@labeling_function(resources={'known': resource('known.json', load=json.loads)})\n"
        "def data(x, known): return known.get(x.text)\n"
        "@labeling_function()\ndef plain(x): return 0\n"
    ),
    "words.txt": "one\n",
    "known.json": '{"a": 1}',
    "table.txt": "x\n",
}  # fmt: skip
EDITS = {
    "a word of a list": (("words.txt", "one", "two"), {"words", "c"}),
    "a comment in a list": (("words.txt", "one", "# new\none"), set()),
    "a resource": (("known.json", "1", "0"), {"data"}),
    "a table": (("table.txt", "x", "y"), {"t"}),
    "a part that is named": (("lfs.py", "return 0", "return 1"), {"plain", "c"}),
    "the classes": (("job.yaml", "[a, b]", "[a, b, d]"), {"words", "data", "plain", "c", "t"}),
    "a timeout": (("lfs.py", "_function()", "_function(timeout=3)"), {"plain", "c"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edit_of_a_job_changes_the_functions_that_it_concerns(tmp_path, edit):
    (file, old, new), expected = EDITS[edit]
    folder = write(tmp_path / "job", DECLARED)
    before = prints_of(folder)
    assert old in DECLARED[file]
    (folder / file).write_text(DECLARED[file].replace(old, new))
    after = prints_of(folder)
    assert {name for name in before if before[name] != after[name]} == expected
    moved = write(tmp_path / "moved", {**DECLARED, file: DECLARED[file].replace(old, new)})
    assert prints_of(moved) == after


def prints_of(folder):
    job = prepare_job(*load_job(folder / "job.yaml"))
    return {lf.name: lf.fingerprint for lf in job.table.lfs}
