"""The code of a job: which modules are collected, and that they load from memory alone."""

from __future__ import annotations

import sys

import pytest

from labelmill.code import collect_code, functions_of, load_modules
from labelmill.errors import LabelingFunctionError

HEADER = "from labelmill import keywords, labeling_function, regex\n"


def write(folder, **files):
    """Write ``a__b="..."`` as a/b.py."""
    for name, text in files.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def load(folder, *names):
    return load_modules(collect_code([folder / f"{name}.py" for name in names or ("lfs",)]))


def module_names(folder, *names):
    return [f.module for f in collect_code([folder / f"{n}.py" for n in names or ("lfs",)]).files]


def test_sibling_modules_are_collected_and_imported(tmp_path):
    write(
        tmp_path, lfs="import a\nfrom b import C", a="import json\nX = 1", b="C = 2", unused="1/0"
    )
    assert module_names(tmp_path) == ["a", "b", "lfs"]
    (lfs,) = load(tmp_path)
    assert (lfs.a.X, lfs.C) == (1, 2)


def test_packages_and_relative_imports_work(tmp_path):
    write(tmp_path, lfs="import pkg.sub.deep\nfrom pkg import side\nfrom pkg.sub import deep as d")
    (tmp_path / "pkg" / "sub").mkdir(parents=True)
    (tmp_path / "pkg" / "__init__.py").write_text("TOP = 1")
    (tmp_path / "pkg" / "side.py").write_text("from . import TOP\nfrom .sub import deep")
    (tmp_path / "pkg" / "sub" / "__init__.py").write_text("from .deep import V")
    (tmp_path / "pkg" / "sub" / "deep.py").write_text("from ..side2 import W\nV = W")
    (tmp_path / "pkg" / "side2.py").write_text("W = 5")
    (lfs,) = load(tmp_path)
    assert (lfs.pkg.sub.deep.V, lfs.side.TOP, lfs.side.deep is lfs.d) == (5, 1, True)


def test_folder_without_init_is_a_package_too(tmp_path):
    write(tmp_path, lfs="from tools.words import W\nimport tools.more", tools__words="W = 3")
    write(tmp_path, tools__more="from .words import W")
    (lfs,) = load(tmp_path)
    assert (lfs.W, lfs.tools.more.W) == (3, 3)


def test_package_may_itself_hold_the_functions(tmp_path):
    package = tmp_path / "spamlfs"
    package.mkdir()
    (package / "__init__.py").write_text("from .more import X")
    (package / "more.py").write_text("X = 1")
    (module,) = load_modules(collect_code([package / "__init__.py"]))
    assert (module.__name__, module.X) == ("spamlfs", 1)


def test_import_cycles_are_fine(tmp_path):
    write(tmp_path, lfs="import a\nX = 1", a="import b\nimport lfs", b="import a")
    (lfs,) = load(tmp_path)
    assert lfs.a.b.a.lfs is lfs


