"""The source text that is stored with a version."""

import json
from pathlib import Path

import pytest
import yaml

from labelmill.errors import CorruptFileError
from labelmill.job import prepare_job
from labelmill.jobfile import load_job
from labelmill.manifest import FileEntry
from labelmill.sources import read_sources, sources_of, store_sources
from labelmill.store import Store

CODE = '''
from labelmill import keywords, labeling_function, regex
import rules

# a comment
money = keywords("cash flow", label="spam", words=["cash"])
several = [regex("a", label="spam", pattern="a"), regex("b", label="spam", pattern="b")]
imported = rules.shared


@labeling_function(
    name="café",
)
def cafe(x):
    """Docs."""
    return "ham"


for word in ["x", "y"]:
    globals()["by_loop_" + word] = keywords("loop " + word, label="ham", words=[word])
'''
RULES = 'from labelmill import keywords\nshared = keywords("shared", label="ham", words=["hi"])\n'


@pytest.fixture
def prepared(tmp_path):
    (tmp_path / "lfs.py").write_text(CODE)
    (tmp_path / "rules.py").write_text(RULES)
    job = {
        "name": "n",
        "input": {"uri": "x.jsonl"},
        "labels": ["ham", "spam"],
        "lfs": ["lfs.py", {"keywords": {"name": "declared", "label": "ham", "words": ["<b>"]}}],
        "output": {"uri": "out"},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    return prepare_job(*load_job(tmp_path / "job.yaml"))


def test_each_function_has_the_text_that_defines_it(prepared):
    found = sources_of(prepared)

    assert found["cash flow"].text.startswith('money = keywords("cash flow"')
    assert (found["cash flow"].module, found["cash flow"].line) == ("lfs", 6)
    assert found["a"] == found["b"]
    assert found["a"].text.startswith("several = [")
    assert found["café"].text.startswith("@labeling_function(\n")
    assert found["café"].text.endswith('return "ham"')
    assert (found["shared"].module, found["shared"].line) == ("rules", 2)
    assert json.loads(found["declared"].text)["words"] == ["<b>"]
    assert (found["declared"].module, found["declared"].line) == (None, None)
    assert "loop x" not in found


def test_the_stored_file_has_all_modules_and_no_path(prepared, tmp_path):
    store = Store.open(tmp_path / "out")
    entry = store_sources(store, prepared)

    document = json.loads(store.get(entry.path))
    assert {module["module"]: module["text"] for module in document["modules"]} == {
        "lfs": CODE,
        "rules": RULES,
    }
    assert str(tmp_path) not in store.get(entry.path).decode()
    assert store_sources(store, prepared) == entry


class _Manifest:
    def __init__(self, *files: FileEntry) -> None:
        self._files = files

    def files_of(self, kind: str) -> tuple[FileEntry, ...]:
        return self._files


def test_stored_sources_come_back(prepared, tmp_path):
    store = Store.open(tmp_path / "out")
    entry = store_sources(store, prepared)

    assert read_sources(store, _Manifest(entry)) == sources_of(prepared)
    assert read_sources(store, _Manifest()) == {}


def test_a_damaged_or_newer_file_is_refused(prepared, tmp_path):
    store = Store.open(tmp_path / "out")
    entry = store_sources(store, prepared)
    newer = store.put("code/n.json", b'{"format_version": 2, "functions": {}}')
    with pytest.raises(CorruptFileError, match="written by a newer labelmill"):
        read_sources(store, _Manifest(FileEntry.of(newer, kind="code", rows=0, shard=None)))

    Path(store.uri, entry.path).write_bytes(b"{}")
    with pytest.raises(CorruptFileError, match="has sha256"):
        read_sources(store, _Manifest(entry))
