"""Classes and columns that come, go or change their name between refreshes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import labelmill
from labelmill.history import history
from labelmill.store import Store
from labelmill.versiondiff import diff_versions
from labelmill.versions import manifest_path, read_manifest
from pipelines.cli import _main as labelmill_command


@pytest.fixture
def published(make_job):
    """Return a job whose first version is published; gates let any shift of labels through."""
    job = make_job(gold=None, gates={"max_label_shift": 1})
    assert labelmill_command(["run", str(job)]) == 0
    return job


def change(job: Path, file: str, before: str, after: str) -> None:
    path = job.parent / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def rerun(job: Path) -> None:
    assert labelmill_command(["run", str(job)]) == 0


def labels(job: Path, version: int | None = None) -> dict[str, str]:
    rows = labelmill.open_labels(job.parent / "out", version).to_table().to_pylist()
    return {row["id"]: row["label"] for row in rows}


def changes(job: Path):
    return history(Store.open(job.parent / "out"))[-1].changes


def test_an_added_class_gets_a_probability_and_old_versions_keep_theirs(published):
    before = labels(published)
    change(published, "job.yaml", '["ham", "spam"]', '["ham", "spam", "other"]')
    rerun(published)

    out = published.parent / "out"
    assert labelmill.open_labels(out).schema.field("probs").type.list_size == 3
    assert labelmill.open_labels(out, 1).schema.field("probs").type.list_size == 2
    assert labels(published, 1) == before
    assert changes(published).classes.added == ("other",)


def test_a_removed_class_that_functions_vote_for_is_an_error_before_anything_runs(published, capfd):
    change(published, "job.yaml", '["ham", "spam"]', '["ham", "other"]')

    assert labelmill_command(["run", str(published)]) == 2
    assert "'spam'" in capfd.readouterr().err
    assert read_manifest(Store.open(published.parent / "out")).version == 1


def test_a_renamed_class_is_one_removed_and_one_added(published):
    before = labels(published)
    change(published, "job.yaml", "spam", "junk")
    change(published, "lfs.py", "spam", "junk")
    rerun(published)

    after = labels(published)
    assert {k: v.replace("spam", "junk") for k, v in before.items()} == after
    side = Store.open(published.parent / "out")
    diff = diff_versions((side, 1), (side, 2))
    assert diff.renamed == {"spam": "junk"}
    assert diff_versions((side, 1), (side, 2), renamed={"spam": "junk"}).moved == 0


def test_classes_in_another_order_move_no_label_by_votes(published):
    change(published, "job.yaml", '["ham", "spam"]', '["spam", "ham"]')
    change(published, "lfs.py", "return [1 if", "return ['spam' if")
    rerun(published)

    side = Store.open(published.parent / "out")
    diff = diff_versions((side, 1), (side, 2))
    assert changes(published).classes_reordered
    assert diff.votes == {}
    assert diff.moved == 0


def test_a_new_column_changes_no_label(published):
    before = labels(published)
    for path in sorted((published.parent / "data").iterdir()):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**row, "lang": "en"}) + "\n" for row in rows))
    rerun(published)

    assert labels(published) == before
    assert len(changes(published).shards.edited or changes(published).shards.added) == 3
    assert not changes(published).functions


@pytest.mark.parametrize("name", ["body", None])
def test_a_column_that_functions_read_and_that_is_gone_is_an_error(published, capfd, name):
    for path in sorted((published.parent / "data").iterdir()):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        with path.open("w") as file:
            for row in rows:
                text = row.pop("text")
                file.write(json.dumps({**row, name: text} if name else row) + "\n")

    assert labelmill_command(["run", str(published)]) == 2
    assert "has no column 'text'" in capfd.readouterr().err


def test_a_version_in_the_older_manifest_format_is_read(published, capfd):
    """Format 1 has no stored code, and its manifest does not name data files."""
    store = Store.open(published.parent / "out")
    manifest = read_manifest(store)
    files = tuple(f for f in manifest.files if f.kind not in ("code", "resource"))
    store.put(manifest_path(1), replace(manifest, format_version=1, files=files).to_bytes())
    uri = store.uri

    assert len(labels(published)) == 300
    for command in (["history", uri], ["verify", uri], ["explain", uri, "m00003"]):
        assert labelmill_command(command) == 0
    assert "its source was not stored" in capfd.readouterr().out
    (published.parent / "data" / "2.jsonl").unlink()
    assert labelmill_command(["run", str(published), "--accept", "row_loss"]) == 0
    assert labelmill_command(["diff", uri]) == 0
    assert "100 removed" in capfd.readouterr().out
