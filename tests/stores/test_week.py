"""A week of refreshes and the clean-up after them, corpus and output on each of the stores."""

from __future__ import annotations

import json
import uuid

import pytest
from year import check_days

from labelmill.retention import FOLDERS
from labelmill.store import Store
from labelmill.versions import list_versions, read_manifest, verify_version
from pipelines.cli import _main as labelmill_command


@pytest.fixture
def week(tmp_path, server):
    """Five days of refreshes, each compared with a full run."""
    uri = f"{server.uri}/{uuid.uuid4().hex}"
    check_days(tmp_path, 5, 4, uri)
    return Store.open(f"{uri}/out")


def test_week_on_a_store_equals_full_runs_and_gc_leaves_what_it_should(week, capsys):
    store, before = week, set(week.list())
    kept = [read_manifest(store, version) for version in list_versions(store)[-2:]]
    named = {file.path for manifest in kept for file in manifest.files}
    of_versions = {path for path in before if path.partition("/")[0] in FOLDERS}
    store.put("_labelmill/probe-of-a-killed-run", b"first")
    clean = ["gc", store.uri, "--keep", "2", "--json"]
    capsys.readouterr()

    assert labelmill_command([*clean, "--min-age", "1"]) == 0
    guarded = json.loads(capsys.readouterr().out)
    assert guarded["files"] == 0
    assert guarded["young_files"] > 0
    assert len(list_versions(store)) == 2

    assert labelmill_command([*clean, "--min-age", "0", "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert labelmill_command([*clean, "--min-age", "0"]) == 0
    assert json.loads(capsys.readouterr().out) == {**planned, "dry_run": False}

    left = set(store.list())
    assert {path for path in left if path.partition("/")[0] in FOLDERS} == named < of_versions
    assert not [path for path in left if "probe" in path]
    assert [verify_version(store, manifest.version) for manifest in kept] == [[], []]
