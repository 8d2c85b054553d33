"""Data files: known by content, loaded once, the same on every machine and during a whole run."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pyarrow as pa
import pytest

from labelmill import keywords, labeling_function
from labelmill.datafiles import (
    DataFile,
    data_file,
    declare,
    files_of,
    load_once,
    resolved,
    resource,
    stage,
    undeclare,
)
from labelmill.errors import LabelingFunctionError
from labelmill.filecache import FILE_CACHE
from labelmill.store import Store


@pytest.fixture(autouse=True)
def _fresh_process():
    undeclare()
    yield
    undeclare()
    FILE_CACHE._staged.clear()


@pytest.fixture
def memory():
    fs = fsspec.filesystem("memory")
    yield fs
    fs.rm("/", recursive=True) if fs.ls("/") else None


def write(path: Path, content: str | bytes) -> DataFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DataFile(str(path))


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_file_is_known_by_its_content(tmp_path):
    a, b = write(tmp_path / "a.txt", "same"), write(tmp_path / "b.txt", "same")
    assert a.sha256 == b.sha256 == digest("same")
    assert a.identity() == b.identity() == {"sha256": digest("same")}
    assert (a.size, a.read(), a.local_path()) == (4, b"same", a.path)
    write(tmp_path / "a.txt", "other")
    assert a.sha256 == digest("other")


def test_relative_path_starts_at_the_file_that_calls(tmp_path):
    assert data_file("words.txt").path == str(Path(__file__).parent / "words.txt")
    assert data_file(Path("/x/../words.txt")).path == "/words.txt"
    assert data_file("file:///words.txt").path == "/words.txt"
    namespace = {"__name__": "lfs", "__file__": str(tmp_path / "job" / "lfs.py")}
    source = "from labelmill.datafiles import *\nr = resource('../w.txt'); d = data_file('w.txt')"
    exec(source, namespace)
    assert namespace["r"].file.path == str(tmp_path / "w.txt")
    assert namespace["d"].path == str(tmp_path / "job" / "w.txt")


def test_file_pickles_without_content(tmp_path):
    value = resource(str(write(tmp_path / "a.txt", "x" * 100_000).path))
    value.value()
    assert len(pickle.dumps(value)) < 500
    assert pickle.loads(pickle.dumps(value)).value() == value.value()


@pytest.mark.parametrize("path", ["gone.txt", "folder"])
def test_what_cannot_be_read_is_named_with_the_function(tmp_path, path):
    (tmp_path / "folder").mkdir()
    file = DataFile(str(tmp_path / path))
    with pytest.raises(LabelingFunctionError, match=r"keywords 'money': .*" + path):
        file.read("keywords 'money'")


def test_url_is_fetched_once_per_plan(memory):
    memory.pipe("/lists/words.txt", b"cash")
    file = data_file("memory://lists/words.txt")
    local = file.local_path()
    assert Path(local).name == "words.txt"
    assert (file.read(), file.sha256, file.size) == (b"cash", digest("cash"), 4)
    memory.pipe("/lists/words.txt", b"prize")
    assert file.read() == b"cash"
    undeclare()
    assert file.read() == b"prize"


def test_messages_show_no_secret_of_a_url():
    file = DataFile("https://user:pass@host.invalid/words.txt?signature=abc")
    assert str(file) == "https://host.invalid/words.txt"
    with pytest.raises(LabelingFunctionError) as error:
        DataFile("nosuch://user:pass@host/words.txt?signature=abc").read()
    assert "pass" not in str(error.value)
    assert "abc" not in str(error.value)


def test_worker_reads_the_store_where_the_path_is_not_there(tmp_path):
    file = write(tmp_path / "launcher" / "words.txt", "cash")
    store = Store.open(tmp_path / "out")
    digests = stage(store, [file])
    Path(file.path).unlink()
    declare(digests, store.uri)
    assert file.read() == b"cash"
    assert file.sha256 == digest("cash")
    assert Path(file.local_path()).name == "words.txt"
    assert file.local_path() == file.local_path()
    assert store.list() == [f"resources/{digest('cash')}"]


def test_worker_whose_path_holds_another_file_reads_the_store(tmp_path):
    file = write(tmp_path / "words.txt", "cash")
    store = Store.open(tmp_path / "out")
    declare(stage(store, [file]), store.uri)
    assert file.local_path() == file.path
    write(tmp_path / "words.txt", "prize")
    assert file.read() == b"cash"


def test_changed_file_without_a_copy_is_an_error(tmp_path):
    file = write(tmp_path / "words.txt", "cash")
    declare({file.path: file.sha256})
    assert file.read() == b"cash"
    write(tmp_path / "words.txt", "prize")
    with pytest.raises(LabelingFunctionError, match=r"f: .*words.txt is no longer the file"):
        file.read("f")
    undeclare()
    assert file.read() == b"prize"


def test_file_that_changes_between_check_and_read_is_an_error(tmp_path, monkeypatch):
    file = write(tmp_path / "words.txt", "cash")
    declare({file.path: file.sha256})
    checked = FILE_CACHE.locate(file, "")
    monkeypatch.setattr(FILE_CACHE, "locate", lambda file, needed_by: checked)
    write(tmp_path / "words.txt", "prize")
    with pytest.raises(LabelingFunctionError, match="is no longer the file"):
        file.read()


def test_lost_and_damaged_copies_are_named(tmp_path):
    file = write(tmp_path / "words.txt", "cash")
    store = Store.open(tmp_path / "out")
    digests = stage(store, [file])
    Path(file.path).unlink()
    declare(digests, store.uri)
    copy = tmp_path / "out" / "resources" / file.sha256
    copy.write_bytes(b"damaged")
    with pytest.raises(LabelingFunctionError, match=r"there is no file .* is damaged; delete"):
        file.read()
    copy.unlink()
    with pytest.raises(LabelingFunctionError, match="its copy cannot be read either"):
        file.read()


def test_staging_writes_each_content_once(tmp_path):
    files = [write(tmp_path / name, "same") for name in ("a.txt", "b.txt")]
    store = Store.open(tmp_path / "out")
    stage(store, files)
    copy = tmp_path / "out" / "resources" / files[0].sha256
    before = copy.stat().st_mtime_ns
    assert set(stage(store, files).values()) == {files[0].sha256}
    assert copy.stat().st_mtime_ns == before
    assert len(store.list()) == 1


def test_copies_are_removed_when_the_process_ends(tmp_path):
    script = (
        "import fsspec; from labelmill.datafiles import data_file;"
        "fsspec.filesystem('memory').pipe('/a.txt', b'x');"
        "print(data_file('memory://a.txt').local_path())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert not Path(done.stdout.strip()).exists()


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("a.txt", b"\xef\xbb\xbfone\r\ntwo\n", ["one", "two"]),
        ("a.json", b'{"a": 1}', {"a": 1}),
        ("a.jsonl", b'{"a": 1}\n\n[2]\n', [{"a": 1}, [2]]),
        ("a.csv", b'k,v\na,"1\n2"\n', [{"k": "a", "v": "1\n2"}]),
        ("a.tsv", b"k\tv\na\t1\n", [{"k": "a", "v": "1"}]),
        ("a.bin", b"\x00\xff", b"\x00\xff"),
        ("a.json.gz", gzip.compress(b"[1]", mtime=0), [1]),
        ("a.txt.bz2", bz2.compress(b"x"), ["x"]),
        ("a.txt.xz", lzma.compress(b"x"), ["x"]),
        ("A.TXT.ZST", pa.compress(b"x", "zstd", asbytes=True), ["x"]),
    ],
)
def test_resources_load_by_suffix(tmp_path, name, content, value):
    assert resource(write(tmp_path / name, content)).value() == value


def test_resource_is_loaded_once_by_all_threads_and_again_when_it_changed(tmp_path):
    calls = []

    def load(content):
        calls.append(content)
        time.sleep(0.01)
        return [content]

    file = write(tmp_path / "a.bin", "1")
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(resource(file, load).value()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [b"1"]
    assert all(result is results[0] for result in results)
    write(tmp_path / "a.bin", "2")
    assert resource(file, load).value() == [b"2"]


def test_loaders_may_take_a_path(tmp_path):
    file = write(tmp_path / "a.bin", "12345")
    assert resource(file, load=lambda path: Path(path).stat().st_size, from_path=True).value() == 5
    with pytest.raises(LabelingFunctionError, match="from_path=True needs"):
        resource(file, from_path=True)


def test_loader_that_fails_is_named_with_file_and_function(tmp_path):
    file = write(tmp_path / "a.json", "{")
    with pytest.raises(LabelingFunctionError, match=r"lf 'f': .*a\.json cannot be loaded by loads"):
        resource(file, json.loads).value("lf 'f'")
    with pytest.raises(LabelingFunctionError, match=r"a\.json cannot be loaded by a resource"):
        resource(file).value()


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path):
    with pytest.raises(LabelingFunctionError, match=r"a\.txt:2: byte 0xe9 is not UTF-8"):
        resource(write(tmp_path / "a.txt", b"one\ncaf\xe9\n")).value()
    with pytest.raises(LabelingFunctionError, match="does not decompress"):
        resource(write(tmp_path / "a.txt.gz", b"plain")).value()


def test_function_is_called_with_what_the_file_holds(tmp_path):
    lexicon = resource(write(tmp_path / "words.json", '["cash"]'), load=json.loads)
    with_path = write(tmp_path / "b.txt", "b")

    @labeling_function(resources={"lexicon": lexicon, "file": with_path, "n": 3})
    def money(x, lexicon, file, n):
        return "spam" if x.text in lexicon and file.read() == b"b" and n == 3 else None

    assert money(SimpleNamespace(text="cash")) == "spam"
    assert resolved(money.resources, "f") == {"lexicon": ["cash"], "file": with_path, "n": 3}


def test_identity_of_a_resource_is_content_and_loader(tmp_path):
    a, b = write(tmp_path / "a.json", "[]"), write(tmp_path / "b.json", "[]")
    assert resource(a, json.loads).identity() == resource(b, json.loads).identity()
    assert resource(a, json.loads).identity() != resource(a, str).identity()
    assert resource(a).identity() != resource(write(tmp_path / "a.txt", "[]")).identity()


def test_files_of_functions(tmp_path):
    words, extra, value = (write(tmp_path / n, "cash") for n in ("w.txt", "e.txt", "v.txt"))

    @labeling_function(resources={"a": resource(value), "b": extra, "c": 1})
    def f(x, a, b, c):
        return None

    matcher = keywords("k", label=1, words_file=words)
    plain = keywords("p", label=1, words=["x"])
    assert files_of([matcher, f, plain, f, lambda x: None]) == (words, value, extra)


def test_load_once_tells_ways_of_loading_apart(tmp_path):
    file = write(tmp_path / "a.txt", "x")
    assert load_once(file, "a", lambda path, by: [1]) is load_once(file, "a", lambda path, by: [2])
    assert load_once(file, "b", lambda path, by: [3]) == [3]
