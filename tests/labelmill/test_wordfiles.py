"""Keyword functions whose words are in a file."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from labelmill import keywords
from labelmill.datafiles import DataFile, declare, stage, undeclare
from labelmill.errors import LabelingFunctionError
from labelmill.fingerprint import fingerprint
from labelmill.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "lists-and-tables.md"


@pytest.fixture
def word_file(tmp_path):
    def make(content: bytes, name: str = "words.txt") -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return make


def vote(lf, text):
    return lf(SimpleNamespace(text=text))


def test_words_of_a_file_are_the_words(word_file):
    path = word_file(b"\xef\xbb\xbf# money\r\ncash\r\n\r\n  free   prize \r\n# more\r\n\\#win\r\n")
    lf = keywords("money", label="spam", words_file=path)
    assert lf.words == ("#win", "cash", "free prize")
    assert lf.files == (DataFile(path),)
    inline = keywords("money", label="spam", words=["cash", "free prize", "#win"])
    assert (lf.pattern, lf.flags, lf.kind) == (inline.pattern, inline.flags, inline.kind)
    assert [vote(lf, t) for t in ("CASH", "free\tprize", "a #win", "win")] == ["spam"] * 3 + [-1]


def test_compressed_list(word_file):
    path = word_file(gzip.compress("été\n".encode()), "words.txt.gz")
    assert vote(keywords("f", label=1, words_file=path), "un été") == 1


def test_order_and_comments_are_no_edit(word_file):
    def of(content):
        return fingerprint(keywords("f", label=1, words_file=word_file(content)))

    before = of(b"cash\nprize\n")
    assert of(b"# note\nprize\n\ncash") == before
    assert of(b"cash\nprizes\n") != before


def test_worker_without_the_file_has_the_same_function(word_file, tmp_path):
    path = word_file(b"cash\n")
    planned = keywords("f", label=1, words_file=path)
    store = Store.open(tmp_path / "out")
    digests = stage(store, planned.files)
    DataFile(path).sha256  # noqa: B018
    (tmp_path / "words.txt").unlink()
    declare(digests, store.uri)
    try:
        assert keywords("f", label=1, words_file=path) == planned
    finally:
        undeclare()


def test_large_list(word_file):
    words = [f"word{n}" for n in range(30_000)]
    lf = keywords("f", label=1, words_file=word_file("\n".join(words).encode()))
    assert len(lf.words) == 30_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cash\ncaf\xe9\n", r"words.txt:2: byte 0xe9 is not UTF-8"),
        (b"# nothing\n\n", r"words.txt lists nothing"),
        (None, r"there is no file .*words.txt"),
    ],
)
def test_bad_lists_are_named_with_the_function(word_file, tmp_path, content, message):
    path = str(tmp_path / "words.txt") if content is None else word_file(content)
    with pytest.raises(LabelingFunctionError, match=r"keywords 'f': .*" + message):
        keywords("f", label=1, words_file=path)


def test_words_come_from_one_place(word_file):
    with pytest.raises(LabelingFunctionError, match=r"words and words_file=.* are both given"):
        keywords("f", label=1, words=["a"], words_file=word_file(b"b"))
    with pytest.raises(LabelingFunctionError, match="words must be a list"):
        keywords("f", label=1)


def test_the_page_about_lists_and_tables_runs(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    for name, content in re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)```", page, re.DOTALL | re.M):
        (tmp_path / name).write_text(content, encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    check = """
from datetime import datetime
from types import SimpleNamespace as R
x = R(text="free  prize", price=3, sender="ann", sent=datetime(2024, 5, 2), where="SAO PAULO",
      user={"country": "FR"}, tags=["promo", "new"], id="m1")
print([f(x) for f in (promise, cheap, known, recent, brief, abroad, place, friend, tagged)])
x.where, x.text = "s\\u00e3o paulo", "Cash cash"
print(place(x), weighty(x), [(f.name, f(x)) for f in crowd])
"""
    script = tmp_path / "lfs.py"
    script.write_text("\n".join([*blocks, check]), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parents[2]), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd="/", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['spam', 'spam', 'ham', 'ham', 'ham', 'spam', None, 'ham', 'spam']",
        "city spam [('crowd-ann', 'spam'), ('crowd-bob', 'ham')]",
    ]
