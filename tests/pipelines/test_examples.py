"""The examples, and the demo from a built wheel in a clean environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
COMMAND = [sys.executable, str(ROOT / "pipelines" / "__main__.py")]
DATA = Path(os.environ.get("LABELMILL_DATA", ROOT.parent / "shared" / "data"))


def copy_example(name: str, folder: Path) -> Path:
    shutil.copytree(
        EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("data", "out", "__pycache__")
    )
    return folder / name


def run_json(command: list[str], job: Path, *flags: str) -> dict:
    done = subprocess.run(
        [*command, "run", str(job), "--json", *flags],
        cwd="/", capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_demo(result: dict) -> None:
    """The demo's promise: most names covered, and a model that beats the vote without gold."""
    counts, gold = result["details"]["counts"], result["details"]["summary"]["gold"]
    assert result["status"] == "published"
    assert counts["rows"] > 25_000
    assert counts["covered"] > 0.9 * counts["rows"]
    assert gold["fit_records"] == 0
    assert gold["eval_records"] == counts["rows"]
    model, vote = gold["model"]["covered"], gold["majority_vote"]["covered"]
    assert model["accuracy"] >= vote["accuracy"] + 0.015
    assert model["log_loss"] < vote["log_loss"]


def test_demo_corpus_is_the_same_every_time(tmp_path):
    script = EXAMPLES / "unicode_names" / "make_corpus.py"
    for name in ("a", "b"):
        subprocess.run([sys.executable, str(script), "--out", str(tmp_path / name)], check=True)

    files = sorted(p.name for p in (tmp_path / "a").iterdir())

    assert len(files) == 4
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    names = pq.read_table(tmp_path / "a").column("name").to_pylist()
    assert 25_000 < len(names) == len(set(names))


def test_demo_beats_majority_vote_without_gold(tmp_path):
    folder = copy_example("unicode_names", tmp_path)
    subprocess.run([sys.executable, str(folder / "make_corpus.py")], check=True)

    result = run_json(COMMAND, folder / "job.yaml")

    check_demo(result)


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "lf_youtube").is_dir(), reason=f"no lf_youtube in {DATA}")
def test_youtube_job_runs_on_the_shared_texts(tmp_path):
    folder = copy_example("youtube_spam", tmp_path)
    uri = f"input.uri={DATA / 'lf_youtube' / 'texts.parquet'}"

    result = run_json(COMMAND, folder / "job.yaml", "--set", uri)

    gold = result["details"]["summary"]["gold"]
    assert result["details"]["counts"]["rows"] == 2056
    assert gold["model"]["covered"]["accuracy"] > 0.88
    assert gold["model"]["covered"]["log_loss"] < 0.4


@pytest.mark.slow
def test_demo_runs_from_a_wheel_in_a_clean_environment(tmp_path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".git", "data", "out", "*.egg-info", "__pycache__", "build")
    shutil.copytree(ROOT, source, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run([str(binaries / "pip"), "install", "--quiet", str(wheel)], check=True)
    folder = copy_example("unicode_names", tmp_path)
    subprocess.run([str(binaries / "python"), str(folder / "make_corpus.py")], check=True, cwd="/")

    result = run_json([str(binaries / "labelmill")], folder / "job.yaml")

    check_demo(result)
    read = "import sys, labelmill; print(labelmill.open_labels(sys.argv[1]).count_rows())"
    done = subprocess.run(
        [str(binaries / "python"), "-c", read, str(folder / "out")],
        cwd="/", check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert int(done.stdout) == result["details"]["counts"]["rows"]