def test_byte_order_mark_and_declared_encoding_are_understood(tmp_path):
    (tmp_path / "lfs.py").write_bytes(b"\xef\xbb\xbfimport a")
    (tmp_path / "a.py").write_bytes(b"# -*- coding: latin-1 -*-\nX = '\xe4'")
    (lfs,) = load(tmp_path)
    assert lfs.a.X == "ä"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"x = 1\ndef f(:\n", r"lfs\.py:2: invalid syntax"),
        (b"if 1:\nx = 1\n", r"lfs\.py:2: expected an indented block"),
        (b"x = '\xff'", r"lfs\.py.*(utf-8|encoding)"),
        (b"x = 1\0", r"lfs\.py.*null bytes"),
        (b"# coding: nonsense\n", r"lfs\.py.*nonsense"),
        (b"a = 1\nimport b\n1 / 0\n", r"lfs\.py:3: importing .* ZeroDivisionError"),
        (b"import nowhere_to_be_found\n", r"lfs\.py:1: importing .* ModuleNotFoundError"),
        (b"import sys\nsys.exit(3)\n", r"lfs\.py:2: importing .* SystemExit: 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_file_and_line(tmp_path, text, reason):
    (tmp_path / "lfs.py").write_bytes(text)
    write(tmp_path, b="")
    with pytest.raises(LabelingFunctionError, match=reason) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_failure_in_a_sibling_names_the_sibling(tmp_path):
    write(tmp_path, lfs="import a", a="def f():\n    raise ValueError('no')\n\nf()")
    with pytest.raises(LabelingFunctionError, match=r"a\.py:2: importing module 'lfs' failed"):
        load(tmp_path)


def test_mended_file_loads_after_a_failure(tmp_path):
    write(tmp_path, lfs="import a\nX = a.X", a="1/0")
    with pytest.raises(LabelingFunctionError):
        load(tmp_path)
    write(tmp_path, a="X = 1")
    assert load(tmp_path)[0].X == 1


def test_missing_file_is_named(tmp_path):
    with pytest.raises(LabelingFunctionError, match=r"gone\.py: no such file"):
        load(tmp_path, "gone")


@pytest.mark.parametrize(
    "files",
    [
        {"one__lfs": "", "two__lfs": ""},
        {"one__lfs": "import util", "two__other": "import util", "one__util": "", "two__util": ""},
    ],
)
def test_two_files_cannot_be_one_module(tmp_path, files):
    write(tmp_path, **files)
    paths = [tmp_path.joinpath(*n.split("__")).with_suffix(".py") for n in list(files)[:2]]
    with pytest.raises(LabelingFunctionError, match="would both be module"):
        collect_code(paths)


@pytest.mark.parametrize("name", ["json", "transforms"])
def test_module_cannot_hide_one_of_python_or_labelmill(tmp_path, name):
    write(tmp_path, lfs=f"import {name}", **{name: ""})
    with pytest.raises(LabelingFunctionError, match=f"module '{name}' would hide"):
        collect_code([tmp_path / "lfs.py"])


def test_dot_in_a_file_name_is_refused(tmp_path):
    (tmp_path / "lfs.v2.py").write_text("")
    with pytest.raises(LabelingFunctionError, match="cannot have a dot"):
        collect_code([tmp_path / "lfs.v2.py"])


def test_same_sources_load_once_and_other_sources_apart(tmp_path):
    write(tmp_path / "a", lfs="from h import X", h="X = 1")
    write(tmp_path / "b", lfs="from h import X", h="X = 2")
    write(tmp_path / "c", lfs="from h import X", h="X = 1")
    (a,), (b,) = load(tmp_path / "a"), load(tmp_path / "b")
    assert (a.X, b.X) == (1, 2)
    assert load(tmp_path / "c")[0] is not a  # files beside it are others
    assert load(tmp_path / "a")[0] is a
    assert sys.modules["lfs"] is a


def test_late_imports_find_their_own_jobs_modules(tmp_path):
    late = "def f():\n    import h\n    from h import X\n    return h.X, X"
    write(tmp_path / "a", lfs=late, h="X = 1")
    write(tmp_path / "b", lfs=late, h="X = 2")
    (a,), (b,) = load(tmp_path / "a"), load(tmp_path / "b")
    assert [a.f(), b.f(), a.f()] == [(1, 1), (2, 2), (1, 1)]


def test_digest_depends_on_sources_and_not_on_places(tmp_path):
    for folder, text in (("a", "X = 1"), ("b", "X = 1"), ("c", "X = 2")):
        write(tmp_path / folder, lfs="import h", h=text)
    a, b, c = (collect_code([tmp_path / folder / "lfs.py"]).digest for folder in "abc")
    assert a == b != c


def names_in(tmp_path, text, **others):
    write(tmp_path, lfs=HEADER + text, **others)
    return [lf.name for lf in functions_of(load(tmp_path)[0])]


def test_functions_are_found_in_order_and_once(tmp_path):
    text = (
        "b = keywords('b', label=0, words=['x'])\n"
        "@labeling_function\ndef a(x):\n    return 0\n"
        "again = b\n"
        "_hidden = regex('hidden', label=0, pattern='x')\n"
        "many = [keywords(n, label=0, words=['x']) for n in 'cd'] + [b]\n"
        "by_name = {'e': keywords('e', label=0, words=['x'])}\n"
    )
    assert names_in(tmp_path, text) == ["b", "a", "hidden", "c", "d"]


def test_what_labelmill_exports_is_no_function_of_the_job(tmp_path):
    assert names_in(tmp_path, "from labelmill import *\nimport labelmill") == []


def test_functions_imported_from_a_sibling_count(tmp_path):
    shared = HEADER + "s = keywords('s', label=0, words=['x'])"
    assert names_in(tmp_path, "from shared import s\nimport shared", shared=shared) == ["s"]
